//! SCIM's own shapes (RFC 7643 and 7644), as far as they are needed.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The media type (RFC 7644, 3.1).
pub(super) const MEDIA: &str = "application/scim+json";

/// What an error says that it is (RFC 7644, 3.12).
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

#[derive(Deserialize)]
struct Said {
    schemas: Vec<String>,
}

/// Whether the server itself says no, and not what stands before it.
pub(super) fn is_said(body: &[u8]) -> bool {
    let said = serde_json::from_slice::<Said>(body);
    said.is_ok_and(|said| said.schemas.iter().any(|schema| schema == ERROR))
}

/// One page of a list (RFC 7644, 3.4.2).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    pub total_results: usize,
    /// Absent where there are none.
    #[serde(rename = "Resources")]
    pub resources: Option<Vec<T>>,
}

/// Something with an id that is never given to another (RFC 7643, 3.1).
pub(super) trait Resource {
    fn id(&self) -> &str;
}

/// An account.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub id: String,
    /// Absent where only `groups` was asked for.
    #[serde(default)]
    pub user_name: String,
    active: Option<Active>,
    pub groups: Option<Vec<Reference>>,
}

impl User {
    /// Whether the account may be used. Whoever does not say, means yes.
    pub(super) fn is_active(&self) -> bool {
        self.active.is_none_or(|Active(active)| active)
    }
}

/// Whether an account may be used: some servers say it as text.
#[derive(Debug, Clone, Copy)]
struct Active(bool);

impl<'de> Deserialize<'de> for Active {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(YesOrNo).map(Self)
    }
}

struct YesOrNo;

impl Visitor<'_> for YesOrNo {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or false")
    }

    fn visit_bool<E: Error>(self, active: bool) -> Result<bool, E> {
        Ok(active)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        Ok(!text.eq_ignore_ascii_case("false"))
    }
}

impl Resource for User {
    fn id(&self) -> &str {
        &self.id
    }
}

/// A group.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    pub id: String,
    #[serde(default)]
    pub display_name: String,
    /// Absent where there are none, or where the server keeps them to itself.
    pub members: Option<Vec<Reference>>,
}

impl Group {
    /// Whether it has the member directly.
    pub(super) fn has(&self, id: &str) -> bool {
        self.members().any(|member| member.value == id)
    }

    /// Whether it shows no member at all: some servers keep members to themselves, by leaving them out or by an empty list.
    pub(super) fn tells_no_member(&self) -> bool {
        self.members().next().is_none()
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &Reference> {
        self.members.iter().flatten()
    }
}

impl Resource for Group {
    fn id(&self) -> &str {
        &self.id
    }
}

/// A member of a group, or a group of a user.
#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    pub value: String,
    /// Of a member `User` or `Group`, of a group `direct` or `indirect`.
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(rename = "$ref")]
    address: Option<String>,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberKind {
    User,
    Group,
    /// The server does not say.
    Untold,
}

impl Reference {
    pub(super) fn member_kind(&self) -> MemberKind {
        let says = |word: &str| {
            let kind = self.kind.as_deref();
            let address = self.address.as_deref().unwrap_or_default();
            kind.is_some_and(|kind| kind.eq_ignore_ascii_case(word))
                || address.contains(&format!("/{word}s/"))
        };
        match (says("Group"), says("User")) {
            (true, _) => MemberKind::Group,
            (_, true) => MemberKind::User,
            _ => MemberKind::Untold,
        }
    }

    pub(super) fn is_indirect(&self) -> bool {
        let kind = self.kind.as_deref();
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case("indirect"))
    }
}

/// A change of a group (RFC 7644, 3.5.2).
#[derive(Debug, Serialize)]
pub(super) struct Patch {
    schemas: [&'static str; 1],
    #[serde(rename = "Operations")]
    operations: [Operation; 1],
}

#[derive(Debug, Serialize)]
struct Operation {
    op: &'static str,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<[NewMember; 1]>,
}

#[derive(Debug, Serialize)]
struct NewMember {
    value: String,
}

impl Patch {
    fn of(operation: Operation) -> Self {
        Self {
            schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            operations: [operation],
        }
    }

    /// Adds one member.
    pub(super) fn add(id: &str) -> Self {
        Self::of(Operation {
            op: "add",
            path: "members".to_owned(),
            value: Some([NewMember {
                value: id.to_owned(),
            }]),
        })
    }

    /// Removes one member, by a filter: `remove` of `members` with a value, or without, clears the group on some servers.
    pub(super) fn remove(id: &str) -> Self {
        Self::of(Operation {
            op: "remove",
            path: format!("members[{}]", equals("value", id)),
            value: None,
        })
    }
}

/// A filter for one value, which is written as JSON writes it (RFC 7644, 3.4.2.2). Okta's own API takes the same.
pub(in crate::providers) fn equals(attribute: &str, value: &str) -> String {
    format!("{attribute} eq {}", serde_json::Value::from(value))
}
