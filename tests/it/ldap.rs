//! Membership of groups in a real OpenLDAP directory.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod contract;
mod identity;
mod refusals;
mod server;

use hallpass::domain::ledger::{Granted, Holder, Revoked};
use hallpass::domain::model::{Access, Account, UserId};
use hallpass::providers::ldap::{Connecting, Ldap};
use hallpass::providers::{Provider, ProviderError};
use ldap3::Mod;
use secrecy::SecretString;
use serde_json::json;

use crate::contract::approved::approved;
use crate::contract::{connection, order};
use server::{SUFFIX, Server, person};

/// A connection to one test's branch of the tree.
fn connecting(branch: &str, url: &str, password: &str) -> Connecting {
    Connecting {
        url: url.parse().unwrap(),
        starttls: false,
        ca: None,
        bind_dn: format!("cn=hallpass,{SUFFIX}"),
        password: SecretString::from(password),
        accounts: format!("ou=people,ou={branch},{SUFFIX}"),
        account_attribute: "uid".to_owned(),
        groups: format!("ou=groups,ou={branch},{SUFFIX}"),
        placeholder: Some("cn=Nobody".to_owned()),
    }
}

async fn branch(server: &Server, name: &str) {
    let base = format!("ou={name},{SUFFIX}");
    server.add_unit(&base).await;
    for unit in ["people", "groups"] {
        server.add_unit(&format!("ou={unit},{base}")).await;
    }
}

/// One test's branch: an account `ada`, and groups as the test makes them.
struct World {
    server: &'static Server,
    name: &'static str,
    provider: Ldap,
}

impl World {
    async fn new(name: &'static str) -> Self {
        let server = Server::shared();
        branch(server, name).await;
        let how = connecting(name, &format!("ldap://{}", server.address()), "secret");
        let world = Self {
            server,
            name,
            provider: Ldap::new(connection(), how).unwrap(),
        };
        world.add_person("ada").await;
        world
    }

    /// The same with other settings.
    async fn with(name: &'static str, change: impl FnOnce(&mut Connecting)) -> Self {
        let mut world = Self::new(name).await;
        world.reconnect(change);
        world
    }

    fn reconnect(&mut self, change: impl FnOnce(&mut Connecting)) {
        let url = format!("ldap://{}", self.server.address());
        let mut how = connecting(self.name, &url, "secret");
        change(&mut how);
        self.provider = Ldap::new(connection(), how).unwrap();
    }

    fn people(&self) -> String {
        format!("ou=people,ou={},{SUFFIX}", self.name)
    }

    fn person(&self, uid: &str) -> String {
        person(&self.people(), uid)
    }

    fn group(&self, name: &str) -> String {
        format!("cn={name},ou=groups,ou={},{SUFFIX}", self.name)
    }

    async fn add_person(&self, uid: &str) {
        let added = self.server.add_person(&self.people(), uid).await;
        assert_eq!(added.rc, 0, "{added}");
    }

    /// A group of a class with what else it must have.
    async fn add_group(&self, name: &str, class: &str, more: &[(&str, &str)]) {
        let mut attributes = vec![("objectClass", class), ("cn", name)];
        attributes.extend(more);
        self.server.add(&self.group(name), &attributes).await;
    }

    async fn add_group_of_names(&self, name: &str, member: &str) {
        self.add_group(name, "groupOfNames", &[("member", member)])
            .await;
    }

    fn access(&self, account: &str, group: &str) -> Access {
        Access {
            connection: connection(),
            account: Account {
                name: account.to_owned(),
                github_id: Some(UserId(1)),
                id: None,
            },
            entitlement: json!({ "group": self.group(group) }),
            entitlement_id: None,
        }
    }

    async fn grant(&self, account: &str, group: &str) -> Result<Granted, ProviderError> {
        self.grant_of(&self.access(account, group)).await
    }

    async fn grant_of(&self, access: &Access) -> Result<Granted, ProviderError> {
        self.provider.grant(&approved(access), &order()).await
    }

    async fn revoke(&self, account: &str, group: &str) -> Result<Revoked, ProviderError> {
        self.revoke_of(&self.access(account, group)).await
    }

    async fn revoke_of(&self, access: &Access) -> Result<Revoked, ProviderError> {
        self.provider.revoke(access, &order()).await
    }

    async fn holders(&self, group: &str) -> Vec<Holder> {
        let entitlement = json!({ "group": self.group(group) });
        self.provider.holders(&entitlement).await.unwrap()
    }

    async fn names(&self, group: &str) -> Vec<String> {
        let holders = self.holders(group).await.into_iter();
        holders.map(|holder| holder.name).collect()
    }
}

fn refusal(error: &ProviderError) -> String {
    assert!(matches!(error, ProviderError::Refused { .. }), "{error:?}");
    error.to_string()
}

fn unknown(error: &ProviderError) -> String {
    assert!(
        matches!(error, ProviderError::UnknownSubject { .. }),
        "{error:?}"
    );
    error.to_string()
}

#[tokio::test]
async fn each_kind_of_group_is_kept_in_its_own_way() {
    let world = World::new("styles").await;
    world.add_group_of_names("names", "cn=nobody").await;
    world
        .add_group(
            "unique",
            "groupOfUniqueNames",
            &[("uniqueMember", "cn=nobody")],
        )
        .await;
    world
        .add_group("posix", "posixGroup", &[("gidNumber", "5000")])
        .await;
    world.add_group("domain", "group", &[]).await;
    for (group, attribute, value) in [
        ("names", "member", world.person("ada")),
        ("unique", "uniqueMember", world.person("ada")),
        ("posix", "memberUid", "ada".to_owned()),
        ("domain", "member", world.person("ada")),
    ] {
        for _ in 0..2 {
            world.grant("ada", group).await.unwrap();
            let values = world.server.values(&world.group(group), attribute).await;
            assert!(values.contains(&value), "{group}: {values:?}");
            assert_eq!(world.names(group).await, ["ada"], "{group}");
        }
        for _ in 0..2 {
            world.revoke("ada", group).await.unwrap();
            let values = world.server.values(&world.group(group), attribute).await;
            assert!(!values.contains(&value), "{group}: {values:?}");
            assert_eq!(world.names(group).await, [""; 0], "{group}");
        }
    }
}

#[tokio::test]
async fn the_last_member_makes_place_for_the_placeholder_who_is_no_holder() {
    let mut world = World::new("last").await;
    world.add_group_of_names("ops", &world.person("ada")).await;
    world.reconnect(|how| how.placeholder = None);
    let error = world.revoke("ada", "ops").await.unwrap_err();
    assert!(refusal(&error).contains("set `placeholder`"), "{error}");
    assert_eq!(world.names("ops").await, ["ada"]);

    world.reconnect(|_| {});
    let revoked = world.revoke("ada", "ops").await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
    let members = world.server.values(&world.group("ops"), "member").await;
    assert_eq!(members, ["cn=Nobody"]);
    assert_eq!(world.names("ops").await, [""; 0]);
    world.grant("ada", "ops").await.unwrap();
    world.revoke("ada", "ops").await.unwrap();
}

#[tokio::test]
async fn a_group_within_the_group_is_named_until_somebody_has_removed_it() {
    let world = World::new("nested").await;
    world
        .add_group_of_names("inner", &world.person("ada"))
        .await;
    world
        .add_group_of_names("middle", &world.group("inner"))
        .await;
    world
        .add_group_of_names("outer", &world.group("middle"))
        .await;
    // A ring has no end.
    world
        .server
        .modify(
            &world.group("inner"),
            Mod::Add,
            "member",
            world.group("outer"),
        )
        .await;
    world.grant("ada", "outer").await.unwrap();
    let revoked = world.revoke("ada", "outer").await.unwrap();
    let way = format!("membership of {}, which is in it", world.group("inner"));
    assert_eq!(revoked.still_effective_through, [way]);
    assert_eq!(world.names("outer").await, [world.group("middle")]);
    world
        .server
        .modify(
            &world.group("inner"),
            Mod::Delete,
            "member",
            world.person("ada"),
        )
        .await;
    let revoked = world.revoke("ada", "outer").await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
}

#[tokio::test]
async fn an_accounts_primary_group_is_named() {
    let world = World::new("primary").await;
    world
        .add_group("staff", "posixGroup", &[("gidNumber", "6000")])
        .await;
    let ada = world.person("ada");
    let posix = [
        ("objectClass", "posixAccount"),
        ("uidNumber", "7"),
        ("gidNumber", "6000"),
        ("homeDirectory", "/"),
    ];
    let mut admin = world.server.admin().await;
    let changes = posix
        .map(|(name, value)| Mod::Add(name, std::collections::HashSet::from([value])))
        .to_vec();
    admin
        .modify(&ada, changes)
        .await
        .unwrap()
        .success()
        .unwrap();
    world.grant("ada", "staff").await.unwrap();
    let revoked = world.revoke("ada", "staff").await.unwrap();
    assert_eq!(
        revoked.still_effective_through,
        ["its primary group, which this is"]
    );
}

#[tokio::test]
async fn an_account_is_written_in_one_way_and_is_one_entry() {
    let world = World::new("spelt").await;
    world.add_group_of_names("ops", "cn=nobody").await;
    for odd in ["Ada", " ada", "ada "] {
        let error = world.grant(odd, "ops").await.unwrap_err();
        assert!(
            unknown(&error).contains("written \"ada\""),
            "{odd}: {error}"
        );
    }
    for odd in ["*", "ad*", "ada)(uid=*", "", "\0"] {
        unknown(&world.grant(odd, "ops").await.unwrap_err());
    }
    world
        .server
        .add_unit(&format!("ou=left,{}", world.people()))
        .await;
    let added = world
        .server
        .add_person(&format!("ou=left,{}", world.people()), "ada")
        .await;
    assert_eq!(added.rc, 0, "{added}");
    let error = world.grant("ada", "ops").await.unwrap_err();
    assert!(unknown(&error).contains("several entries"), "{error}");
    unknown(&world.revoke("ada", "ops").await.unwrap_err());
}

#[tokio::test]
async fn a_name_in_another_case_is_the_same_account_in_a_posix_group() {
    let world = World::new("cases").await;
    world
        .add_group(
            "unix",
            "posixGroup",
            &[
                ("gidNumber", "5001"),
                ("memberUid", "ADA"),
                ("memberUid", "bob"),
            ],
        )
        .await;
    world.grant("ada", "unix").await.unwrap();
    world.revoke("ada", "unix").await.unwrap();
    let members = world.server.values(&world.group("unix"), "memberUid").await;
    assert_eq!(members, ["bob"]);
    assert_eq!(world.names("unix").await, ["bob"]);
}

#[tokio::test]
async fn a_renamed_account_loses_what_it_was_given_under_its_old_name() {
    let world = World::new("renamed").await;
    world.add_group_of_names("ops", "cn=nobody").await;
    let id = world.grant("ada", "ops").await.unwrap().account_id.unwrap();
    let mut admin = world.server.admin().await;
    let renamed = admin
        .modifydn(&world.person("ada"), "uid=grace", true, None)
        .await;
    renamed.unwrap().success().unwrap();
    // Without the overlay `refint` the group keeps the old name; here somebody has mended that by hand.
    let group = world.group("ops");
    world
        .server
        .modify(&group, Mod::Add, "member", world.person("grace"))
        .await;
    let mut access = world.access("ada", "ops");
    access.account.id = Some(id);
    let revoked = world.provider.revoke(&access, &order()).await.unwrap();
    assert!(
        revoked.read_back.starts_with("grace is no member"),
        "{revoked:?}"
    );
    let members = world.server.values(&group, "member").await;
    assert!(!members.contains(&world.person("grace")), "{members:?}");
}

#[tokio::test]
async fn what_an_account_that_is_gone_left_in_the_group_is_removed() {
    let world = World::new("left").await;
    world.add_group_of_names("ops", "cn=nobody").await;
    world
        .add_group("unix", "posixGroup", &[("gidNumber", "5002")])
        .await;
    for group in ["ops", "unix"] {
        world.grant("ada", group).await.unwrap();
    }
    world.server.delete(&world.person("ada")).await;
    for group in ["ops", "unix"] {
        let revoked = world.revoke("ada", group).await.unwrap();
        assert!(revoked.read_back.contains("is removed"), "{revoked:?}");
    }
    // So whoever is given the name next has nothing.
    world.add_person("ada").await;
    for group in ["ops", "unix"] {
        assert_eq!(world.names(group).await, [""; 0], "{group}");
    }
}
