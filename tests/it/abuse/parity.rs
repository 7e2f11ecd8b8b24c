//! `hallpass validate` and the service say the same of the same trees, byte by byte.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hallpass::clock::Clock as _;
use hallpass::domain::rules::{self, FoundIn, RULES};
use hallpass::sandbox::Change;
use serde_json::Value;

use crate::world::{Ears, REPO, World, file, grant};

/// Whether a clone is enough to find that a rule is broken.
fn of_trees(told: &Told) -> bool {
    let rule = rules::find(&told.4).unwrap_or_else(|| panic!("{} is not in the table", told.4));
    rule.found_in == FoundIn::Trees
}

/// One finding in every detail: path, line, column, weight, rule, and what is told.
type Told = (String, u64, u64, String, String, String);

/// What the program says of a branch, run as people run it, on the very repository that the service reads.
#[expect(
    clippy::disallowed_methods,
    reason = "this is about the program as people run it"
)]
fn by_the_program(world: &World, branch: &str) -> Vec<Told> {
    let now = world.clock.now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_hallpass"))
        .args(["validate", "--format", "json", "--base", "main", "--now"])
        .args([&now, "--head", branch])
        .arg(world.sandbox.repository_path(REPO))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{branch}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let told = |finding: &Value| {
        let weight = match finding["severity"].as_str().unwrap() {
            "error" => "failure",
            other => other,
        };
        (
            text(finding, "path"),
            finding["line"].as_u64().unwrap(),
            finding["column"].as_u64().unwrap(),
            weight.to_owned(),
            text(finding, "rule"),
            ["message", "help", "url"]
                .map(|field| text(finding, field))
                .join("\n"),
        )
    };
    report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(told)
        .collect()
}

/// What the check of the pull request says beside the lines.
fn by_the_service(world: &World, branch: &str) -> Vec<Told> {
    let pulls = world.sandbox.pulls(REPO);
    let pull = pulls.iter().find(|pull| pull.head == branch).unwrap();
    let text = |note: &Value, field: &str| note[field].as_str().unwrap().to_owned();
    let told = |note: &Value| {
        (
            text(note, "path"),
            note["start_line"].as_u64().unwrap(),
            note["start_column"].as_u64().unwrap(),
            text(note, "annotation_level"),
            text(note, "title"),
            text(note, "message"),
        )
    };
    world
        .check(pull.number)
        .annotations
        .iter()
        .map(told)
        .collect()
}

fn write(path: &str, text: impl AsRef<[u8]>) -> Vec<Change> {
    vec![Change::write(path, text)]
}

fn asked(text: &str) -> Vec<Change> {
    write(&file("db/asked"), text)
}

fn with(from: &str, to: &str) -> Vec<Change> {
    let text = grant("ada", "readonly", "2h");
    assert!(text.contains(from), "{from}");
    asked(&text.replace(from, to))
}

fn both(mut one: Vec<Change>, other: Vec<Change>) -> Vec<Change> {
    one.extend(other);
    one
}

/// Changes of every kind against the base of the world, faulty and sound.
fn changes() -> BTreeMap<&'static str, Vec<Change>> {
    let sound = || asked(&grant("ada", "readonly", "2h"));
    let executable = Change::WriteMode {
        path: file("db/asked"),
        content: grant("ada", "readonly", "2h").into_bytes(),
        mode: 0o100_755,
    };
    let link = Change::WriteMode {
        path: ".github/CODEOWNERS".to_owned(),
        content: b"../x".to_vec(),
        mode: 0o120_000,
    };
    let many = (0..51)
        .map(|n| Change::write(file(&format!("db/m{n}")), grant("ada", "readonly", "2h")))
        .collect();
    let resource = |text: &str| write("access/resources/extra.yaml", text);
    BTreeMap::from([
        ("sound", sound()),
        (
            "sound, several",
            both(
                sound(),
                write(&file("crew/asked"), grant("ada", "reader", "2h")),
            ),
        ),
        ("nothing governed", write("README.md", "x")),
        (
            "carriage return",
            with("person: ada", "person: ada # x\rrole: admin"),
        ),
        (
            "not utf-8",
            asked("person: \u{0}")
                .into_iter()
                .chain(write(&file("db/bytes"), [0xff, 0xfe]))
                .collect(),
        ),
        ("decomposed", with("The orders", "Cafe\u{301} orders")),
        ("bidirectional", with("The orders", "\u{202e}The orders")),
        ("large", asked(&"x".repeat(70_000))),
        ("syntax", with("role: readonly", "role: [readonly")),
        ("anchor", with("ada", "&a ada")),
        ("tag", with("ada", "!!str ada")),
        ("merge key", with("person: ada", "<<: { person: ada }")),
        (
            "duplicate key",
            with("person: ada", "person: ada\nperson: linus"),
        ),
        ("two documents", with("person: ada", "person: ada\n---")),
        ("ambiguous", with("ada", "0123")),
        ("deep", with("ada", "[[[[[[[[[1]]]]]]]]]")),
        ("unknown field", with("duration:", "duratoin:")),
        ("missing field", with("role: readonly\n", "")),
        (
            "two terms",
            with(
                "duration: 2h",
                "duration: 2h\nexpires: 2026-11-24T12:00:00Z",
            ),
        ),
        ("bad value", with("2h", "2 hours")),
        ("unknown person", with("ada", "adda")),
        ("unknown service", with("person: ada", "service: robot")),
        ("unknown role", with("readonly", "readonyl")),
        ("too long", with("2h", "9h")),
        (
            "expired",
            with("duration: 2h", "expires: 2026-11-23T08:00:00Z"),
        ),
        (
            "starts too late",
            with("duration: 2h", "duration: 2h\nstarts: 2027-11-23T08:00:00Z"),
        ),
        (
            "starts in the past",
            with("duration: 2h", "duration: 2h\nstarts: 2026-11-23T08:00:00Z"),
        ),
        (
            "emergency",
            with("duration: 2h", "duration: 2h\nemergency: true"),
        ),
        (
            "unknown resource",
            write(&file("dd/asked"), grant("ada", "readonly", "2h")),
        ),
        (
            "unconfigured",
            write(&file("nowhere/asked"), grant("ada", "reader", "2h")),
        ),
        (
            "same twice",
            both(
                sound(),
                write(&file("db/again"), grant("ada", "readonly", "1h")),
            ),
        ),
        (
            "stands already",
            write(&file("db/again"), grant("linus", "readonly", "1h")),
        ),
        (
            "changed",
            write(&file("db/standing"), grant("linus", "readonly", "1h")),
        ),
        (
            "changed to another",
            write(&file("db/standing"), grant("ada", "readonly", "1h")),
        ),
        ("removed", vec![Change::delete(file("db/standing"))]),
        (
            "bad path",
            write("access/grants/db/Asked.yml", grant("ada", "readonly", "2h")),
        ),
        (
            "unknown file",
            write("access/grants/db/deep/asked.yaml", "x"),
        ),
        (
            "long path",
            write(&format!("access/grants/db/{}.yaml", "x".repeat(200)), "x"),
        ),
        ("case twin", write("access/grants/db/STANDING.yaml", "x")),
        ("executable", vec![executable]),
        ("mixed", both(sound(), write("src/main.rs", "x"))),
        (
            "control and grant",
            both(sound(), write("access/people/eve.yaml", "github_id: 77\n")),
        ),
        ("too many", many),
        ("attributes", write("access/.gitattributes", "* -diff\n")),
        (
            "number twice",
            write("access/people/eve.yaml", "github_id: 7\n")
                .into_iter()
                .chain(write("access/people/eva.yaml", "github_id: 7\n"))
                .collect(),
        ),
        (
            "service of nobody",
            write(
                "access/services/robot.yaml",
                "description: Moves parcels about\nowner: nobody\n",
            ),
        ),
        ("bad resource", resource("description: Extra\nroles: {}\n")),
        (
            "conflict with nothing",
            resource(
                "description: Extra things\nrisk: low\nprovider: vault\nroles:\n  user:\n    description: Uses it\n    entitlement: { role: x }\n    max_duration: 1h\n    conflicts_with: [db/nothing]\n",
            ),
        ),
        (
            "owners, broken line",
            write(".github/CODEOWNERS", "* @acme/security\n!x @acme/dba\n"),
        ),
        (
            "owners, nobody",
            write(".github/CODEOWNERS", "/docs/ @acme/security\n"),
        ),
        ("owners, a link", vec![link]),
        ("owners gone", vec![Change::delete(".github/CODEOWNERS")]),
        (
            "policy",
            write(
                "access/policies/broken.cedar",
                "permit (principal, action\n",
            ),
        ),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn validate_and_the_service_find_the_same_in_the_same_trees() {
    let standing = Change::write(file("db/standing"), grant("linus", "readonly", "2h"));
    let broken = Change::write(".github/CODEOWNERS", "* @acme/security\nx y z\n");
    let (mut rules, mut more) = (BTreeSet::new(), 0);
    for (base, only) in [
        (vec![standing.clone()], None),
        (vec![standing, broken], Some("sound")),
    ] {
        let world = World::new(Ears::Deaf, "merge = \"off\"").await;
        world
            .sandbox
            .push_to_main("root", REPO, &base, "Base")
            .unwrap();
        let changes = changes();
        for (n, (what, changes)) in changes.iter().enumerate() {
            if only.is_some_and(|only| !what.starts_with(only)) {
                continue;
            }
            let branch = format!("change-{n}");
            let sandbox = &world.sandbox;
            sandbox
                .push("ada", REPO, &branch, changes, "Change")
                .unwrap();
            sandbox
                .open_pull("ada", REPO, &branch, "main", "Please", "")
                .unwrap();
        }
        world.settle().await;
        for (n, what) in changes.keys().enumerate() {
            if only.is_some_and(|only| !what.starts_with(only)) {
                continue;
            }
            let branch = format!("change-{n}");
            let mut program = by_the_program(&world, &branch);
            let mut service = by_the_service(&world, &branch);
            rules.extend(program.iter().map(|told| told.4.clone()));
            assert!(program.iter().all(of_trees), "{what}");
            more += service.len();
            service.retain(of_trees);
            more -= service.len();
            program.sort();
            service.sort();
            assert_eq!(service, program, "{what}");
        }
    }
    assert!(more > 0, "nothing that only the service knows was found");
    assert!(rules.len() >= 35, "only {} rules: {rules:?}", rules.len());
}

#[test]
fn what_the_table_says_of_a_rule_is_where_its_findings_are_made() {
    let made_in = |folder: &str| -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/domain");
        let mut text = String::new();
        let mut open = vec![root.join(folder)];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
            } else if !path.ends_with("rules/table.rs") && !path.ends_with("rules/page.rs") {
                text += &std::fs::read_to_string(path).unwrap();
            }
        }
        text
    };
    let trees = ["parse", "rules", "codeowners", "schema.rs", "policy"]
        .map(made_in)
        .concat();
    let service = ["decision", "approval", "landing.rs"].map(made_in).concat();
    for rule in RULES {
        let quoted = format!("\"{}\"", rule.name);
        match rule.found_in {
            FoundIn::Trees => assert!(
                trees.contains(&quoted),
                "{} is not found in trees",
                rule.name
            ),
            FoundIn::Service => {
                assert!(
                    service.contains(&quoted),
                    "{} is not found by the service",
                    rule.name
                );
                assert!(!trees.contains(&quoted), "{} is found in trees", rule.name);
            }
        }
    }
}
