//! What a request may go on with, and who may be given anything at all.

use std::sync::Arc;

use hallpass::domain::decision::{Admission, Outcome, admit};
use hallpass::domain::ledger::Holding;
use hallpass::domain::model::{GrantPath, Instant, RoleRef, Subject, UserId};
use hallpass::domain::people::Members;
use hallpass::domain::pull::Lookup;

use super::denied_by;
use super::office::{FOR_SERVICE, WANTED, merged, office, request, rules, standing, verdict};
use crate::approval::scene::{FILE, Scene, actor, at, blob, commit, login};

const LONGER: &str = "person: octocat\nrole: readonly\nduration: 4h\nreason: The backfill takes longer than we thought.\n";

/// octocat's grant of two hours is live since `since`, and now gets other terms.
fn renewal(since: Option<Instant>, content: &str) -> Scene {
    let mut scene = office();
    standing(&mut scene, FILE, WANTED);
    scene.changes(FILE, Some(WANTED), Some(content));
    let path = GrantPath::new(FILE).unwrap();
    scene.holdings.push(Holding {
        id: path.id(&commit("earlier merge")),
        path,
        subject: Subject::Person(login("octocat")),
        role: RoleRef::try_from("orders/readonly".to_owned()).unwrap(),
        access_key: String::new(),
        starts: at(-60),
        ends: at(60),
        since,
    });
    scene
}

fn days(days: i64) -> i64 {
    days * 24 * 60
}

#[test]
fn a_renewal_ends_within_the_total_of_its_role() {
    // 90 days is what a role allows that says nothing.
    let latest = -days(90);
    for (since, refused) in [(latest + 240, false), (latest + 239, true), (0, false)] {
        let verdict = verdict(&renewal(Some(at(since)), LONGER));
        let expected: &[&str] = if refused { &["total-too-long"] } else { &[] };
        assert_eq!(rules(&verdict), expected, "since {since}");
    }
}

#[test]
fn a_renewal_that_is_too_long_is_told_at_its_term_by_dates_alone() {
    let scene = renewal(Some(at(-days(90))), LONGER);
    let found = verdict(&scene).findings.remove(0);
    assert_eq!((found.path.as_str(), found.line), (FILE, 3));
    assert!(
        found.message.contains("2026-08-26T12:00:00Z")
            && found.message.contains("2026-11-24T12:00:00Z"),
        "{}",
        found.message
    );
    let mut later = scene.clone();
    later.now = at(37);
    assert_eq!(verdict(&later).findings.remove(0), found);
}

#[test]
fn whatever_the_same_subject_holds_of_the_same_is_gone_on_with() {
    let long_ago = Some(at(-days(90)));
    let too_long = |scene: &Scene| rules(&verdict(scene)).contains(&"total-too-long");
    // Nothing was given yet.
    assert!(verdict(&renewal(None, LONGER)).findings.is_empty());
    // By somebody else, and of another role.
    for (from, to) in [("octocat", "mei"), ("readonly", "admin")] {
        let text = LONGER.replace(from, to).replace("4h", "2h");
        assert!(!too_long(&renewal(long_ago, &text)), "{to}");
    }
    // By a new file: until the first has ended.
    let mut scene = request();
    scene.holdings = renewal(long_ago, LONGER).holdings;
    assert!(too_long(&scene));
    let mut after = scene.clone();
    after.holdings[0].ends = at(-1);
    assert!(!too_long(&after), "after a gap it is asked for anew");
    // By another role that gives the same.
    scene.holdings[0].role = RoleRef::try_from("mirror/reader".to_owned()).unwrap();
    assert!(!too_long(&scene));
    let access = verdict(&scene).requests[0].access.clone().unwrap();
    scene.holdings[0].access_key = access.key();
    assert!(too_long(&scene));
}

#[test]
fn a_renewal_begins_at_its_merge_where_something_is_held() {
    let later = LONGER.to_owned() + "starts: 2026-11-24T13:00:00Z\n";
    let scene = renewal(Some(at(-60)), &later);
    denied_by(&scene, "renewal-starts-later");
    // What has not begun may be put off, and a start that has passed says nothing.
    assert!(verdict(&renewal(None, &later)).findings.is_empty());
    let mut passed = scene;
    passed.now = at(61);
    assert_eq!(rules(&verdict(&passed)), [""; 0]);
}

#[test]
fn a_renewal_that_is_too_long_is_not_admitted_when_somebody_merges_it() {
    let path = GrantPath::new(FILE).unwrap();
    let mut scene = renewal(Some(at(-days(90))), LONGER);
    scene.approves("grace");
    merged(&mut scene);
    let admission = admit(&scene.case(), &path, &blob(LONGER));
    assert!(
        matches!(&admission, Admission::Unapproved(why) if why[0].starts_with("total-too-long")),
        "{admission:?}"
    );
    // What it goes on with may have ended meanwhile; then its own intent remembers since when.
    scene.holdings[0].since = Some(at(-days(80)));
    let admission = admit(&scene.case(), &path, &blob(LONGER));
    assert!(matches!(admission, Admission::Approved(_)), "{admission:?}");
}

fn members(scene: &mut Scene, names: &[&str]) {
    let list: Members = names.iter().map(|name| actor(name)).collect();
    scene.around.members = Some(Lookup::Found(Arc::new(list)));
}

#[test]
fn access_is_for_members() {
    let mut scene = request();
    scene.approves("grace");
    assert_eq!(verdict(&scene).outcome, Outcome::Approved, "nobody has to");
    members(&mut scene, &["octocat", "grace"]);
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    scene.around.members = Some(Lookup::Absent);
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    members(&mut scene, &["grace"]);
    denied_by(&scene, "not-a-member");
    // By number: the login may be somebody else's.
    let mut other = actor("octocat");
    other.id = UserId(4711);
    let list: Members = [other].into_iter().collect();
    scene.around.members = Some(Lookup::Found(Arc::new(list)));
    denied_by(&scene, "not-a-member");
}

#[test]
fn whoever_answers_for_a_service_is_a_member() {
    let mut scene = office();
    scene.adds("access/grants/orders/deploy.yaml", FOR_SERVICE);
    scene.approves("grace");
    members(&mut scene, &["heidi"]);
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    members(&mut scene, &["octocat"]);
    denied_by(&scene, "not-a-member");
    let message = &verdict(&scene).findings[0].message;
    assert!(
        message.contains("owner of service deploy-bot, heidi"),
        "{message}"
    );
}

#[test]
fn giving_access_back_takes_no_membership() {
    let mut scene = office();
    standing(&mut scene, FILE, WANTED);
    scene.changes(FILE, Some(WANTED), None);
    members(&mut scene, &["grace"]);
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
    scene.around.members = Some(Lookup::Failed("GitHub answered 502".to_owned()));
    assert_eq!(verdict(&scene).outcome, Outcome::Approved);
}

#[test]
fn a_list_that_cannot_be_read_is_neither_yes_nor_no() {
    let path = GrantPath::new(FILE).unwrap();
    for approved in [false, true] {
        let mut scene = request();
        if approved {
            scene.approves("grace");
        }
        scene.around.members = Some(Lookup::Failed("GitHub answered 502".to_owned()));
        let Outcome::Uncertain(why) = verdict(&scene).outcome else {
            panic!("{:?}", verdict(&scene));
        };
        assert!(
            why[0].contains("octocat") && why[0].contains("502"),
            "{why:?}"
        );
        merged(&mut scene);
        let admission = admit(&scene.case(), &path, &blob(WANTED));
        // Without an approval the answer is no, whoever is a member.
        assert_eq!(
            matches!(admission, Admission::Unknown(_)),
            approved,
            "{admission:?}"
        );
        assert!(!matches!(admission, Admission::Approved(_)));
    }
}
