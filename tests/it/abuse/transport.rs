//! What comes over the network, and what leaves by it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use hallpass::sandbox::{Change, MergeMethod, RateLimit, Verdict};
use hallpass::worker::Resync;

use crate::audit::Desk;
use crate::world::{APP, Ears, INSTALLATION, REPO, World, grant, person_file};

#[tokio::test(flavor = "multi_thread")]
async fn ac_52_every_delivery_of_a_whole_life_sent_again_in_any_order_changes_nothing() {
    let world = World::hearing().await;
    let text = grant("ada", "readonly", "2h");
    let pull = world.request("ada", "db/ada-incident", &text).await;
    world.approve(pull, "grace").await;
    let pull = world.request("ada", "db/ada-again", &text).await;
    world.merge_as_admin(pull, MergeMethod::Merge).await;
    world.advance(TimeDelta::hours(2)).await;
    world.advance(TimeDelta::minutes(10)).await;
    world.resync().await;
    let evidence = world.evidence();
    assert_eq!(world.vault.effects(), ["+reader ada", "-reader ada"]);

    let sent = world.sandbox.deliveries();
    let mut ids: Vec<&str> = sent.iter().map(|delivery| delivery.guid.as_str()).collect();
    assert!(ids.len() > 10, "{} deliveries", ids.len());
    // Newest first; then in the order of their ids, which is none.
    ids.reverse();
    for _ in 0..2 {
        for id in &ids {
            assert!(world.sandbox.redeliver(id));
        }
        world.settle().await;
        ids.sort_unstable();
    }
    world.resync().await;
    assert_eq!(world.evidence(), evidence);
    assert_eq!(world.vault.effects(), ["+reader ada", "-reader ada"]);
}

/// Brings trouble about, or ends it.
type Trouble = fn(&World, bool);

/// What can happen to an App, and how it is over again.
const TROUBLES: [(&str, Trouble); 5] = [
    ("suspended", |world, on| {
        world.sandbox.suspend(INSTALLATION, on);
    }),
    ("without a permission", |world, on| {
        let level = (!on).then_some("write");
        world.sandbox.app_permission(APP, "contents", level);
        world.sandbox.expire_tokens();
    }),
    ("not installed there", |world, on| {
        let only = on.then_some(&[][..]);
        world.sandbox.installation_sees(INSTALLATION, only);
        world.sandbox.expire_tokens();
    }),
    ("over the limit of the hour", |world, on| {
        let limit = on.then_some(RateLimit::Primary { reset_in: 600 });
        world.sandbox.rate_limit(limit);
    }),
    ("in a repository that moved", |world, on| {
        let (from, to) = if on { (REPO, MOVED) } else { (MOVED, REPO) };
        world.sandbox.rename_repository(from, to).unwrap();
    }),
];

const MOVED: &str = "access-elsewhere";

#[tokio::test(flavor = "multi_thread")]
async fn ac_56_whatever_the_app_lacks_what_is_due_ends_nothing_begins_and_it_is_made_up_for() {
    for (trouble, set) in TROUBLES {
        let world = World::hearing().await;
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
            .await;
        world.approve(pull, "grace").await;
        let pull = world
            .request("mei", "db/mei-incident", &grant("mei", "readonly", "4h"))
            .await;
        assert_eq!(world.holders("reader"), ["ada"]);

        world.sandbox.deaf(true);
        world
            .sandbox
            .review("grace", REPO, pull, Verdict::Approve, "yes")
            .unwrap();
        set(&world, true);
        let worker = world.service().worker();
        worker.run_once(Resync::Everything).await.unwrap();
        world.clock.advance(TimeDelta::hours(2));
        worker.run_once(Resync::Everything).await.unwrap();
        assert!(world.holders("reader").is_empty(), "{trouble}");

        set(&world, false);
        world.clock.advance(TimeDelta::minutes(11));
        world.resync().await;
        world.advance(TimeDelta::minutes(11)).await;
        world.resync().await;
        assert_eq!(world.holders("reader"), ["mei"], "{trouble}");
        assert_eq!(world.told("revoked").len(), 1, "{trouble}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ac_61_no_cell_of_an_answer_for_spreadsheets_is_a_formula() {
    let world = World::new(Ears::Hearing, "").await;
    let path = person_file("ada");
    let file = world.sandbox.file(REPO, "main", &path).unwrap();
    let file = String::from_utf8(file).unwrap();
    let odd = file.replace("vault: ada", "vault: \"=HYPERLINK(1)\"");
    world.decree(&[Change::write(path, odd)]).await;
    let pull = world
        .request("ada", "db/ada-incident", &grant("ada", "readonly", "2h"))
        .await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("reader"), ["=HYPERLINK(1)"]);
    let period = ["population", "--from", "2026-11-23", "--to", "2026-11-24"];
    let (_, csv) = Desk::of(&world).answer(&[&period[..], &["--csv"]].concat());
    assert!(csv.contains(",'=HYPERLINK(1),"), "{csv}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder whose names end like this.
fn below(folder: &str, end: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.to_string_lossy().ends_with(end) => found.push(path),
                false => {}
            }
        }
    }
    found
}

#[test]
fn ac_67_the_service_starts_no_program_but_those_that_its_operator_names() {
    let starts = below("src", ".rs").into_iter().filter(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        text.contains("Command::new(")
    });
    let starts: BTreeSet<String> = starts
        .map(|path| path.strip_prefix(root()).unwrap().display().to_string())
        .collect();
    assert_eq!(
        starts,
        BTreeSet::from(
            [
                // What `[providers]` names, by its path and without a shell.
                "src/providers/command.rs",
                // `gh auth token`, on the requester's own machine.
                "src/app/propose/token.rs",
                // git, for the stand-in of GitHub and for whoever watches the demo.
                "src/sandbox/cgi.rs",
                "src/app/demo/desk.rs",
            ]
            .map(str::to_owned)
        )
    );
}

#[test]
fn ac_68_what_runs_at_github_is_pinned_holds_few_rights_and_runs_no_text_of_a_request() {
    let ours = below(".github", ".yml");
    let written = below("src/app/init/templates", ".yml");
    assert!(
        ours.len() >= 4 && written.len() >= 3,
        "{ours:?} {written:?}"
    );
    let pinned = regex::Regex::new(r"^\./|^[\w.-]+/[\w./-]+@[0-9a-f]{40}$").unwrap();
    for path in ours.iter().chain(&written) {
        let (place, text) = (path.display(), std::fs::read_to_string(path).unwrap());
        // With the rights of the base and the code of the request.
        assert!(!text.contains("pull_request_target"), "{place}");
        if text.contains("\njobs:") {
            assert!(text.contains("\npermissions: {}\n"), "{place}");
        }
        let lines = text.lines().map(str::trim_start);
        for line in lines {
            let line = line.trim_start_matches("- ");
            if let Some(action) = line.strip_prefix("uses: ") {
                let action = action.split(" #").next().unwrap_or_default();
                assert!(pinned.is_match(action.trim()), "{place}: {action}");
            }
            // An expression in a script is text that becomes code.
            let hostile = ["github.head_ref", "github.event.", "inputs."];
            let script = !line.contains(": ") || line.starts_with("run: ");
            let inserted = line.contains("${{") && hostile.iter().any(|h| line.contains(h));
            assert!(!(script && inserted), "{place}: {line}");
        }
    }
    // Whoever only asks for access runs a workflow without secrets.
    let asked = std::fs::read_to_string(root().join("src/app/init/templates/hallpass.yml"));
    assert!(!asked.unwrap().contains("secrets."));
}
