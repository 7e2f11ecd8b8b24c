//! Whatever an account is called, a directory is asked about exactly that name, and exactly that account's membership changes.
#![no_main]

use std::sync::{LazyLock, Mutex};

use hallpass::domain::model::{Access, Account, ConnectionName, UserId};
use hallpass::domain::target::Order;
use hallpass::providers::Provider;
use hallpass::providers::ldap::{Connecting, Ldap};
use hallpass_fuzz::approved::approved;
use hallpass_fuzz::{alone, now, wait};
use lber::common::TagClass;
use lber::structure::{PL, StructureTag};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

const PEOPLE: &str = "ou=people,dc=example,dc=org";
const GROUPS: &str = "ou=groups,dc=example,dc=org";
const GROUP: &str = "cn=ro,ou=groups,dc=example,dc=org";
const ID: &str = "0a1b2c3d-0000-4000-8000-0123456789ab";

/// What a filter asks, where it is one of those that the program asks.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Filter {
    Present(Vec<u8>),
    /// One of these attributes has the value beside it.
    Equal(Vec<(Vec<u8>, Vec<u8>)>),
}

/// What the server has, and what it was asked.
#[derive(Debug, Default)]
struct Directory {
    /// What the account is called.
    name: Vec<u8>,
    /// Its distinguished name.
    account: String,
    is_member: bool,
    searches: Vec<(String, Filter)>,
    changes: Vec<(u8, String, Vec<u8>)>,
}

static DIRECTORY: LazyLock<Mutex<Directory>> = LazyLock::new(Mutex::default);

fn parts(tag: StructureTag) -> Vec<StructureTag> {
    match tag.payload {
        PL::C(parts) => parts,
        PL::P(_) => panic!("a part that has none: {tag:?}"),
    }
}

fn bytes(tag: StructureTag) -> Vec<u8> {
    match tag.payload {
        PL::P(bytes) => bytes,
        PL::C(_) => panic!("a part that has parts: {tag:?}"),
    }
}

fn text(tag: StructureTag) -> String {
    String::from_utf8(bytes(tag)).expect("text")
}

fn tag(class: TagClass, id: u64, payload: PL) -> StructureTag {
    StructureTag { class, id, payload }
}

fn octets(bytes: &[u8]) -> StructureTag {
    tag(TagClass::Universal, 4, PL::P(bytes.to_vec()))
}

fn list(id: u64, parts: Vec<StructureTag>) -> StructureTag {
    tag(TagClass::Universal, id, PL::C(parts))
}

/// A result: a code, and two empty texts.
fn result(op: u64, code: u8) -> StructureTag {
    let code = tag(TagClass::Universal, 10, PL::P(vec![code]));
    tag(
        TagClass::Application,
        op,
        PL::C(vec![code, octets(b""), octets(b"")]),
    )
}

fn entry(dn: &str, attributes: &[(&str, &[u8])]) -> StructureTag {
    let one = |(name, value): &(&str, &[u8])| {
        list(
            16,
            vec![octets(name.as_bytes()), list(17, vec![octets(value)])],
        )
    };
    let attributes = list(16, attributes.iter().map(one).collect());
    tag(
        TagClass::Application,
        4,
        PL::C(vec![octets(dn.as_bytes()), attributes]),
    )
}

fn filter(tag: StructureTag) -> Filter {
    match tag.id {
        7 => Filter::Present(bytes(tag)),
        3 => {
            let mut parts = parts(tag).into_iter();
            let mut next = || bytes(parts.next().expect("a part"));
            Filter::Equal(vec![(next(), next())])
        }
        1 => {
            let pairs = parts(tag).into_iter().flat_map(|part| match filter(part) {
                Filter::Equal(pairs) => pairs,
                Filter::Present(attribute) => panic!("anybody with {attribute:?}"),
            });
            Filter::Equal(pairs.collect())
        }
        other => panic!("a filter that nobody meant: {other} {tag:?}"),
    }
}

impl Directory {
    fn search(&mut self, operation: StructureTag) -> Vec<StructureTag> {
        let mut asked = parts(operation).into_iter();
        let base = text(asked.next().expect("a base"));
        let asked = filter(asked.nth(5).expect("a filter"));
        self.searches.push((base.clone(), asked.clone()));
        let is = |attribute: &str, value: &[u8]| {
            asked == Filter::Equal(vec![(attribute.as_bytes().to_vec(), value.to_vec())])
        };
        let present = asked == Filter::Present(b"objectClass".to_vec());
        let id = ("entryUUID", ID.as_bytes());
        let found = if base == PEOPLE && (is("uid", &self.name) || is("entryUUID", ID.as_bytes())) {
            Some(entry(&self.account, &[("uid", &self.name), id]))
        } else if base == GROUP
            && (present || self.is_member && is("member", self.account.as_bytes()))
        {
            Some(entry(GROUP, &[("objectClass", b"groupOfNames"), id]))
        } else if [PEOPLE, GROUPS].contains(&base.as_str()) && present {
            Some(entry(&base, &[("objectClass", b"organizationalUnit"), id]))
        } else {
            None
        };
        found.into_iter().chain([result(5, 0)]).collect()
    }

    fn modify(&mut self, operation: StructureTag) -> StructureTag {
        let mut asked = parts(operation).into_iter();
        let dn = text(asked.next().expect("an entry"));
        for change in parts(asked.next().expect("changes")) {
            let mut change = parts(change).into_iter();
            let op = bytes(change.next().expect("what to do"))[0];
            let mut what = parts(change.next().expect("an attribute")).into_iter();
            let attribute = text(what.next().expect("its name"));
            for value in parts(what.next().expect("values")) {
                let value = bytes(value);
                if dn == GROUP && attribute == "member" && value == self.account.as_bytes() {
                    self.is_member = op == 0;
                }
                self.changes.push((op, format!("{dn} {attribute}"), value));
            }
        }
        result(7, 0)
    }
}

/// Answers one message; `None` at the goodbye.
fn answer(message: StructureTag) -> Option<Vec<u8>> {
    let mut message = parts(message).into_iter();
    let number = message.next().expect("a number");
    let operation = message.next().expect("an operation");
    let mut directory = DIRECTORY.lock().expect("nobody panics and goes on");
    let answers = match operation.id {
        0 => vec![result(1, 0)],
        3 => directory.search(operation),
        6 => vec![directory.modify(operation)],
        _ => return None,
    };
    let mut out = Vec::new();
    for answer in answers {
        let mut buffer = bytes::BytesMut::new();
        lber::write::encode_into(&mut buffer, list(16, vec![number.clone(), answer]))
            .expect("encoded");
        out.extend_from_slice(&buffer);
    }
    Some(out)
}

async fn serve(mut stream: TcpStream) {
    let (mut had, mut buffer) = (Vec::new(), vec![0; 16 << 10]);
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        had.extend_from_slice(&buffer[..n]);
        while let Ok((rest, message)) = lber::parse::parse_tag(&had) {
            let rest = rest.to_vec();
            let Some(said) = answer(message) else { return };
            if stream.write_all(&said).await.is_err() {
                return;
            }
            had = rest;
        }
    }
}

static ADDRESS: LazyLock<String> = LazyLock::new(|| {
    let listener = wait(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    wait(async {
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
    });
    format!("ldap://{address}")
});

fn connect(groups: &str) -> Option<Ldap> {
    let how = Connecting {
        url: Url::parse(&ADDRESS).expect("an address"),
        starttls: false,
        ca: None,
        bind_dn: "cn=hallpass,dc=example,dc=org".to_owned(),
        password: "secret".into(),
        accounts: PEOPLE.to_owned(),
        account_attribute: "uid".to_owned(),
        groups: groups.to_owned(),
        placeholder: None,
    };
    Ldap::new(ConnectionName::new("db").expect("a name"), how).ok()
}

/// A value in a distinguished name: RFC 4514, 2.4, with every byte that could mean something written as two digits.
fn escaped(value: &str) -> String {
    let one = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(b).to_string(),
        other => format!("\\{other:02x}"),
    };
    value.bytes().map(one).collect()
}

/// Gives to and takes from an account of this name.
fn names(name: &str) {
    if name.is_empty() || name.contains('\0') {
        return;
    }
    let account = format!("uid={},{PEOPLE}", escaped(name));
    *DIRECTORY.lock().expect("nobody panics and goes on") = Directory {
        name: name.as_bytes().to_vec(),
        account: account.clone(),
        ..Directory::default()
    };
    let access = Access {
        connection: ConnectionName::new("db").expect("a name"),
        account: Account {
            name: name.to_owned(),
            github_id: Some(UserId(1)),
            id: None,
        },
        entitlement: serde_json::json!({ "group": GROUP }),
        entitlement_id: None,
    };
    let order = Order {
        reference: "orders/request@0123456789ab".to_owned(),
        ends: now(),
    };
    let provider = connect(GROUPS).expect("a directory");
    let given = wait(provider.grant(&approved(&access), &order));
    let said = |what: &str| {
        let directory = DIRECTORY.lock().expect("nobody panics and goes on");
        let expected = |(_, asked): &(String, Filter)| match asked {
            Filter::Present(attribute) => attribute == b"objectClass",
            Filter::Equal(pairs) => pairs.iter().all(|(attribute, value)| match &attribute[..] {
                b"uid" => value == name.as_bytes(),
                b"member" | b"uniqueMember" => [account.as_str(), GROUP]
                    .iter()
                    .any(|dn| dn.as_bytes() == value),
                b"entryUUID" => value == ID.as_bytes(),
                _ => false,
            }),
        };
        let odd: Vec<_> = directory.searches.iter().filter(|s| !expected(s)).collect();
        assert!(odd.is_empty(), "{what} {name:?} asks {odd:?}");
        (directory.is_member, directory.changes.clone())
    };
    let member = (format!("{GROUP} member"), account.clone().into_bytes());
    let (is_member, changes) = said("giving to");
    assert!(given.is_ok() && is_member, "{name:?}: {given:?}");
    assert_eq!(changes, [(0, member.0.clone(), member.1.clone())]);
    let taken = wait(provider.revoke(&access, &order));
    let (is_member, changes) = said("taking from");
    assert!(!is_member, "{name:?}: {taken:?}");
    assert_eq!(changes[1..], [(1, member.0, member.1)]);
}

/// A group counts as below the base exactly where its name ends in the base's parts, however both are written.
fn folders(texts: &[String]) {
    let texts: Vec<&String> = texts.iter().filter(|t| !t.is_empty()).take(6).collect();
    let (Some(first), 3..) = (texts.first(), texts.len()) else {
        return;
    };
    let part = |value: &&String| format!("ou={}", escaped(value));
    let written = |parts: &[&String]| parts.iter().map(part).collect::<Vec<_>>().join(",");
    let base = &texts[2..];
    let provider = connect(&written(base)).expect("a distinguished name");
    let reaches = |group: String| {
        DIRECTORY
            .lock()
            .expect("nobody panics and goes on")
            .searches
            .clear();
        // There is no such group: it is about how far the question goes.
        let listed = wait(provider.holders(&serde_json::json!({ "group": group })));
        assert!(listed.is_err());
        !DIRECTORY
            .lock()
            .expect("nobody panics and goes on")
            .searches
            .is_empty()
    };
    assert!(reaches(format!("cn={},{}", escaped(first), written(base))));
    assert!(reaches(written(&texts[1..])));
    // Spaces around separators and the case of attributes mean nothing.
    assert!(reaches(written(&texts).replace(",ou=", " , OU=")));
    // A separator that is escaped is no separator, and what is in front says nothing of what is behind.
    assert!(!reaches(format!(
        "cn={}",
        escaped(&format!("x,{}", written(base)))
    )));
    let outside = format!("{},ou=elsewhere", written(base));
    let ends_alike = base
        .last()
        .is_some_and(|last| last.to_lowercase() == "elsewhere");
    assert!(ends_alike || !reaches(outside));
}

// A name; or, after `d`, parts of a distinguished name with bytes between them that are in no text.
fuzz_target!(init: alone(), |data: &[u8]| {
    match data.split_first() {
        Some((b'd', rest)) => {
            let texts = rest.split(|b| *b == 0xff);
            let texts: Vec<String> = texts.map(|t| String::from_utf8_lossy(t).into_owned()).collect();
            folders(&texts);
        }
        Some((_, rest)) => names(&String::from_utf8_lossy(rest)),
        None => {}
    }
});
