//! Break-glass, in every combination of who asks and what the role offers: without an approval only the person themself.

use std::collections::BTreeSet;

use hallpass::domain::approval::Basis;
use hallpass::domain::decision::{Admission, Outcome, Standing, admit};
use hallpass::domain::emergency::{Emergency, Record, Review};
use hallpass::domain::model::{
    Access, Account, CommitId, ConnectionName, EmergencyOffer, GrantPath, PullNumber, RecordPath,
    ResourceName, Role, RoleName, RoleRef, TermLength, UserId,
};
use hallpass::domain::parse::read_tree;
use hallpass::domain::pull::{Pushers, ReviewState};
use proptest::prelude::*;

use super::office::{WANTED, merged, office, only, rules, verdict};
use crate::approval::scene::{FILE, Scene, actor, at, blob, commit, file, login};

fn role(scene: &mut Scene) -> &mut Role {
    let orders = ResourceName::new("orders").unwrap();
    let orders = scene.base.resources.get_mut(&orders).unwrap();
    orders
        .roles
        .get_mut(&RoleName::new("readonly").unwrap())
        .unwrap()
}

fn offer(approvals: u32, people: &[&str]) -> EmergencyOffer {
    EmergencyOffer {
        approvals,
        max_duration: TermLength::parse("2h").unwrap(),
        review_within: TermLength::parse("24h").unwrap(),
        people: people.iter().map(|p| login(p)).collect(),
    }
}

fn glass() -> String {
    format!("{WANTED}emergency: true\n")
}

/// octocat breaks the glass of orders/readonly, where nobody's approval is needed.
fn breaks() -> Scene {
    let mut scene = office();
    role(&mut scene).emergency = Some(offer(0, &["octocat"]));
    scene.adds(FILE, &glass());
    scene
}

fn path() -> GrantPath {
    GrantPath::new(FILE).unwrap()
}

fn is_admitted(scene: &Scene, text: &str) -> bool {
    let mut after = scene.clone();
    merged(&mut after);
    matches!(
        admit(&after.case(), &path(), &blob(text)),
        Admission::Approved(_)
    )
}

#[test]
fn without_approvals_nothing_is_proved_but_a_listed_persons_own_request_for_what_is_offered() {
    let people: [&[&str]; 3] = [&[], &["octocat"], &["grace"]];
    let offers = people.map(|people| Some(offer(0, people)));
    let mut proved = 0;
    for offered in offers.into_iter().chain([None, Some(offer(1, &[]))]) {
        for flag in [true, false] {
            for author in ["octocat", "mallory", "grace"] {
                for pushers in [&["octocat"][..], &["octocat", "mallory"], &["mallory"], &[]] {
                    for fork in [false, true] {
                        let mut scene = office();
                        role(&mut scene).emergency = offered.clone();
                        let text = if flag { glass() } else { WANTED.to_owned() };
                        scene.adds(FILE, &text);
                        scene.pull.author = Some(actor(author));
                        scene.pull.from_fork = fork;
                        let ids: BTreeSet<UserId> = pushers.iter().map(|p| actor(p).id).collect();
                        scene.pull.pushers = Pushers::Known(ids);
                        let own = author == "octocat" && pushers == ["octocat"] && !fork;
                        let listed = offered == Some(offer(0, &["octocat"]));
                        let expected = flag && own && listed;
                        let judged = verdict(&scene);
                        assert_eq!(
                            judged.outcome == Outcome::Approved,
                            expected,
                            "{offered:?} {flag} {author} {pushers:?} {fork}: {judged:?}"
                        );
                        assert_eq!(is_admitted(&scene, &text), expected);
                        proved += u32::from(expected);
                    }
                }
            }
        }
    }
    assert_eq!(proved, 1);
}

#[test]
fn the_proof_says_that_it_was_an_emergency_and_how_soon_it_is_reviewed() {
    let mut scene = breaks();
    let judged = verdict(&scene);
    let Standing::Approved(proof) = &only(&judged).approval else {
        panic!("{judged:?}");
    };
    assert_eq!(
        (proof.basis(), proof.approvals()),
        (&Basis::Emergency, &[][..])
    );
    merged(&mut scene);
    let Admission::Approved(approved) = admit(&scene.case(), &path(), &blob(&glass())) else {
        panic!("not admitted");
    };
    assert_eq!(
        approved.review_within(),
        Some(TermLength::parse("24h").unwrap())
    );
}

#[test]
fn an_ordinary_request_for_a_role_that_offers_break_glass_is_not_reviewed_afterwards() {
    let mut scene = office();
    role(&mut scene).emergency = Some(offer(0, &["octocat"]));
    scene.adds(FILE, WANTED);
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
    scene.approves("grace");
    merged(&mut scene);
    let Admission::Approved(approved) = admit(&scene.case(), &path(), &blob(WANTED)) else {
        panic!("not admitted");
    };
    assert_eq!(approved.proof().basis(), &Basis::Owners);
    assert_eq!(approved.review_within(), None);
}

#[test]
fn an_owners_objection_keeps_the_glass_whole_and_a_strangers_does_not() {
    let mut scene = breaks();
    scene.reviews("judy", ReviewState::ChangesRequested);
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    scene.reviews("grace", ReviewState::ChangesRequested);
    assert_eq!(verdict(&scene).outcome, Outcome::Waiting);
    assert!(!is_admitted(&scene, &glass()));
    scene.approves("grace");
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
}

#[test]
fn unknown_pushers_are_neither_yes_nor_no() {
    let mut scene = breaks();
    scene.pull.pushers = Pushers::Unknown("GitHub answered 502".to_owned());
    assert!(matches!(verdict(&scene).outcome, Outcome::Uncertain(_)));
    assert!(!is_admitted(&scene, &glass()));
}

/// An emergency of octocat by another pull request.
fn earlier() -> Emergency {
    let grant = GrantPath::new("access/grants/ledger/octocat-earlier.yaml").unwrap();
    let merge = commit("earlier merge");
    Emergency {
        grant: grant.id(&merge),
        path: grant,
        person: login("octocat"),
        role: RoleRef::try_from("ledger/admin".to_owned()).unwrap(),
        access: Access {
            connection: ConnectionName::new("ledger-primary").unwrap(),
            account: Account {
                name: "octocat_db".to_owned(),
                github_id: Some(actor("octocat").id),
                id: None,
            },
            entitlement: serde_json::json!({ "role": "ledger_admin" }),
            entitlement_id: None,
        },
        merge,
        pull: PullNumber(9),
        granted: at(-60),
        ends: at(0),
        review_by: at(600),
        reason: "It was on fire.".to_owned(),
        approvals: Vec::new(),
        review: Review::due(),
    }
}

#[test]
fn the_first_is_signed_before_the_second_whatever_the_resource_and_the_login() {
    let mut scene = breaks();
    scene.around.emergencies = vec![earlier()];
    assert_eq!(rules(&verdict(&scene)), ["emergency-unreviewed"]);
    assert!(!is_admitted(&scene, &glass()));
    // Under the login that the account had before it was renamed.
    scene.around.emergencies[0].person = login("octokitten");
    assert_eq!(rules(&verdict(&scene)), ["emergency-unreviewed"]);
    // Somebody else's stands in nobody's way, nor does the very grant that is weighed again.
    scene.around.emergencies[0].access.account.github_id = Some(actor("grace").id);
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    scene.around.emergencies = vec![Emergency {
        pull: PullNumber(12),
        ..earlier()
    }];
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    assert!(is_admitted(&scene, &glass()));
}

fn name() -> impl Strategy<Value = String> {
    // Names that other readers of YAML would take for numbers, dates and booleans are among them.
    prop_oneof![
        "[a-z0-9][a-z0-9-]{0,20}",
        "[0-9]{1,6}e[0-9]{1,3}",
        Just("on".to_owned()),
        Just("0123".to_owned()),
    ]
}

fn hex() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9a-f]{40}", "[0-9]{40}", "[0-9]{3}e[0-9]{36}"]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_record_is_read_as_it_was_written(
        (resource, grant, person, role) in (name(), name(), name(), name()),
        merge in hex(), attempt in 1_u32..5, minutes in 0_i64..100_000,
    ) {
        let path = GrantPath::new(format!("access/grants/{resource}/{grant}.yaml")).unwrap();
        let merge = CommitId::new(merge).unwrap();
        let record = Record {
            grant: path.id(&merge),
            person: login(&person),
            role: RoleRef::try_from(format!("{resource}/{role}")).unwrap(),
            merge: merge.clone(),
            pull: PullNumber(7),
            granted: at(minutes),
            ends: at(minutes + 60),
            review_by: at(minutes + 1440),
            attempt,
        };
        let place = RecordPath::of(&path, &merge);
        prop_assert_eq!(&RecordPath::new(place.as_str()).unwrap().grant(), &path);
        let tree = read_tree(&[file(place.as_str(), &record.text())]);
        prop_assert!(tree.findings.is_empty(), "{:?}", tree.findings);
        prop_assert_eq!(tree.emergencies.get(&place), Some(&record));
    }
}
