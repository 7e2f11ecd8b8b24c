//! Accounts and groups that are called otherwise by now, stand elsewhere, are others, or cannot be told.

use hallpass::domain::model::Access;
use hallpass::providers::Provider as _;
use ldap3::Mod;

use super::server::SUFFIX;
use super::{World, refusal, unknown};

/// A group `ops`, given to `ada`; what was given, with the ids that the directory told.
async fn given(name: &'static str) -> (World, Access) {
    let world = World::new(name).await;
    world.add_group_of_names("ops", "cn=nobody").await;
    let access = known(&world).await;
    (world, access)
}

async fn known(world: &World) -> Access {
    let granted = world.grant("ada", "ops").await.unwrap();
    let mut access = world.access("ada", "ops");
    access.account.id = granted.account_id;
    access.entitlement_id = granted.entitlement_id;
    access
}

impl World {
    async fn members(&self, group: &str) -> Vec<String> {
        let mut members = self.server.values(&self.group(group), "member").await;
        members.retain(|member| !member.eq_ignore_ascii_case("cn=nobody"));
        members
    }

    /// A part of the branch that is neither for accounts nor for groups.
    async fn elsewhere(&self) -> String {
        let dn = format!("ou=elsewhere,ou={},{SUFFIX}", self.name);
        self.server.add_unit(&dn).await;
        dn
    }

    /// `ada` stands elsewhere by now, and groups know that.
    async fn move_ada(&self) -> String {
        let (old, elsewhere) = (self.person("ada"), self.elsewhere().await);
        self.server.rename(&old, "uid=ada", Some(&elsewhere)).await;
        let new = format!("uid=ada,{elsewhere}");
        let groups = format!("ou=groups,ou={},{SUFFIX}", self.name);
        self.server.mend(&groups, &old, Some(&new)).await;
        new
    }
}

#[tokio::test]
async fn an_account_that_was_moved_out_of_the_base_still_loses_what_it_was_given() {
    let (world, access) = given("moved").await;
    let ada = world.move_ada().await;
    assert_eq!(world.members("ops").await, [ada.as_str()]);
    // Without its id it may be another of this name.
    let revoked = world.revoke("ada", "ops").await.unwrap();
    let [way] = revoked.still_effective_through.try_into().unwrap();
    assert!(
        way.starts_with(&format!("{ada}, which has the name")),
        "{way}"
    );
    assert_eq!(world.members("ops").await, [ada]);

    let revoked = world.revoke_of(&access).await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
    assert_eq!(world.members("ops").await, [""; 0]);
}

#[tokio::test]
async fn an_account_that_was_moved_and_is_in_a_group_within_the_group_is_named() {
    let (world, access) = given("movednested").await;
    world
        .add_group_of_names("inner", &world.person("ada"))
        .await;
    let (ops, inner) = (world.group("ops"), world.group("inner"));
    world.server.modify(&ops, Mod::Add, "member", &inner).await;
    world.move_ada().await;
    let revoked = world.revoke_of(&access).await.unwrap();
    let way = format!("membership of {inner}, which is in it");
    assert_eq!(revoked.still_effective_through, [way]);
    assert_eq!(world.members("ops").await, [inner]);
}

#[tokio::test]
async fn an_account_whose_id_or_name_is_hidden_is_not_gone() {
    let (mut world, access) = given("dim").await;
    world
        .add_group_of_names("inner", &world.person("ada"))
        .await;
    world
        .add_group_of_names("outer", &world.group("inner"))
        .await;
    world.reconnect(|how| how.bind_dn = format!("cn=dim,{SUFFIX}"));
    for access in [access.clone(), world.access("ada", "ops")] {
        let revoked = world.revoke_of(&access).await.unwrap();
        let ways = revoked.still_effective_through;
        assert!(ways[0].starts_with(&world.person("ada")), "{ways:?}");
    }
    let mut nested = world.access("ada", "outer");
    nested.account.id = access.account.id;
    let revoked = world.revoke_of(&nested).await.unwrap();
    let ways = revoked.still_effective_through;
    assert!(ways[0].starts_with(&world.person("ada")), "{ways:?}");
}

#[tokio::test]
async fn what_the_account_left_in_the_group_does_not_pass_to_who_has_its_name_next() {
    let (world, access) = given("heir").await;
    let (ada, ops) = (world.person("ada"), world.group("ops"));
    let changed = world.server.values(&ops, "modifyTimestamp").await;
    // Directories tell times in seconds.
    loop {
        world.server.delete(&ada).await;
        world.add_person("ada").await;
        if world.server.values(&ada, "createTimestamp").await > changed {
            break;
        }
    }
    assert_eq!(world.members("ops").await, [ada.as_str()]);
    let revoked = world.revoke_of(&access).await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
    assert_eq!(world.members("ops").await, [""; 0]);

    // What somebody gave to the new one is not ours to take.
    world.server.modify(&ops, Mod::Add, "member", &ada).await;
    world.revoke_of(&access).await.unwrap();
    assert_eq!(world.members("ops").await, [ada]);
}

#[tokio::test]
async fn a_member_that_cannot_be_read_may_be_the_account_or_a_group_that_has_it() {
    let (world, access) = given("unread").await;
    let secret = format!("cn=secret,{}", world.elsewhere().await);
    let person = [
        ("objectClass", "group"),
        ("cn", "secret"),
        ("member", &*world.person("ada")),
    ];
    world.server.add(&secret, &person).await;
    let ops = world.group("ops");
    world.server.modify(&ops, Mod::Add, "member", &secret).await;
    let revoked = world.revoke_of(&access).await.unwrap();
    let [way] = revoked.still_effective_through.try_into().unwrap();
    assert!(
        way.starts_with(&secret) && way.contains("cannot be read"),
        "{way}"
    );
    assert_eq!(world.members("ops").await, [secret.as_str()]);

    // The same where the account is gone, until the member is.
    world.grant("ada", "ops").await.unwrap();
    world.server.delete(&world.person("ada")).await;
    let revoked = world.revoke_of(&access).await.unwrap();
    assert_eq!(revoked.still_effective_through, [way]);
    world
        .server
        .modify(&ops, Mod::Delete, "member", &secret)
        .await;
    let revoked = world.revoke_of(&access).await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
}

#[tokio::test]
async fn a_group_elsewhere_that_is_in_the_group_and_has_the_account_is_named() {
    let (world, access) = given("beyond").await;
    let beyond = format!("cn=beyond,{}", world.elsewhere().await);
    let group = [
        ("objectClass", "group"),
        ("cn", "beyond"),
        ("member", &*world.person("ada")),
    ];
    world.server.add(&beyond, &group).await;
    let ops = world.group("ops");
    world.server.modify(&ops, Mod::Add, "member", &beyond).await;
    let revoked = world.revoke_of(&access).await.unwrap();
    let way = format!("membership of {beyond}, which is in it");
    assert_eq!(revoked.still_effective_through, [way]);
    world
        .server
        .modify(&beyond, Mod::Delete, "member", &world.person("ada"))
        .await;
    let revoked = world.revoke_of(&access).await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
}

#[tokio::test]
async fn a_group_among_the_accounts_that_is_in_the_group_and_has_the_account_is_named() {
    let (world, access) = given("among").await;
    let among = format!("cn=among,{}", world.people());
    let group = [
        ("objectClass", "group"),
        ("cn", "among"),
        ("member", &*world.person("ada")),
    ];
    world.server.add(&among, &group).await;
    let ops = world.group("ops");
    world.server.modify(&ops, Mod::Add, "member", &among).await;
    let revoked = world.revoke_of(&access).await.unwrap();
    let way = format!("membership of {among}, which is in it");
    assert_eq!(revoked.still_effective_through, [way]);
}

#[tokio::test]
async fn a_group_that_was_renamed_is_the_same_and_one_that_was_moved_away_is_for_a_person() {
    let (world, access) = given("renamedgroup").await;
    world
        .server
        .rename(&world.group("ops"), "cn=oncall", None)
        .await;
    world.revoke_of(&access).await.unwrap();
    assert_eq!(world.members("oncall").await, [""; 0]);

    world
        .server
        .rename(&world.group("oncall"), "cn=ops", None)
        .await;
    let access = known(&world).await;
    let elsewhere = world.elsewhere().await;
    world
        .server
        .rename(&world.group("ops"), "cn=ops", Some(&elsewhere))
        .await;
    // Another has its name.
    world.add_group_of_names("ops", "cn=nobody").await;
    let error = world.revoke_of(&access).await.unwrap_err();
    assert!(
        refusal(&error).contains(&format!("\"cn=ops,{elsewhere}\"")),
        "{error}"
    );
    let moved = format!("cn=ops,{elsewhere}");
    world
        .server
        .modify(&moved, Mod::Delete, "member", &world.person("ada"))
        .await;
    let revoked = world.revoke_of(&access).await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);
}

#[tokio::test]
async fn what_goes_on_goes_on_for_nobody_else_and_with_nothing_else() {
    let (world, access) = given("goeson").await;
    let again = world.grant_of(&access).await.unwrap();
    assert_eq!(again.account_id, access.account.id);
    assert_eq!(again.entitlement_id, access.entitlement_id);
    let mut another = access.clone();
    another.account.id = Some("00000000-0000-0000-0000-000000000000".to_owned());
    let error = world.grant_of(&another).await.unwrap_err();
    assert!(unknown(&error).contains("another account"), "{error}");
    let mut another = access.clone();
    another.entitlement_id = another.account.id;
    another.account.id = access.account.id;
    let error = world.grant_of(&another).await.unwrap_err();
    assert!(refusal(&error).contains("another group"), "{error}");
}

#[tokio::test]
async fn of_two_last_who_administer_the_domain_one_stays_though_both_are_taken_at_once() {
    let world = World::new("lasttwo").await;
    world.add_person("grace").await;
    let (ada, grace) = (world.person("ada"), world.person("grace"));
    world
        .add_group("admins", "group", &[("adminCount", "1")])
        .await;
    for _ in 0..8 {
        for who in [&ada, &grace] {
            if !world.members("admins").await.contains(who) {
                let admins = world.group("admins");
                world.server.modify(&admins, Mod::Add, "member", who).await;
            }
        }
        let takes = ["ada", "grace"].map(|account| world.revoke(account, "admins"));
        let taken = futures_util::future::join_all(takes).await;
        assert_eq!(world.members("admins").await.len(), 1, "{taken:?}");
        let refused: Vec<_> = taken.into_iter().filter_map(Result::err).collect();
        assert!(refusal(&refused[0]).contains("last member"), "{refused:?}");
    }
}

#[tokio::test]
async fn long_lists_are_read_in_parts_and_longer_ones_refused() {
    let world = World::new("long").await;
    world.add_group_of_names("ops", "cn=nobody").await;
    let ada = world.person("ada");
    let mut admin = world.server.admin().await;
    for n in 0..600 {
        let dn = world.group(&format!("some{n}"));
        let some: Vec<(&str, std::collections::HashSet<&str>)> = vec![
            ("objectClass", ["groupOfNames"].into()),
            ("member", [ada.as_str()].into()),
        ];
        admin.add(&dn, some).await.unwrap().success().unwrap();
    }
    world.grant("ada", "ops").await.unwrap();
    let revoked = world.revoke("ada", "ops").await.unwrap();
    assert_eq!(revoked.still_effective_through, [""; 0]);

    let names: Vec<String> = (0..20_001).map(|n| format!("u{n}")).collect();
    let mut crowd = vec![("gidNumber", "7000")];
    crowd.extend(names.iter().map(|name| ("memberUid", name.as_str())));
    world.add_group("crowd", "posixGroup", &crowd).await;
    let entitlement = world.access("ada", "crowd").entitlement;
    let listed = hallpass::providers::Provider::holders(&world.provider, &entitlement).await;
    let error = listed.unwrap_err();
    assert!(refusal(&error).contains("more than 20000"), "{error}");
}

#[tokio::test]
async fn an_account_was_last_used_at_its_last_sign_in() {
    let world = World::new("used").await;
    world.add_person("unused").await;
    let ada = world.person("ada");
    let password = Mod::Add(b"userPassword".to_vec(), [b"secret".to_vec()].into());
    let mut admin = world.server.admin().await;
    let changed = admin.modify(&ada, vec![password]).await;
    changed.unwrap().success().unwrap();
    let account = |name: &str| world.access(name, "ops").account;
    let used = async |name: &str| world.provider.last_used(&account(name)).await.unwrap();
    assert_eq!(used("ada").await, None);
    let url = format!("ldap://{}", world.server.address());
    let (connection, mut ldap) = ldap3::LdapConnAsync::new(&url).await.unwrap();
    tokio::spawn(connection.drive());
    let bound = ldap.simple_bind(&ada, "secret").await.unwrap();
    bound.success().unwrap();
    let known = used("ada").await.expect("a sign-in");
    let noted = world.server.values(&ada, "pwdLastSuccess").await;
    let [noted] = noted.try_into().unwrap();
    let said = known.format("%Y%m%d%H%M%S").to_string();
    assert!(noted.starts_with(&said), "{noted} {said}");
    assert_eq!(used("unused").await, None);
    assert_eq!(used("nobody-at-all").await, None);
}
