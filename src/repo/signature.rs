//! Signatures of commits, as `git verify-commit` reads them: an SSH signature of the commit object, in namespace `git`
//! (`gpg.format = ssh` in git-config(1); the format is OpenSSH's `PROTOCOL.sshsig`).

use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use git2::{Oid, Repository};
use rand::TryRng as _;
use secrecy::{ExposeSecret as _, SecretString};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

use super::history::absent_is_none;
use super::{RepoError, broken};
use crate::domain::anchor;
use crate::domain::audit::Signature;

/// What is signed for: a signature of something else never passes for one of a commit.
const NAMESPACE: &str = "git";

/// Whom the keys belong to, in the file of allowed signers: the committer's address.
const PRINCIPAL: &str = "hallpass@users.noreply.github.com";

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is no key that can sign.
    #[error(
        "{0}; make one with `ssh-keygen -t ed25519 -N '' -f evidence_key` and name the file without `.pub`"
    )]
    Unusable(String),
    /// The line is no public key.
    #[error("{0:?} is no public key of kind ssh-ed25519; name the one line of its `.pub` file")]
    Public(String),
    /// The file cannot be read or written.
    #[error("cannot use the key at {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// The keys that evidence is signed with: the one in use, and those of earlier that are still believed.
#[derive(Clone)]
pub struct Signers {
    current: Arc<PrivateKey>,
    previous: Option<Arc<PrivateKey>>,
    earlier: Vec<PublicKey>,
}

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signers")
            .field("current", &fingerprint(self.current.public_key()))
            .finish_non_exhaustive()
    }
}

impl Signers {
    /// The keys in `current` and `previous`, each a private key as OpenSSH writes it, without a passphrase.
    ///
    /// # Errors
    /// [`KeyError::Unusable`] when one of them cannot sign.
    pub fn new(current: &SecretString, previous: Option<&SecretString>) -> Result<Self, KeyError> {
        let signers = Self {
            current: Arc::new(read(current)?),
            previous: None,
            earlier: Vec::new(),
        };
        signers.in_place_of(previous)
    }

    /// The key in the file at `path`. It is made there if there is none, so that evidence is signed from the first event on.
    ///
    /// # Errors
    /// [`KeyError`] when the file cannot be read or made, or holds no key.
    pub fn at(path: &Path) -> Result<Self, KeyError> {
        let file = |source| KeyError::File {
            path: path.display().to_string(),
            source,
        };
        if !path.try_exists().map_err(file)? {
            make(path)?;
        }
        let text = SecretString::from(fs::read_to_string(path).map_err(file)?);
        Self::new(&text, None)
    }

    /// The same key in use, where `previous` signed evidence before it.
    ///
    /// # Errors
    /// [`KeyError::Unusable`] when that cannot sign.
    pub fn in_place_of(mut self, previous: Option<&SecretString>) -> Result<Self, KeyError> {
        self.previous = previous.map(read).transpose()?.map(Arc::new);
        Ok(self)
    }

    /// The same keys, where these public keys signed evidence earlier, each on one line.
    ///
    /// # Errors
    /// [`KeyError::Public`] with the first that is no key.
    pub fn after(mut self, earlier: &[String]) -> Result<Self, KeyError> {
        self.earlier = public_keys(&earlier.join("\n"))?;
        Ok(self)
    }

    /// The public key in use, on one line, as OpenSSH writes it.
    pub fn public(&self) -> String {
        line(self.current.public_key())
    }

    /// The public keys whose signatures are believed, on one line each.
    pub fn believed(&self) -> Vec<String> {
        self.public_keys().into_iter().map(line).collect()
    }

    /// The public keys that have signed evidence, on one line each: what vouches for it from its beginning.
    pub fn ever(&self) -> Vec<String> {
        let earlier = self.earlier.iter().map(line);
        self.believed().into_iter().chain(earlier).collect()
    }

    /// The fingerprint of the key in use, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        fingerprint(self.current.public_key())
    }

    /// The file that `gpg.ssh.allowedSignersFile` names (ssh-keygen(1), "ALLOWED SIGNERS").
    pub(super) fn allowed(&self) -> String {
        let keys = self.public_keys().into_iter();
        keys.map(|key| format!("{PRINCIPAL} namespaces=\"{NAMESPACE}\" {}\n", line(key)))
            .collect()
    }

    /// The fingerprint of the key of before, where that is `key`.
    pub(super) fn before(&self, key: &str) -> Option<String> {
        let previous = self.previous.as_ref()?.public_key();
        (line(previous) == key).then(|| fingerprint(previous))
    }

    /// The keys whose signatures are believed.
    fn public_keys(&self) -> Vec<&PublicKey> {
        let previous = self.previous.iter().map(|key| key.public_key());
        std::iter::once(self.current.public_key())
            .chain(previous)
            .collect()
    }

    /// Signs the bytes of a commit with the key in use.
    pub(super) fn sign(&self, commit: &[u8]) -> Result<String, git2::Error> {
        sign(&self.current, commit)
    }

    /// Signs what an anchor says with the key in use.
    ///
    /// # Errors
    /// [`RepoError::Broken`] when the key cannot sign.
    pub fn sign_anchor(&self, says: &str) -> Result<String, RepoError> {
        let signed = signed(&self.current, anchor::NAMESPACE, says.as_bytes());
        signed.map_err(broken("sign an anchor"))
    }

    /// Signs with the key of before, where there is one: what says that another takes its place.
    pub(super) fn sign_as_before(&self, commit: &[u8]) -> Option<Result<String, git2::Error>> {
        self.previous.as_ref().map(|key| sign(key, commit))
    }
}

fn sign(key: &PrivateKey, commit: &[u8]) -> Result<String, git2::Error> {
    signed(key, NAMESPACE, commit)
}

fn signed(key: &PrivateKey, namespace: &str, bytes: &[u8]) -> Result<String, git2::Error> {
    let broken = |error: ssh_key::Error| git2::Error::from_str(&format!("sign: {error}"));
    let signature = key
        .sign(namespace, HashAlg::Sha512, bytes)
        .map_err(broken)?;
    signature.to_pem(LineEnding::LF).map_err(broken)
}

/// The public key, on one line, that made `signature` of what an anchor says; `None` where it is no signature of that.
pub fn anchored_by(says: &[u8], signature: &str) -> Option<String> {
    signer(anchor::NAMESPACE, says, signature)
}

/// What the signature of a commit says.
pub(super) fn of(repo: &Repository, commit: Oid) -> Result<Signature, git2::Error> {
    let objects = repo.odb()?;
    let Some(object) = absent_is_none(objects.read(commit))? else {
        return Ok(Signature::Missing);
    };
    if !has_signature(object.data()) {
        return Ok(Signature::Missing);
    }
    // The object was read, so that a failure is of what it says.
    let Ok((signature, signed)) = repo.extract_signature(&commit, None) else {
        return Ok(Signature::Wrong);
    };
    let signature = signature.as_str().ok();
    let signer = signature.and_then(|signature| signer(NAMESPACE, &signed, signature));
    Ok(signer.map_or(Signature::Wrong, Signature::By))
}

/// Whether a commit has a signature where git looks for one, before its message: libgit2 takes a line of the message for one, too.
fn has_signature(commit: &[u8]) -> bool {
    let mut header = commit
        .split(|byte| *byte == b'\n')
        .take_while(|line| !line.is_empty());
    header.any(|line| line.starts_with(b"gpgsig "))
}

/// The key that made `signature` of `bytes` for `namespace`, on one line; `None` where it is no signature of that.
fn signer(namespace: &str, bytes: &[u8], signature: &str) -> Option<String> {
    let signature = SshSig::from_pem(signature).ok()?;
    let key = PublicKey::from(signature.public_key().clone());
    key.verify(namespace, bytes, &signature).ok()?;
    Some(line(&key))
}

/// The key without its comment, which says nothing and may name a person or a machine.
pub(super) fn line(key: &PublicKey) -> String {
    let plain = PublicKey::new(key.key_data().clone(), "");
    // It fails on keys of unknown kinds only, and those do not parse.
    plain.to_openssh().unwrap_or_default().trim_end().to_owned()
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Reads public keys: lines as in a `.pub` file, or of a file of allowed signers. Empty lines and comments are passed over.
///
/// # Errors
/// [`KeyError::Public`] with the first line that holds no key.
pub(super) fn public_keys(text: &str) -> Result<Vec<PublicKey>, KeyError> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys = lines.map(|line| {
        let start = line.find("ssh-ed25519 ");
        let key = start.map(|at| PublicKey::from_openssh(&line[at..]));
        match key {
            Some(Ok(key)) if key.algorithm() == Algorithm::Ed25519 => Ok(key),
            _ => Err(KeyError::Public(line.to_owned())),
        }
    });
    keys.collect()
}

fn read(text: &SecretString) -> Result<PrivateKey, KeyError> {
    let key = PrivateKey::from_openssh(text.expose_secret())
        .map_err(|error| KeyError::Unusable(format!("the evidence key cannot be read: {error}")))?;
    if key.is_encrypted() {
        let why = "the evidence key has a passphrase, which nobody could type at a restart";
        return Err(KeyError::Unusable(why.to_owned()));
    }
    if key.algorithm() != Algorithm::Ed25519 {
        let why = format!(
            "the evidence key is of kind {}, not ed25519",
            key.algorithm()
        );
        return Err(KeyError::Unusable(why));
    }
    Ok(key)
}

/// Makes a key that only this user may read. Of two that are made at once, one stays.
fn make(path: &Path) -> Result<(), KeyError> {
    let file = |source: std::io::Error| KeyError::File {
        path: path.display().to_string(),
        source,
    };
    let mut seed = [0; 32];
    rand::rngs::SysRng
        .try_fill_bytes(&mut seed)
        .map_err(|error| file(std::io::Error::other(error)))?;
    let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
    let key = PrivateKey::new(pair, "hallpass evidence")
        .and_then(|key| key.to_openssh(LineEnding::LF))
        .map_err(|error| KeyError::Unusable(error.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = || {
        // Written aside and linked, so that nobody reads half a key and nobody's key is overwritten.
        let mut aside = tempfile::NamedTempFile::new_in(folder)?;
        aside.write_all(key.as_bytes())?;
        aside.as_file().sync_all()?;
        match aside.persist_noclobber(path) {
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error.error),
            Ok(_) => File::open(folder)?.sync_all(),
        }
    };
    written().map_err(file)
}
