//! What an auditor does with the files.

use std::process::{Command, Stdio};

use hallpass::domain::anchor::SignedAnchor;

use super::{Anchored, files, hours};
use crate::audit::Desk;

/// Whether `ssh-keygen -Y verify` takes the signature of what the anchor says, by this public key.
#[expect(clippy::disallowed_methods, reason = "auditors have ssh-keygen")]
fn is_signed(anchor: &SignedAnchor, key: &str) -> bool {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("allowed"), format!("hallpass {key}\n")).unwrap();
    std::fs::write(path("signature"), &anchor.signature).unwrap();
    let mut child = Command::new("ssh-keygen")
        .args([
            "-Y",
            "verify",
            "-I",
            "hallpass",
            "-n",
            "hallpass-anchor",
            "-f",
        ])
        .arg(path("allowed"))
        .arg("-s")
        .arg(path("signature"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let says = anchor.signed_part();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(says.as_bytes())
        .unwrap();
    child.wait().unwrap().success()
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_keygen_takes_the_signature_and_the_schema_takes_the_file() {
    let of = Anchored::new().await;
    of.world.resync().await;
    let anchor = of.anchors().remove(0);
    let key = of.world.evidence_key();
    assert!(is_signed(&anchor, key.trim()));
    let mut changed = anchor.clone();
    changed.seq += 1;
    assert!(!is_signed(&changed, key.trim()));

    let schema = include_str!("../../../schemas/anchor.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let schema = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let bytes = std::fs::read(&files(&of.folder())[0]).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let wrong: Vec<String> = schema.iter_errors(&file).map(|e| e.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_brings_files_and_folders_and_hears_which_proves_how_much() {
    let of = Anchored::new().await;
    of.world.resync().await;
    of.world.advance(hours(24)).await;
    of.world.resync().await;
    let folder = of.folder().display().to_string();
    let desk = Desk::of(&of.world);
    let (status, said) = desk.verify(&["--anchor", &folder]);
    assert_eq!(status, 0, "{said}");
    let anchors = of.anchors();
    for anchor in &anchors {
        let line = format!("{} holds: records 1 to {} are", anchor.name(), anchor.seq);
        assert!(said.contains(&line), "{said}");
    }
    assert!(said.contains("it is signed by the service"), "{said}");
    assert!(said.contains("The newest 1 of"), "{said}");
    let newest = files(&of.folder()).pop().unwrap().display().to_string();
    let (status, json) = desk.verify(&["--json", "--anchor", &newest]);
    assert_eq!(status, 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["proved"][0]["vouched"], "signed");
    assert_eq!(json["proved"][0]["seq"], anchors[1].seq);

    // What was cut, the anchor names.
    let cut = ["--evidence", "origin/hallpass/evidence~2"];
    let (status, said) = desk.verify(&[&cut[..], &["--anchor", &folder]].concat());
    assert_eq!(status, 1);
    assert!(said.contains("anchor-missing"), "{said}");
    assert!(
        said.contains(&format!("by {}", anchors[1].name())),
        "{said}"
    );

    // Nobody else can make one up, and none can be changed.
    let mut forged = anchors[0].clone();
    forged.record = forged.record.replace(|c: char| c.is_ascii_digit(), "0");
    let file = of.folder().join(forged.name());
    std::fs::write(&file, forged.file()).unwrap();
    let (status, said) = desk.verify(&["--anchor", &file.display().to_string()]);
    assert_eq!(status, 1);
    assert!(said.contains("anchor-forged"), "{said}");
    assert!(!said.contains("anchor-missing"), "{said}");

    let empty = tempfile::tempdir().unwrap();
    let (status, said) = desk.refused(&[
        "verify",
        "--key",
        "../key.pub",
        "--anchor",
        &empty.path().display().to_string(),
    ]);
    assert_eq!(status, 2);
    assert!(
        said.contains("holds no file that is called as anchors are"),
        "{said}"
    );
}
