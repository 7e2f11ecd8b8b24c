//! Pull requests that are larger than anybody reads, or than an interface lists.

use hallpass::domain::decision::Outcome;
use hallpass::domain::rules::MOST_GRANTS;
use hallpass::sandbox::{Change, MergeMethod};

use super::gives;
use crate::approval::scene::{FILE, actor};
use crate::decision::office::{WANTED, office, rules, verdict};
use crate::scenario::hearing_and_deaf_with;
use crate::world::{Ears, REPO, World, file, grant};

/// What no decision may be made from: lists that the forge cuts off.
fn read_from_a_list(world: &World) -> Vec<String> {
    let listed = |call: &&String| {
        let (method, path) = call.split_once(' ').unwrap_or_default();
        let of_pull = path.contains("/pulls/{pull_number}/")
            && (path.ends_with("/files") || path.ends_with("/commits"));
        method == "GET" && (of_pull || path.contains("/compare/") || path.contains("/git/trees"))
    };
    world
        .sandbox
        .calls()
        .keys()
        .filter(listed)
        .cloned()
        .collect()
}

#[test]
fn ac_29_fifty_grants_can_be_asked_for_at_once_and_fifty_one_cannot() {
    for (count, expected) in [
        (MOST_GRANTS - 1, true),
        (MOST_GRANTS, true),
        (MOST_GRANTS + 1, false),
    ] {
        let mut scene = office();
        let octocat = scene
            .base
            .people
            .values()
            .find(|p| p.github_id == actor("octocat").id);
        let octocat = octocat.cloned().expect("octocat");
        for n in 0..count {
            let login = crate::approval::scene::login(&format!("p{n}"));
            let mut person = octocat.clone();
            person.github_id.0 = 1_000 + n as u64;
            person.login = login.clone();
            person
                .identities
                .values_mut()
                .for_each(|account| *account = format!("p{n}"));
            scene.base.people.insert(login, person);
            let path = if n == 0 {
                FILE.to_owned()
            } else {
                format!("access/grants/orders/p{n}.yaml")
            };
            scene.adds(&path, &WANTED.replace("octocat", &format!("p{n}")));
        }
        scene.approves("grace");
        assert_eq!(gives(&scene), expected, "{count}");
        // GitHub cuts a summary at 65,535 bytes; whoever approves must not have to guess the rest.
        let told = hallpass::domain::report::check(&scene.case(), &verdict(&scene)).summary;
        assert!(
            told.len() < 65_535,
            "{count} grants take {} bytes",
            told.len()
        );
        let names = (1..count).all(|n| told.contains(&format!("`orders/p{n}`")));
        assert!(names || !expected, "{told}");
        assert_eq!(
            rules(&verdict(&scene)).contains(&"too-many-grants"),
            !expected
        );
    }
}

#[test]
fn ac_29_code_and_grants_never_share_a_pull_request() {
    for other in [
        "src/main.rs",
        "README.md",
        "accessories/x",
        ".github/workflows/x.yml",
    ] {
        let mut scene = crate::decision::office::request();
        scene.adds(other, "x").approves("grace").approves("judy");
        assert_eq!(verdict(&scene).outcome, Outcome::Denied, "{other}");
        assert!(rules(&verdict(&scene)).contains(&"mixed-change"), "{other}");
        assert!(!gives(&scene));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_29_what_stands_behind_more_files_than_a_list_shows_is_seen_all_the_same() {
    // GitHub's page shows 300 files, its interface lists 3000. The grant comes after all of them, or before.
    for count in [299, 300, 301, 3_001] {
        let world = World::new(Ears::Deaf, "").await;
        world.sandbox.reset_calls();
        for (folder, number) in [("aaa", 1), ("zzz", 2)] {
            let mut changes: Vec<Change> = (0..count)
                .map(|n| Change::write(format!("{folder}/{n:04}.txt"), "x"))
                .collect();
            let name = format!("db/ada-{number}");
            changes.push(Change::write(file(&name), grant("ada", "readonly", "2h")));
            let pull = world.propose("ada", &changes).await;
            world.approve(pull, "grace").await;
            let check = world.check(pull);
            assert_eq!(
                check.conclusion.as_deref(),
                Some("failure"),
                "{count} {folder}"
            );
            assert_eq!(check.annotations[0]["title"], "mixed-change");
            assert!(!world.is_merged(pull));
        }
        assert_eq!(world.vault.calls(), 0);
        assert_eq!(read_from_a_list(&world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_29_neither_a_file_nor_a_pusher_hides_behind_251_commits() {
    hearing_and_deaf_with("merge = \"off\"", async |world| {
        world.sandbox.reset_calls();
        world.sandbox.deaf(true);
        let write = |name: &str, text: &str| [Change::write(file(name), text)];
        let sandbox = &world.sandbox;
        // The first push is by an owner, and brings a second grant.
        let hidden = write("db/ada-hidden", &grant("ada", "admin", "2h"));
        sandbox
            .push("grace", REPO, "long", &hidden, "First")
            .unwrap();
        for n in 1..=250 {
            let text = format!("{}# {n}\n", grant("ada", "readonly", "2h"));
            sandbox
                .push(
                    "ada",
                    REPO,
                    "long",
                    &write("db/ada-incident", &text),
                    "More",
                )
                .unwrap();
        }
        sandbox.deaf(world.ears == Ears::Deaf);
        let pull = sandbox
            .open_pull("ada", REPO, "long", "main", "Please", "")
            .unwrap();
        world.settle().await;
        world.approve(pull, "grace").await;
        let check = world.check(pull);
        let told = format!("{} {}", check.summary, check.text);
        assert!(told.contains("db/ada-hidden"), "{told}");
        assert!(
            told.contains("@grace pushed to this pull request"),
            "{told}"
        );
        world.merge_as_admin(pull, MergeMethod::Squash).await;
        assert_eq!(world.vault.calls(), 0);
        assert_eq!(read_from_a_list(world), [""; 0]);
    })
    .await;
}
