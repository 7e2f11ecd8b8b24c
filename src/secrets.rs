//! What must not be repeated: the secrets of a connection, in the forms that programs and servers write them.
//!
//! Whoever is given a secret may say it back: in an error, in a header that it echoes, on standard error. What they say goes to logs, to
//! the ledger and to the evidence, which nobody can take back. So each text of theirs goes through [`Secrets::hide`] before it goes
//! anywhere, and before it is cut: half a secret is looked for in vain.
//!
//! Accepted: who encodes a secret in a way of their own, or says it in pieces, is not found. That is for whoever wrote the program.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};

/// The shortest text that is looked for, in bytes: a shorter one stands in many texts that have nothing to do with it.
const SHORTEST: usize = 6;

/// The fewest bytes of a secret's beginning that are taken away where a text was cut.
const BEGINNING: usize = 4;

/// From so many bytes on nothing else looks like it: a line of a secret of several lines, a secret in the place of an account.
const LONG: usize = 16;

/// What must not be repeated. Clones share it.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Vec<Form>>);

/// One way to write a secret.
#[derive(Clone)]
struct Form {
    text: SecretString,
    name: Arc<str>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// These, and `secret`, in whose place `[name]` will stand. One of fewer than six bytes is not looked for.
    #[must_use]
    pub fn with(&self, name: &str, secret: &str) -> Self {
        let name: Arc<str> = name.into();
        let form = |text: String| Form {
            text: text.into(),
            name: Arc::clone(&name),
        };
        self.and(&Self(Arc::new(
            written(secret).into_iter().map(form).collect(),
        )))
    }

    /// These and those.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        let mut forms = [self.0.as_slice(), others.0.as_slice()].concat();
        // What holds another is looked for first.
        let longest = |form: &Form| std::cmp::Reverse(form.text.expose_secret().len());
        forms.sort_by(|a, b| {
            let texts = || a.text.expose_secret().cmp(b.text.expose_secret());
            longest(a).cmp(&longest(b)).then_with(texts)
        });
        forms.dedup_by(|a, b| a.text.expose_secret() == b.text.expose_secret());
        Self(Arc::new(forms))
    }

    /// `text` with the name of each secret in its place.
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = text.to_owned();
        for form in self.0.iter() {
            let secret = form.text.expose_secret();
            if hidden.contains(secret) {
                hidden = hidden.replace(secret, &format!("[{}]", form.name));
            }
        }
        hidden
    }

    /// [`Secrets::hide`] of a text of which the end is missing, so that it may end within a secret.
    pub fn hide_in_beginning(&self, text: &str) -> String {
        let mut hidden = self.hide(text);
        let begun = self.0.iter().filter_map(|form| {
            let secret = form.text.expose_secret();
            let ends = secret.char_indices().map(|(at, _)| at).rev();
            let begun = ends.take_while(|at| *at >= BEGINNING);
            begun
                .map(|at| &secret[..at])
                .find(|part| hidden.ends_with(part))
                .map(|part| (part.len(), &form.name))
        });
        if let Some((cut, name)) = begun.max_by_key(|(length, _)| *length) {
            hidden.truncate(hidden.len() - cut);
            hidden.push_str(&format!("[{name}]"));
        }
        hidden
    }

    /// The name of a secret that `account` holds, the name or the id of one. What is written in fewer than 16 bytes is not looked for:
    /// people choose such secrets, and accounts are called so too.
    pub fn named_in(&self, account: &str) -> Option<&str> {
        let mut long = self
            .0
            .iter()
            .take_while(|form| form.text.expose_secret().len() >= LONG);
        let found = long.find(|form| account.contains(form.text.expose_secret()));
        found.map(|form| form.name.as_ref())
    }
}

/// The ways to write a secret: as it is, quoted, in hexadecimal, percent-encoded, and in base64, also in the midst of more.
fn written(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    for plain in [secret, secret.trim()] {
        forms.push(plain.to_owned());
        for quoted in [
            serde_json::Value::from(plain).to_string(),
            format!("{plain:?}"),
        ] {
            forms.push(quoted[1..quoted.len() - 1].to_owned());
        }
        let hexadecimal = hex::encode(plain);
        forms.push(hexadecimal.to_uppercase());
        forms.push(hexadecimal);
        forms.extend(percent(plain));
        for alphabet in [&STANDARD, &URL_SAFE] {
            forms.extend((0..3).map(|behind| base64(plain, alphabet, behind)));
        }
    }
    let lines: Vec<&str> = secret.trim().lines().map(str::trim).collect();
    if lines.len() > 1 {
        forms.extend(
            lines
                .iter()
                .filter(|line| line.len() >= LONG)
                .map(|line| (*line).to_owned()),
        );
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// Percent-encoded as RFC 3986 says, as `encodeURIComponent` does, as forms are, and to the last sign, with digits of either case.
fn percent(text: &str) -> Vec<String> {
    let encode = |kept: &[u8], digits: &[u8; 16]| {
        let digit = |nibble: u8| char::from(digits[usize::from(nibble)]);
        let one = |byte: u8| match byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            true => char::from(byte).to_string(),
            false => String::from_iter(['%', digit(byte >> 4), digit(byte & 15)]),
        };
        text.bytes().map(one).collect::<String>()
    };
    let mut all = Vec::new();
    for kept in [b"-._~".as_slice(), b"-._~!*'()", b"-._*", b""] {
        for digits in [b"0123456789ABCDEF", b"0123456789abcdef"] {
            let encoded = encode(kept, digits);
            all.push(encoded.replace("%20", "+"));
            all.push(encoded);
        }
    }
    all
}

/// The characters of base64 that `text` alone decides where it stands behind `behind` bytes (modulo 3) of something else.
fn base64(text: &str, alphabet: &Alphabet, behind: usize) -> String {
    let mut bytes = vec![0; behind];
    bytes.extend_from_slice(text.as_bytes());
    let encoded = GeneralPurpose::new(alphabet, NO_PAD).encode(&bytes);
    let (first, last) = ((behind * 8).div_ceil(6), bytes.len() * 8 / 6);
    encoded.get(first..last).unwrap_or_default().to_owned()
}
