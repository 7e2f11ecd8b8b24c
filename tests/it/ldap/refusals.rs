//! What is not given, not seen, and not sent.

use hallpass::providers::Provider;
use hallpass::providers::ldap::{Connecting, Ldap};
use ldap3::Mod;
use secrecy::SecretString;
use serde_json::json;

use super::server::SUFFIX;
use super::{World, connecting, refusal};
use crate::contract::approved::approved;
use crate::contract::{connection, order};

#[tokio::test]
async fn what_hallpass_may_not_see_is_not_taken_for_gone() {
    let mut world = World::new("hidden").await;
    world.add_group_of_names("ops", "cn=nobody").await;
    world.grant("ada", "ops").await.unwrap();
    world.reconnect(|how| how.bind_dn = format!("cn=blind,{SUFFIX}"));
    let error = world.revoke("ada", "ops").await.unwrap_err();
    assert!(refusal(&error).contains("may not read it"), "{error}");

    world.reconnect(|how| how.bind_dn = format!("cn=reader,{SUFFIX}"));
    let error = world.revoke("ada", "ops").await.unwrap_err();
    assert!(
        refusal(&error).contains("insufficient access (code 50)"),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("give the account that Hallpass connects with this right"),
        "{error}"
    );
    assert_eq!(world.names("ops").await, ["ada"]);
}

#[tokio::test]
async fn a_member_that_hallpass_may_not_see_is_removed_all_the_same_or_is_not_gone() {
    let mut world = World::new("veiled").await;
    // Of two names the group lists one: asked for both at once, the directory would remove neither.
    let ada = world.person("ada");
    world.server.modify(&ada, Mod::Add, "uid", "countess").await;
    world.add_group_of_names("ops", "cn=nobody").await;
    world.add_group_of_names("lone", &ada).await;
    world
        .add_group(
            "unix",
            "posixGroup",
            &[
                ("gidNumber", "5003"),
                ("memberUid", "ada"),
                ("memberUid", "bob"),
            ],
        )
        .await;
    world.grant("ada", "ops").await.unwrap();
    for (group, attribute, left) in [
        ("ops", "member", "cn=nobody"),
        ("lone", "member", "cn=Nobody"),
        ("unix", "memberUid", "bob"),
    ] {
        let dn = world.group(group);
        let before = world.server.values(&dn, attribute).await;
        world.reconnect(|how| how.bind_dn = format!("cn=veiled,{SUFFIX}"));
        let error = world.revoke("ada", group).await.unwrap_err();
        assert!(
            refusal(&error).contains("insufficient access (code 50)"),
            "{error}"
        );
        assert_eq!(world.server.values(&dn, attribute).await, before);

        world.reconnect(|how| how.bind_dn = format!("cn=writer,{SUFFIX}"));
        for _ in 0..2 {
            world.revoke("ada", group).await.unwrap();
            let members = world.server.values(&dn, attribute).await;
            assert_eq!(members, [left], "{group}");
        }
    }
}

#[tokio::test]
async fn only_groups_below_the_base_and_of_a_known_kind_are_touched() {
    let world = World::new("scope").await;
    world.add_group("role", "organizationalRole", &[]).await;
    let error = world.grant("ada", "role").await.unwrap_err();
    assert!(refusal(&error).contains("none of groupOfNames"), "{error}");
    world
        .server
        .add(
            &format!("cn=admins,{SUFFIX}"),
            &[
                ("objectClass", "groupOfNames"),
                ("cn", "admins"),
                ("member", "cn=nobody"),
            ],
        )
        .await;
    for outside in [
        format!("cn=admins,{SUFFIX}"),
        "no name".to_owned(),
        String::new(),
        format!("cn=x\\,ou=groups,ou=scope,{SUFFIX}"),
    ] {
        let mut access = world.access("ada", "ops");
        access.entitlement = json!({ "group": outside });
        let granted = world.provider.grant(&approved(&access), &order()).await;
        assert!(
            refusal(&granted.unwrap_err()).contains("not the distinguished name of a group below")
        );
    }
}

#[tokio::test]
async fn a_group_that_administers_the_domain_is_not_given() {
    let world = World::new("domain").await;
    world
        .add_group("admins", "group", &[("adminCount", "1")])
        .await;
    let error = world.grant("ada", "admins").await.unwrap_err();
    assert!(refusal(&error).contains("adminCount is 1"), "{error}");
}

#[tokio::test]
async fn the_last_who_administers_the_domain_is_not_taken_out() {
    let world = World::new("lastadmin").await;
    world.add_person("grace").await;
    // By hand: Hallpass gives no such group.
    let (ada, grace) = (world.person("ada"), world.person("grace"));
    let members = [("adminCount", "1"), ("member", &*ada), ("member", &*grace)];
    world.add_group("admins", "group", &members).await;
    let taken = world.revoke("ada", "admins").await.unwrap();
    assert_eq!(taken.still_effective_through, Vec::<String>::new());
    let error = world.revoke("grace", "admins").await.unwrap_err();
    assert!(refusal(&error).contains("last member"), "{error}");
    assert_eq!(world.names("admins").await, ["grace"]);
}

#[tokio::test]
async fn accounts_as_active_directory_keeps_them_are_known_by_their_guid() {
    let world = World::with("guid", |how| {
        how.account_attribute = "sAMAccountName".to_owned()
    })
    .await;
    let base = world.people();
    for (name, guid) in [
        (
            "Grace",
            [0xff_u8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
        ),
        ("Alan", *b"printable bytes!"),
    ] {
        let dn = format!("cn={name},{base}");
        world
            .server
            .add(
                &dn,
                &[
                    ("objectClass", "user"),
                    ("cn", name),
                    ("sAMAccountName", name),
                    ("primaryGroupID", "513"),
                ],
            )
            .await;
        world.server.modify(&dn, Mod::Add, "objectGUID", guid).await;
        world
            .add_group(name, "group", &[("primaryGroupToken", "512")])
            .await;
        let granted = world.grant(name, name).await.unwrap();
        let id: String = guid.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(granted.account_id.as_deref(), Some(id.as_str()));
        assert_eq!(world.holders(name).await[0].id, Some(id.clone()));
        let mut access = world.access("renamed meanwhile", name);
        access.account.id = Some(id);
        world.provider.revoke(&access, &order()).await.unwrap();
        assert_eq!(world.names(name).await, [""; 0]);
    }
    world
        .add_group("users", "group", &[("primaryGroupToken", "513")])
        .await;
    world.grant("Grace", "users").await.unwrap();
    let revoked = world.revoke("Grace", "users").await.unwrap();
    assert_eq!(
        revoked.still_effective_through,
        ["its primary group, which this is"]
    );
}

#[tokio::test]
async fn hallpass_changes_nothing_of_its_own_account_nor_of_the_placeholder() {
    let mut world = World::new("own").await;
    world.add_group_of_names("ops", "cn=nobody").await;
    let (upper, ada) = (world.person("ada").to_uppercase(), world.person("ada"));
    world
        .server
        .modify(&ada, Mod::Add, "userPassword", "secret")
        .await;
    world.reconnect(|how| how.placeholder = Some(upper.clone()));
    let error = world.grant("ada", "ops").await.unwrap_err();
    assert!(refusal(&error).contains("is the placeholder"), "{error}");
    refusal(&world.revoke("ada", "ops").await.unwrap_err());

    // Hallpass as an account among the others.
    let own = format!("cn=hallpass,{SUFFIX}");
    world.reconnect(|how| {
        how.accounts = SUFFIX.to_owned();
        how.account_attribute = "cn".to_owned();
        how.bind_dn = own.to_uppercase();
    });
    let error = world.grant("hallpass", "ops").await.unwrap_err();
    assert!(refusal(&error).contains("Hallpass itself"), "{error}");
    let error = world.revoke("hallpass", "ops").await.unwrap_err();
    assert!(refusal(&error).contains("Hallpass itself"), "{error}");
}

#[tokio::test]
async fn connections_are_protected_by_certificates_that_fit() {
    let mut world = World::new("tls").await;
    world.add_group_of_names("ops", "cn=nobody").await;
    let (plain, tls) = (
        world.server.address().port(),
        world.server.tls_address().port(),
    );
    let (good, bad) = (
        world.server.file("ca.pem"),
        world.server.file("stranger.pem"),
    );
    for (url, starttls) in [
        (format!("ldaps://localhost:{tls}"), false),
        (format!("ldaps://127.0.0.1:{tls}"), false),
        (format!("ldap://localhost:{plain}"), true),
    ] {
        let ca = |file: &std::path::Path| {
            let (url, file) = (url.parse().unwrap(), std::fs::read_to_string(file).unwrap());
            move |how: &mut Connecting| {
                how.url = url;
                how.starttls = starttls;
                how.ca = Some(file);
            }
        };
        world.reconnect(ca(&good));
        world.grant("ada", "ops").await.unwrap();
        world.revoke("ada", "ops").await.unwrap();
        world.reconnect(ca(&bad));
        let error = world.grant("ada", "ops").await.unwrap_err();
        assert!(
            refusal(&error).contains("no protected connection"),
            "{url}: {error}"
        );
    }
}

#[test]
fn a_password_is_never_sent_over_a_network_unprotected() {
    for (url, fine) in [
        ("ldap://ldap.example.org", false),
        ("ldap://10.0.0.1", false),
        ("ldap://localhost.example.org", false),
        ("ldap://[::1]", true),
        ("ldap://127.0.0.1:3890", true),
        ("ldaps://ldap.example.org", true),
    ] {
        let made = Ldap::new(connection(), connecting("x", url, "secret"));
        assert_eq!(made.is_ok(), fine, "{url}");
        let with_starttls = Connecting {
            starttls: true,
            ..connecting("x", url, "secret")
        };
        Ldap::new(connection(), with_starttls).unwrap();
    }
}

#[tokio::test]
async fn a_wrong_password_is_a_matter_for_a_person_and_is_not_repeated() {
    let world = World::with("password", |how| {
        how.password = SecretString::from("canary")
    })
    .await;
    world.add_group_of_names("ops", "cn=nobody").await;
    let error = world.grant("ada", "ops").await.unwrap_err();
    assert!(
        refusal(&error).contains("correct bind_dn or the password"),
        "{error}"
    );
    assert!(
        !format!("{error:?} {:?}", world.provider).contains("canary"),
        "{error:?}"
    );
}
