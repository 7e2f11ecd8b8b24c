//! How long it takes to tell what a change of the files that decide does to many live grants:
//! `cargo bench --bench impact [-- GRANTS]`.
//!
//! Nothing is asserted: each kind of change is told with its time and what it found. The check of such a change is made anew with
//! each look at its pull request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use hallpass::domain::catalogue::{ChangedFile, File, REGULAR_FILE};
use hallpass::domain::changes::Changes;
use hallpass::domain::impact::{Known, impact};
use hallpass::domain::model::BlobId;
use hallpass::domain::parse::read_tree;

const RESOURCES: usize = 200;

fn main() {
    let grants = std::env::args()
        .skip(1)
        .find_map(|a| a.parse().ok())
        .unwrap_or(100_000);
    let files = generate(grants);
    let started = Instant::now();
    let base = read_tree(&files);
    println!("read {grants} grants in {:.1?}", started.elapsed());
    assert_eq!(base.grants.len(), grants, "{:?}", base.findings.first());
    let (ended, held) = (BTreeMap::new(), BTreeMap::new());
    let known = Known {
        ended: &ended,
        held: &held,
        now: "2026-11-23T12:00:00Z".parse().expect("an instant"),
    };
    for (what, changes) in changes() {
        let changes = Changes::read(changes.to_vec());
        let started = Instant::now();
        let found = impact(&base, &changes, &known);
        println!(
            "{what}: {:.1?}, {} touched, {} handovers, {} not asked",
            started.elapsed(),
            found.touched.len(),
            found.handovers.len(),
            found.not_asked
        );
    }
}

fn file(path: String, text: &str) -> File {
    let id = git2::Oid::hash_object(git2::ObjectType::Blob, text.as_bytes());
    let id = id.expect("hashing needs no repository").to_string();
    File {
        path,
        mode: REGULAR_FILE,
        blob: BlobId::new(id).expect("git writes ids in hexadecimal"),
        bytes: Arc::from(text.as_bytes()),
    }
}

fn resource(limit: &str) -> String {
    format!(
        "description: A database\nrisk: high\nprovider: pg\nroles:\n  readonly:\n    description: Reads\n    entitlement: {{ role: ro }}\n    max_duration: {limit}\n    requires: [ticket]\n    ticket_pattern: ^INC-[0-9]+$\n"
    )
}

fn owners(team: &str) -> String {
    let mut text = String::from("* @acme/security\n");
    for r in 0..RESOURCES {
        text.push_str(&format!("/access/grants/r{r}/ @acme/{team}-{r}\n"));
    }
    text
}

fn generate(grants: usize) -> Vec<File> {
    let people = (grants / 5).max(1);
    let mut files = vec![file(".github/CODEOWNERS".to_owned(), &owners("dba"))];
    for p in 0..people {
        let text = format!("github_id: {}\nidentities:\n  pg: p{p}\n", p + 1);
        files.push(file(format!("access/people/p{p}.yaml"), &text));
    }
    for r in 0..RESOURCES {
        files.push(file(
            format!("access/resources/r{r}.yaml"),
            &resource("30d"),
        ));
    }
    for g in 0..grants {
        let text = format!(
            "person: p{}\nrole: readonly\nduration: 20d\nreason: Number {g} of many.\nticket: INC-{g}\n",
            g % people
        );
        files.push(file(
            format!("access/grants/r{}/g{g}.yaml", g % RESOURCES),
            &text,
        ));
    }
    files
}

fn write(path: &str, text: &str) -> ChangedFile {
    ChangedFile {
        path: path.to_owned(),
        before: None,
        after: Some(file(path.to_owned(), text)),
    }
}

fn changes() -> Vec<(&'static str, Vec<ChangedFile>)> {
    let gone = ChangedFile {
        path: "access/people/p7.yaml".to_owned(),
        before: None,
        after: None,
    };
    let every: Vec<ChangedFile> = (0..RESOURCES)
        .map(|r| write(&format!("access/resources/r{r}.yaml"), &resource("10d")))
        .collect();
    let policy = "@id(\"baseline\")\npermit (principal, action, resource);\n@id(\"long\")\n@message(\"Too long.\")\nforbid (principal, action, resource) when { context.minutes > 60 };\n";
    vec![
        ("a person leaves", vec![gone]),
        ("one resource lowers its limit", vec![every[0].clone()]),
        ("every resource lowers its limit", every),
        (
            "every folder has other owners",
            vec![write(".github/CODEOWNERS", &owners("other"))],
        ),
        (
            "policies come",
            vec![write("access/policies/limits.cedar", policy)],
        ),
    ]
}
