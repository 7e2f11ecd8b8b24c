//! What a merge put on the protected branch: admitted with its proof, or not.

use std::collections::BTreeMap;

use hallpass::domain::decision::{Admission, Outcome, admit, admit_all};
use hallpass::domain::model::{BlobId, GrantPath};
use hallpass::domain::pull::Pushers;

use super::office::{WANTED, failed, merged, office, request, verdict};
use super::removal;
use crate::approval::scene::{FILE, Scene, actor, at, blob};

fn path() -> GrantPath {
    GrantPath::new(FILE).expect("a path")
}

fn admission(scene: &Scene, main: &BlobId) -> Admission {
    admit(&scene.case(), &path(), main)
}

fn unapproved(scene: &Scene) -> Vec<String> {
    match admission(scene, &blob(WANTED)) {
        Admission::Unapproved(why) if !why.is_empty() => why,
        other => panic!("{other:?}"),
    }
}

fn after_merge() -> Scene {
    let mut scene = request();
    scene.approves("grace");
    merged(&mut scene);
    scene
}

#[test]
fn an_approved_merge_is_admitted_with_its_proof() {
    let scene = after_merge();
    let Admission::Approved(approved) = admission(&scene, &blob(WANTED)) else {
        panic!("not admitted");
    };
    assert_eq!(approved.proof().approvals()[0].reviewer, actor("grace"));
    assert_eq!(approved.proof().blob(), &blob(WANTED));
    assert_eq!(approved.grant().reason.lines().count(), 1);
    assert_eq!(
        approved.access().account.github_id,
        Some(actor("octocat").id)
    );
}

#[test]
fn a_merge_without_proof_is_not_admitted() {
    let mut scene = request();
    assert_eq!(unapproved(&scene), ["Pull request #12 is not merged."]);
    merged(&mut scene);
    assert_eq!(
        unapproved(&scene),
        ["One approval is needed, from @acme/dba: @grace, @heidi or @ivan can give it."]
    );
    scene.approves("mallory");
    assert_eq!(unapproved(&scene).len(), 2);
    let mut scene = after_merge();
    scene.pull.base_branch = "lax".to_owned();
    assert_eq!(
        unapproved(&scene),
        ["Pull request #12 was merged into another branch than `main`."]
    );
}

#[test]
fn only_the_approved_content_is_admitted() {
    let scene = after_merge();
    let differs = format!("What stands at {FILE} is not what pull request #12 put there.");
    for main in ["other", ""] {
        let found = admission(&scene, &blob(main));
        assert_eq!(found, Admission::Unapproved(vec![differs.clone()]));
    }
    let other = GrantPath::new("access/grants/orders/other.yaml").expect("a path");
    let elsewhere = admit(&scene.case(), &other, &blob(WANTED));
    assert_eq!(
        elsewhere,
        Admission::Unapproved(vec![format!("Pull request #12 does not change {other}.")])
    );
}

#[test]
fn who_left_the_team_before_the_merge_no_longer_counts() {
    let mut scene = after_merge();
    scene.staff("dba", &["heidi"]);
    assert!(unapproved(&scene)[1].contains("@grace is not an owner of this file now"));
}

#[test]
fn what_cannot_be_looked_up_is_neither_admitted_nor_refused() {
    let mut scene = after_merge();
    failed(&mut scene, "dba");
    assert!(matches!(admission(&scene, &blob(WANTED)), Admission::Unknown(why) if why.len() == 1));
    let mut scene = after_merge();
    scene.pull.pushers = Pushers::Unknown("the list is behind".to_owned());
    assert!(matches!(
        admission(&scene, &blob(WANTED)),
        Admission::Unknown(_)
    ));
}

#[test]
fn a_term_is_judged_at_the_merge_however_late_we_look() {
    let mut scene = office();
    let until = WANTED.replace("duration: 2h", "expires: 2026-11-24T13:00:00Z");
    scene.adds(FILE, &until).approves("grace");
    scene.now = at(600);
    assert_eq!(verdict(&scene).outcome, Outcome::Denied);
    merged(&mut scene);
    assert!(matches!(
        admission(&scene, &blob(&until)),
        Admission::Approved(_)
    ));
}

#[test]
fn one_denied_file_denies_the_whole_merge() {
    let mut scene = after_merge();
    scene.adds("access/grants/orders/second.yaml", "person: nobody-knows\n");
    assert!(!unapproved(&scene).is_empty());
    let mut scene = after_merge();
    scene.adds(".github/CODEOWNERS", "* @octocat\n");
    assert!(unapproved(&scene)[0].contains("control-and-grants"));
}

#[test]
fn what_a_merge_removed_or_tidied_is_not_admitted() {
    let mut scene = removal("octocat");
    merged(&mut scene);
    assert_eq!(
        unapproved(&scene),
        [format!(
            "What stands at {FILE} is not what pull request #12 put there."
        )]
    );
}

#[test]
fn one_judgement_admits_every_file_of_a_merge() {
    let mut scene = after_merge();
    let second = GrantPath::new("access/grants/orders/second.yaml").expect("a path");
    let for_ivan = WANTED.replace("octocat", "ivan");
    scene.adds(second.as_str(), &for_ivan);
    let files = BTreeMap::from([(path(), blob(WANTED)), (second.clone(), blob("edited"))]);
    let all = admit_all(&scene.case(), &files);
    assert!(matches!(all[&path()], Admission::Approved(_)));
    assert!(matches!(all[&second], Admission::Unapproved(_)));
}
