//! `hallpass list`, `show`, `who` and `access`, in a world with a service: evidence, reviews and checks are real.

use serde_json::json;

use super::{Desk, Example};
use crate::scenario::hearing_and_deaf;
use crate::world::{REPO, World, grant};
use hallpass::domain::model::PullNumber;

/// Fetches what a person's `git fetch` brings, evidence among it.
fn fetch(desk: &Desk, world: &World) {
    let repo = desk.repo();
    let bare = world.sandbox.repository_path(REPO);
    let mut remote = repo.remote_anonymous(bare.to_str().unwrap()).unwrap();
    remote
        .fetch(&["+refs/heads/*:refs/remotes/origin/*"], None, None)
        .unwrap();
}

/// ada's grant of two hours, asked for with the command line, approved, given.
async fn given(world: &World, desk: &Desk) {
    let words = [
        "request",
        "db/readonly",
        "--for",
        "2h",
        "--reason",
        "The orders of some customers look wrong today.",
    ];
    let said = desk.as_person(&world.sandbox, "ada", &words).await;
    assert_eq!(said.code, 0, "{said:?}");
    world.settle().await;
    world.approve(PullNumber(1), "grace").await;
    assert!(world.is_merged(PullNumber(1)));
    assert_eq!(world.holders("reader"), ["ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_on_the_command_line_is_given_and_its_story_is_told() {
    hearing_and_deaf(async |world| {
        let desk = Desk::of(&world.sandbox);
        given(world, &desk).await;
        let said = desk
            .as_person(
                &world.sandbox,
                "ada",
                &["show", "db/ada-readonly", "--json"],
            )
            .await;
        let answer = said.json();
        assert_eq!(
            (said.code, &answer["now"][0]["role"]),
            (0, &json!("db/readonly")),
            "{said:?}"
        );
        assert_eq!(answer["now"][0]["approved_by"], "grace");
        assert_eq!(answer["now"][0]["pull"], 1);
        assert_eq!(answer["owners"], json!(["@acme/dba"]));
        assert!(
            answer["file"]
                .as_str()
                .unwrap()
                .starts_with("person: ada\n")
        );
        let kinds: Vec<&str> = answer["lives"][0]["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["kind"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["requested", "approved", "granted"]);
        let said = desk
            .as_person(&world.sandbox, "ada", &["show", "db/ada-readonly"])
            .await;
        said.has(&[
            "owned by @acme/dba",
            "approved by grace",
            "Granted: ada on db/readonly",
            "reason: The orders of some",
        ]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_what_follows_the_evidence_to_the_end() {
    let world = World::hearing().await;
    let desk = Desk::of(&world.sandbox);
    given(&world, &desk).await;
    let who = async |words: &[&str]| desk.as_person(&world.sandbox, "grace", words).await.json();
    let now = who(&["who", "db", "--json"]).await;
    assert_eq!(now["grants"][0]["subject"], "ada");
    assert_eq!(now["grants"][0]["state"], "live");
    assert_eq!(now["unknown"], json!([]));
    assert_eq!(
        who(&["who", "db/admin", "--json"]).await["grants"],
        json!([])
    );
    assert_eq!(
        who(&["access", "ada", "--json"]).await["grants"][0]["role"],
        "db/readonly"
    );
    assert_eq!(who(&["access", "mei", "--json"]).await["grants"], json!([]));
    // A name that is only part of another's.
    assert_eq!(
        desk.as_person(&world.sandbox, "grace", &["access", "ad"])
            .await
            .code,
        1
    );
    let said = desk
        .as_person(&world.sandbox, "grace", &["who", "bd"])
        .await;
    assert_eq!(said.code, 1, "{said:?}");
    world.advance(chrono::TimeDelta::hours(2)).await;
    assert!(world.holders("reader").is_empty());
    assert_eq!(who(&["who", "db", "--json"]).await["grants"], json!([]));
    let story = who(&["show", "db/ada-readonly", "--json"]).await;
    // Its file stands until the next revert.
    assert_ne!(story["now"][0]["state"], "live");
    assert_eq!(story["lives"][0]["ended"]["cause"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_sees_what_waits_for_them_until_they_have_approved_it() {
    let world = World::new(crate::world::Ears::Hearing, "merge = \"off\"").await;
    let desk = Desk::of(&world.sandbox);
    let text = grant("ada", "readonly", "2h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    let list = async |login: &str| {
        let said = desk
            .as_person(&world.sandbox, login, &["list", "--json"])
            .await;
        assert_eq!(said.code, 0, "{said:?}");
        said.json()
    };
    let of_grace = list("grace").await;
    assert_eq!(of_grace["requests"][0]["waits"], "yes", "{of_grace}");
    assert_eq!(
        of_grace["requests"][0]["check"],
        "Waiting for @acme/dba (0 of 1 approval)"
    );
    assert_eq!(
        of_grace["requests"][0]["grants"],
        json!(["db/ada-incident"])
    );
    let of_ada = list("ada").await;
    assert_eq!(
        (
            &of_ada["requests"][0]["own"],
            &of_ada["requests"][0]["waits"]
        ),
        (&json!(true), &json!("no"))
    );
    assert_eq!(
        list("mallory").await["requests"],
        json!([]),
        "it is none of her business"
    );
    let said = desk.as_person(&world.sandbox, "grace", &["list"]).await;
    said.has(&["Waits for you:", "#1", "Waiting for @acme/dba"]);
    world.approve(pull, "grace").await;
    assert_eq!(list("grace").await["requests"], json!([]));
    // A push after the approval asks for it again.
    world
        .push(
            "ada",
            pull,
            "db/ada-incident",
            &grant("ada", "readonly", "3h"),
        )
        .await;
    assert_eq!(list("grace").await["requests"][0]["waits"], "yes");
    world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_or_evidence_each_command_says_what_it_does_not_know() {
    let world = World::hearing().await;
    let desk = Desk::of(&world.sandbox);
    given(&world, &desk).await;
    fetch(&desk, &world);
    let said = desk.run(&[], &["list", "--all"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    said.has(&[
        "db/readonly",
        "live",
        "note: main is as it was last fetched: there is no token for",
        "note: what is open, and what waits for you, is not known",
    ]);
    desk.repo()
        .find_reference("refs/remotes/origin/hallpass/evidence")
        .unwrap()
        .delete()
        .unwrap();
    for words in [
        &["who", "db"][..],
        &["access", "ada"],
        &["show", "db/ada-readonly"],
        &["list", "--all"],
    ] {
        let said = desk.run(&[], words).await;
        assert_eq!(said.code, 0, "{said:?}");
        said.has(&[
            "declared",
            "what was given, and when it ends, is not known: this clone has no evidence",
            "git fetch origin",
        ]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_past_what_the_role_allows_in_total_is_foreseen_from_the_evidence() {
    let world = World::hearing().await;
    let limited = crate::world::DB.replace(
        "    max_duration: 8h\n",
        "    max_duration: 8h\n    max_total: 9h\n",
    );
    world
        .decree(&[hallpass::sandbox::Change::write(
            "access/resources/db.yaml",
            limited,
        )])
        .await;
    let desk = Desk::of(&world.sandbox);
    given(&world, &desk).await;
    let said = desk
        .as_person(
            &world.sandbox,
            "ada",
            &[
                "renew",
                "db/ada-readonly",
                "--for",
                "8h",
                "--reason",
                "It goes on into the night.",
            ],
        )
        .await;
    // The world of the tests stands still in the past: what it gave goes on until then, and the renewal counts from now.
    assert!(
        said.out.contains("9h in all") && said.out.contains("held since 2026-11-23T09:00:00Z"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn narrow_terminals_and_files_get_the_same_facts() {
    let example = Example::granted().await;
    let desk = example.desk();
    let said = desk
        .as_person(&example.sandbox, "mei", &["list", "--all", "--soon"])
        .await;
    assert_eq!(said.code, 0, "{said:?}");
    let all = desk
        .as_person(&example.sandbox, "mei", &["list", "--all", "--json"])
        .await
        .json();
    // A bundle is as many lines as it gives roles.
    assert_eq!(all["grants"].as_array().unwrap().len(), 11, "{all:#}");
    let own = desk
        .as_person(&example.sandbox, "grace", &["list", "--json"])
        .await
        .json();
    let roles: Vec<&str> = own["grants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| g["role"].as_str().unwrap())
        .collect();
    // Her own, her bundle, and the service that she answers for.
    assert_eq!(
        roles,
        [
            "billing/admin",
            "dashboards/viewer",
            "on-call/member",
            "orders/readonly",
            "orders/migrator"
        ]
    );
}
