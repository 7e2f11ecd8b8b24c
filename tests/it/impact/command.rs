//! `hallpass validate --base`, of a change of the files that decide.

use std::fs;

use crate::text::command::{commit, put, validate, world};

#[test]
fn a_branch_that_lets_a_person_go_says_what_ends_and_denies_nothing() {
    let dir = world(&super::LIVE);
    commit(dir.path(), "main");
    fs::remove_file(dir.path().join("access/people/ada.yaml")).unwrap();
    commit(dir.path(), "leaver");

    let (code, text) = validate(dir.path(), &["--base", "main", "--head", "leaver"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(
        text,
        "2 live grants end when this is merged\n    \
         ledger/ada: ada, ledger/approver\n      access/people/ada.yaml is removed\n    \
         orders/ada: ada, orders/readonly\n      access/people/ada.yaml is removed\n\n\
         0 files checked, nothing wrong.\n"
    );

    let json = ["--base", "main", "--head", "leaver", "--format", "json"];
    let (_, text) = validate(dir.path(), &json);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["impact"]["counts"]["ends_at_merge"], 2);
    assert_eq!(
        report["impact"]["grants"][1]["path"],
        "access/grants/orders/ada.yaml"
    );
    assert_eq!(report["impact"]["grants"][1]["subject"]["person"], "ada");
    assert_eq!(report["impact"]["grants"][1]["fate"], "ends-at-merge");
    assert_eq!(validate(dir.path(), &json).1, text);
}

#[test]
fn a_request_has_no_impact_and_a_whole_tree_none_either() {
    let dir = world(&[]);
    commit(dir.path(), "main");
    put(dir.path(), super::READS.0, super::READS.1);
    commit(dir.path(), "request");
    let (_, text) = validate(dir.path(), &["--base", "main", "--head", "request"]);
    assert_eq!(text, "1 file checked, nothing wrong.\n");
    let (_, json) = validate(dir.path(), &["--format", "json"]);
    assert_eq!(json, "{\"findings\":[]}\n");
}
