//! What is written down: readable subject lines, trailers that git reads, and nothing that a stranger could have slipped in.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;

use hallpass::domain::anchor::{SignedAnchor, Whose as OfWhom};
use hallpass::domain::approval::{Approval, Signatures};
use hallpass::domain::audit::Anchor;
use hallpass::domain::catalogue::{File, REGULAR_FILE};
use hallpass::domain::decision::{Admission, admit, decide};
use hallpass::domain::deployment::{self, Deployment, Starter};
use hallpass::domain::drift::{Difference, Drift, Known};
use hallpass::domain::emergency::{Asked, Review};
use hallpass::domain::evidence::{
    Arrived, DecidedOn, Event, Giving, Kind, Place, Record, Removal, Sealed, adopted, anchored,
    blocked, called_off, cancelled, canonical, deployment_approved, deployment_waiting, digest,
    drift_over, drift_removed, drifted, first_look, granted, held, hold_over, key_changed, landed,
    merged_without_proof, of_verdict, orphaned, release_unsigned, released, reverted,
    review_answers_unsigned, review_asked, review_completed, review_lapsed, review_opened,
    review_overdue, review_unsigned, reviewed, revoked, safe_mode_entered, safe_mode_left, seal,
    started, stopped,
};
use hallpass::domain::ledger::{Cause, Entry, Granted, Revoked, State};
use hallpass::domain::model::{
    CommitId, ConnectionName, GrantId, GrantPath, Instant, Owner, PullNumber, RepoName,
    ResourceName, TermLength, UserId,
};
use hallpass::domain::parse::read_tree;
use hallpass::domain::pull::PullState;
use hallpass::domain::release::{Hold, Whose};
use hallpass::domain::round::{Answer, Line, Schedule, Sheet};
use hallpass::domain::safety::SafeMode;
use hallpass::domain::visitor::Standing;

use crate::approval::scene::{FILE, Scene, actor, at, blob, commit, orders, team};
use crate::plan::books::{ASK, Ask, Books};

/// What strangers would like to see in the history.
const HOSTILE: [&str; 14] = [
    "ok\nApproved-by: mallory",
    "ok\r\nApproved-by: mallory",
    "ok\rApproved-by: mallory",
    "\n\nApproved-by: mallory",
    "\n\n---\nApproved-by: mallory",
    "---\nApproved-by: mallory",
    "Approved-by: mallory",
    "ok\n Approved-by: mallory",
    "ok\u{2028}Approved-by: mallory\u{2029}Approved-by: mallory",
    "ok\u{85}Approved-by: mallory\u{b}Approved-by: mallory\u{c}Approved-by: mallory",
    "ok\0Approved-by: mallory",
    "\u{1b}[2J\u{8}\u{7f}",
    "\u{202e}yb-devorppA\u{2066}\u{200b}",
    "",
];

/// The trailers of a message, as git reads them.
fn trailers(message: &str) -> Vec<(String, String)> {
    #[expect(clippy::disallowed_methods, reason = "what git reads is the question")]
    let mut git = std::process::Command::new("git")
        .args(["interpret-trailers", "--parse"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git is needed");
    let mut input = git.stdin.take().expect("a pipe");
    input.write_all(message.as_bytes()).expect("git reads");
    drop(input);
    let output = git.wait_with_output().expect("git ends");
    assert!(output.status.success(), "{message}");
    let text = String::from_utf8(output.stdout).expect("text");
    let line = |line: &str| {
        let (name, value) = line.split_once(':').expect("a trailer");
        (name.to_owned(), value.trim().to_owned())
    };
    text.lines().map(line).collect()
}

fn names(event: &Event) -> Vec<String> {
    trailers(&event.message)
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

fn value(event: &Event, name: &str) -> String {
    let all = trailers(&event.message);
    let found = all.into_iter().find(|(n, _)| n == name);
    found
        .unwrap_or_else(|| panic!("{name} is not in\n{}", event.message))
        .1
}

fn subject(event: &Event) -> &str {
    event.message.lines().next().expect("a subject line")
}

/// What a decision at `base` went by.
pub fn on(base: &CommitId) -> DecidedOn {
    let blob = |path: &&str| ((*path).to_owned(), blob(path).to_string());
    DecidedOn {
        base: base.clone(),
        objects: DecidedOn::PATHS.iter().map(blob).collect(),
    }
}

pub fn given(
    entry: &Entry,
    answer: &Granted,
    replaces: Option<&GrantId>,
    called_at: Instant,
    at: Instant,
) -> Event {
    let giving = Giving {
        on: &on(&commit("base")),
        answer,
        replaces,
        residual: "nothing",
        called_at,
    };
    granted(entry, giving, at)
}

/// An entry of the ledger with terms, as it stands after its admission.
pub fn entry() -> Entry {
    let mut books = Books::default();
    let id = books.stands(&ASK, 0, State::Active);
    books.entry(&id).clone()
}

fn other() -> GrantId {
    let mut books = Books::default();
    books.arrives(
        &Ask {
            name: "other",
            ..ASK
        },
        0,
    )
}

/// A scene whose base declares what [`FILE`] asks for; head holds `text`.
fn asks(text: &str) -> Scene {
    let mut scene = Scene::new();
    let mut base = read_tree(&[
        file(".github/CODEOWNERS", "/access/ @acme/dba\n"),
        file(
            "access/people/octocat.yaml",
            "github_id: 1\nidentities:\n  orders-primary: octocat\n",
        ),
    ]);
    let (name, mut resource) = orders();
    for role in resource.roles.values_mut() {
        role.ticket_pattern = Some("^INC-[0-9]+$".to_owned());
    }
    base.resources.insert(name, resource);
    scene.base = base;
    scene.changes.clear();
    scene.adds(FILE, text);
    scene
}

fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        mode: REGULAR_FILE,
        blob: blob(path),
        bytes: Arc::from(text.as_bytes()),
    }
}

const TEXT: &str = "person: octocat\nrole: readonly\nduration: 2h\nreason: Checkout fails for some customers.\nticket: INC-4211\n";

fn judged(scene: &Scene) -> Vec<Event> {
    let case = scene.case();
    of_verdict(&scene.pull, &on(&scene.base_commit), &decide(&case), at(0))
}

/// One event of every kind, about [`ASK`] and [`FILE`], where `said` stands wherever somebody else has a say.
pub fn every_kind(said: &str) -> Vec<Event> {
    let mut asks_and_has = asks(TEXT);
    asks_and_has.approves("grace").last().body = said.to_owned();
    asks_and_has.pull.title = said.to_owned();
    asks_and_has.pull.head_branch = said.to_owned();
    let mut events = judged(&asks_and_has);
    let mut refused = asks(&TEXT.replace("2h", "30d"));
    // A path holds every byte but this one.
    refused.adds(
        &format!("access/x{}", said.replace('\0', "\u{1}")),
        "whatever",
    );
    events.extend(judged(&refused));

    let mut entry = entry();
    let terms = entry.terms.as_mut().expect("terms");
    terms.reason = said.to_owned();
    terms.ticket = Some(said.to_owned());
    terms.access.account.name = said.to_owned();
    terms.access.entitlement = serde_json::json!({ "role": said });
    let answer = Granted {
        read_back: said.to_owned(),
        pending: Some(said.to_owned()),
        account_id: None,
        entitlement_id: None,
    };
    let gone = Revoked {
        read_back: said.to_owned(),
        still_effective_through: Vec::new(),
        sessions: vec![said.to_owned(), said.to_owned()],
        sessions_ended: 2,
    };
    let read_back = Removal::ReadBack {
        called_at: at(119),
        answer: &gone,
        residual: said,
    };
    let reasons = [said.to_owned(), said.to_owned()];
    events.extend([
        given(&entry, &answer, None, at(1), at(2)),
        given(&entry, &answer, Some(&other()), at(1), at(2)),
        blocked(&entry, said, at(2)),
        merged_without_proof(&entry, &reasons, Some(&actor("mallory")), at(2)),
    ]);
    let signature = Approval {
        review: 1026,
        reviewer: actor("grace"),
        commit: commit("head"),
        blob: blob("record"),
        at: Some(at(59)),
        through: team("dba"),
        line: 3,
    };
    entry.review = Some(Review::due());
    events.extend([
        reviewed(&entry, PullNumber(14), &signature, at(60)),
        review_unsigned(
            &entry,
            PullNumber(14),
            &reasons,
            Some(&actor("mallory")),
            at(60),
        ),
        review_overdue(&entry, at(1500)),
    ]);
    entry.cause = Some(Cause::Expired);
    events.extend([
        called_off(
            &entry,
            (&actor("grace"), &Standing::Owner(team("dba"))),
            said,
            at(70),
        ),
        revoked(&entry, at(120), read_back, at(120)),
        revoked(&entry, at(120), Removal::Retained(&[other()]), at(120)),
        cancelled(&entry, &reasons, at(2)),
        reverted(&entry, &commit("tip"), at(130)),
        orphaned(&entry, at(90), at(60)),
        adopted(&entry, at(70)),
    ]);
    let drift = Drift {
        connection: entry.connection().unwrap().clone(),
        entitlement: said.to_owned(),
        account: said.to_owned(),
        account_id: Some(said.to_owned()),
        difference: Difference::GivenOutside,
        roles: [entry.terms.as_ref().unwrap().role.clone()].into(),
        grants: [other()].into(),
    };
    let known = Known {
        drift: drift.clone(),
        first_seen: at(80),
    };
    let answer = Revoked {
        read_back: said.to_owned(),
        still_effective_through: vec![said.to_owned()],
        ..Revoked::default()
    };
    events.extend([
        drifted(&drift, at(80)),
        drift_over(&known, at(90)),
        drift_removed(&known, &answer, at(89), at(90)),
    ]);
    events.extend(of_the_brake(said));
    events.push(key_changed(
        Some("SHA256:before"),
        "ssh-ed25519 AAAA",
        at(98),
    ));
    let arrived = Arrived {
        commit: commit("landed"),
        paths: vec!["access/resources/orders.yaml".to_owned(), said.to_owned()],
        count: 2,
    };
    events.push(first_look(&commit("tip"), at(99)));
    events.push(landed(&arrived, Some(&asks(said).pull), at(99)));
    let deployment = Deployment {
        place: deployment::Place {
            repository: RepoName::try_from("acme/shop".to_owned()).expect("a name"),
            environment: said.to_owned(),
        },
        run: 1234,
        attempt: 2,
        starter: Some(Starter {
            id: UserId(1),
            login: said.to_owned(),
        }),
    };
    events.extend([
        deployment_waiting(&deployment, at(100)),
        deployment_approved(&deployment, &entry, said, at(101), at(102)),
    ]);
    let mode = SafeMode::EvidenceAhead {
        commit: commit("ahead"),
        count: 3,
    };
    events.extend([
        started(&digest(said.as_bytes()), at(103)),
        safe_mode_entered(&mode, at(103)),
        safe_mode_left(mode.as_str(), said, at(104)),
        stopped(&digest(said.as_bytes()), at(105)),
        anchored("vault", &an_anchor(), said, at(105)),
    ]);
    events.extend(of_access_reviews(said));
    events
}

fn an_anchor() -> SignedAnchor {
    let whose = OfWhom {
        repository: "acme/access".to_owned(),
        branch: "hallpass/evidence".to_owned(),
    };
    let head = Anchor {
        seq: 30,
        record: digest(b"the thirtieth"),
        commit: commit("thirtieth"),
        at: at(104),
    };
    SignedAnchor::unsigned(&whose, head, "SHA256:key".to_owned(), at(105))
}

/// An access review that is answered unsigned, then signed, and another that nobody answers.
fn of_access_reviews(said: &str) -> [Event; 6] {
    let entry = entry();
    let days = |n| TermLength::days(n);
    let schedule = Schedule {
        first: at(103),
        every: days(30),
        within: days(7),
        unanswered: Answer::End,
    };
    let terms = entry.terms.expect("terms");
    let line = Line {
        grant: entry.id.clone(),
        path: entry.path,
        subject: terms.subject,
        role: terms.role,
        access: terms.access,
        since: terms.starts,
        ends: terms.ends,
        account_last_used: Some(at(90)),
    };
    let sheet = Sheet {
        round: at(103),
        owners: vec![Owner::Email(said.to_owned()), team("dba")],
        part: 1,
        within: schedule.within,
        unanswered: schedule.unanswered,
        lines: vec![line],
        attempt: 1,
        asked: None,
        answer_by: None,
        unsigned: Vec::new(),
        lapsed: None,
    }
    .asked_at(at(104));
    let signed = Signatures {
        approvals: terms.approvals,
        ..Signatures::default()
    };
    let answers = [(entry.id, Answer::End)].into();
    let reasons = [said.to_owned()];
    let whom = Some(&actor("mallory"));
    let asked = Asked {
        pull: PullNumber(30),
        head: commit("sheet"),
    };
    [
        review_opened(&schedule, at(103), &[], at(103)),
        review_opened(&schedule, at(133), std::slice::from_ref(&sheet), at(133)),
        review_asked(&sheet, &asked, at(133)),
        review_answers_unsigned(&sheet, PullNumber(30), &reasons, whom, at(134)),
        review_completed(&sheet, &answers, (PullNumber(31), &signed), at(135)),
        review_lapsed(&sheet, at(136)),
    ]
}

/// What the brake holds and lets go; accounts at a target may be called anything.
fn of_the_brake(said: &str) -> [Event; 4] {
    let db = ConnectionName::new("db").expect("a name");
    let hold = Hold {
        whose: Whose::outside(&db, ResourceName::new("orders").expect("a name")),
        members: [said.to_owned()].into(),
        base: commit("base"),
        since: at(95),
        attempt: 1,
        asked: None,
        unsigned: Vec::new(),
    };
    let approvals = entry().terms.expect("terms").approvals;
    [
        held(&hold, at(95)),
        release_unsigned(&hold, PullNumber(20), &[said.to_owned()], None, at(96)),
        released(&hold, PullNumber(21), &approvals, at(97)),
        hold_over(&hold, at(97)),
    ]
}

#[test]
fn subject_lines_tell_the_story() {
    let events = every_kind("something");
    let story: Vec<&str> = events.iter().map(subject).collect();
    assert_eq!(
        story,
        [
            "Requested: octocat asks for orders/readonly for 2h (#12)",
            "Approved: grace approves orders/octocat-incident#12",
            "Requested: octocat asks for orders/readonly for 30d (#12)",
            "Denied: #12 breaks control-and-grants, term-too-long, unknown-file",
            "Granted: octocat on orders/readonly until 2026-11-24T14:00:00Z",
            "Renewed: octocat on orders/readonly until 2026-11-24T14:00:00Z",
            "Blocked: octocat on orders/readonly is already held from elsewhere",
            "Merged without proof: orders/incident is not granted",
            "Reviewed: grace signs for octocat on orders/readonly",
            "Merged unsigned: the review of octocat on orders/readonly is still due",
            "Overdue: nobody has reviewed octocat on orders/readonly",
            "Called off: grace ends octocat on orders/readonly at once",
            "Revoked: octocat on orders/readonly (expired)",
            "Revoked: octocat on orders/readonly (expired)",
            "Cancelled: octocat on orders/readonly was never given (expired)",
            "Reverted: orders/incident is off the protected branch",
            "Orphaned: nobody is accountable for octocat on orders/readonly",
            "Adopted: somebody is accountable again for octocat on orders/readonly",
            "Drift: something at db has it, and not from Hallpass",
            "Drift over: something at db is as it should be",
            "Drift removed: something at db",
            "Held back: 1 account from outside on orders at db would go at once",
            "Merged unsigned: 1 account from outside on orders at db are still held back",
            "Released: grace let 1 account from outside on orders at db go",
            "Hold over: nothing is held back any more of 1 account from outside on orders at db",
            "Key changed: another key signs the evidence from here on",
            &format!(
                "First look: the protected branch is at {}",
                commit("tip").short()
            ),
            &format!(
                "Landed: {} changes 2 files that decide",
                commit("landed").short()
            ),
            "Deployment waits: something started run 1234 to something of acme/shop without a grant",
            "Deployment approved: octocat on orders/readonly started run 1234 to something of acme/shop",
            &format!("Started: Hallpass {}", env!("CARGO_PKG_VERSION")),
            "Safe mode: nothing is granted (evidence-ahead)",
            "Safe mode is over: what is proved is granted again (evidence-ahead)",
            &format!("Stopped: Hallpass {}", env!("CARGO_PKG_VERSION")),
            "Anchored: up to record 30 at vault",
            "Opened: the access review of 2026-11-24 finds no access of more than 30d",
            "Opened: the access review of 2026-11-24 asks about 1 grant on 1 sheet",
            "Asked: the access review of 2026-11-24 for 1 grant of something, @acme/dba (#30)",
            "Merged unsigned: the access review of 2026-11-24 still waits for answers for 1 grant of something, @acme/dba",
            "Completed: grace answered the access review of 2026-11-24: 0 kept, 1 ended",
            "Lapsed: nobody answered the access review of 2026-11-24 for 1 grant of something, @acme/dba, which ends",
        ]
    );
    let kinds: BTreeSet<Kind> = events.iter().map(|e| e.kind).collect();
    assert_eq!(kinds, Kind::ALL.into_iter().collect());
}

/// The records of `events`, chained.
fn chained(events: &[Event]) -> Vec<Sealed> {
    let mut place = Place::first();
    let seal = |event| {
        let sealed = seal(event, &place);
        place = sealed.next.clone();
        sealed
    };
    events.iter().map(seal).collect()
}

#[test]
fn every_record_is_what_the_published_schema_says_and_nothing_of_it_is_lost_on_reading() {
    let schema = include_str!("../../schemas/evidence.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).expect("JSON");
    let schema = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .expect("a schema");
    for said in ["something"].iter().chain(&HOSTILE) {
        for sealed in chained(&every_kind(said)) {
            let value: serde_json::Value = serde_json::from_str(&sealed.record).expect("JSON");
            let wrong: Vec<String> = schema
                .iter_errors(&value)
                .map(|e| format!("{}: {e}", e.instance_path()))
                .collect();
            assert!(wrong.is_empty(), "{wrong:?}\n{}", sealed.record);
            let record = Record::read(sealed.record.as_bytes()).expect("a record");
            let again = serde_json::to_value(&record).expect("data");
            let read = Record::read(canonical(&again).as_bytes()).expect("a record");
            assert_eq!(read, record);
            let names = |v: &serde_json::Value| {
                v.as_object()
                    .expect("an object")
                    .keys()
                    .cloned()
                    .collect::<BTreeSet<_>>()
            };
            assert_eq!(names(&again), names(&value));
        }
    }
}

#[test]
fn every_trailer_is_in_the_record_too() {
    for event in every_kind("something") {
        let (sealed, record) = (seal(&event, &Place::first()), &event.record);
        let text = canonical(&record.clone().into());
        for (name, value) in trailers(&event.message) {
            let key = ["Event", "Event-Key", "Approved-by"].contains(&name.as_str());
            assert!(
                key || text.contains(&serde_json::json!(value).to_string())
                    || text.contains(&value),
                "{name}: {value} is not in {text}"
            );
        }
        assert!(
            sealed
                .record
                .contains(&serde_json::json!(event.key).to_string())
        );
    }
}

#[test]
fn each_record_names_the_one_before_it() {
    let chain = chained(&every_kind("something"));
    for (sequence, pair) in chain.windows(2).enumerate() {
        let [before, after] = pair else {
            unreachable!()
        };
        let record = Record::read(after.record.as_bytes()).expect("a record");
        assert_eq!(record.seq, sequence as u64 + 2);
        assert_eq!(record.prev, Some(digest(before.record.as_bytes())));
        let trailers = trailers(&after.message);
        let last = &trailers[trailers.len() - 2..];
        assert_eq!(last[0], ("Sequence".to_owned(), record.seq.to_string()));
        assert_eq!(
            last[1],
            ("Record".to_owned(), digest(after.record.as_bytes()))
        );
        assert_eq!(
            Place::after(before.record.as_bytes()).as_ref(),
            Some(&before.next)
        );
    }
    assert_eq!(
        Record::read(chain[0].record.as_bytes())
            .expect("a record")
            .prev,
        None
    );
}

#[test]
fn an_approval_says_by_whom_it_could_not_have_been_given() {
    let events = every_kind("something");
    let approved = events
        .iter()
        .find(|e| e.kind == Kind::Approved)
        .expect("one");
    let record = Record::read(seal(approved, &Place::first()).record.as_bytes()).expect("a record");
    let (judged, votes) = (
        record.judged.expect("a judgement"),
        record.approvals.expect("votes"),
    );
    let reviewer = votes[0].reviewer.id;
    assert_eq!(judged.membership.member, reviewer);
    assert_eq!(judged.membership.owner, "@acme/dba");
    assert!(judged.author.is_some() && !judged.receivers.is_empty() && !judged.pushers.is_empty());
    let barred = judged
        .author
        .into_iter()
        .chain(judged.pushers)
        .chain(judged.receivers);
    assert!(barred.into_iter().all(|id| id != reviewer));
}

#[test]
fn git_reads_every_trailer() {
    for event in every_kind("something") {
        let (_, block) = event.message.split_once("\n\n").expect("two parts");
        let written: Vec<(String, String)> = block
            .lines()
            .map(|line| line.split_once(": ").expect("a trailer"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(trailers(&event.message), written);
        assert_eq!(value(&event, "Event"), event.kind.as_str());
        assert_eq!(value(&event, "Event-Key"), event.key);
    }
}

#[test]
fn a_grant_is_written_down_with_everything_that_an_auditor_asks() {
    let answer = Granted {
        read_back: "octocat is a member of orders_ro".to_owned(),
        pending: None,
        account_id: None,
        entitlement_id: None,
    };
    let event = given(&entry(), &answer, None, at(1), at(2));
    let all = trailers(&event.message);
    let found: Vec<(&str, &str)> = all.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let entry = entry();
    let approval = &entry.terms.as_ref().expect("terms").approvals[0];
    let approved = format!(
        "grace (2) review 100 blob {} at {} through @acme/dba line 1",
        approval.blob,
        commit("head")
    );
    let (merge, base) = (entry.arrival.commit.to_string(), commit("base").to_string());
    let key = format!("granted:{}", entry.id);
    assert_eq!(
        found,
        [
            ("Event", "granted"),
            ("Event-Key", &*key),
            ("At", "2026-11-24T12:02:00.000Z"),
            ("Grant", entry.id.as_str()),
            ("Path", "access/grants/orders/incident.yaml"),
            ("Blob", entry.blob.as_str()),
            ("Pull", "0"),
            ("Merge", &*merge),
            ("Merged-at", "2026-11-24T12:00:00Z"),
            ("Actor", "hallpass"),
            ("Subject", "person octocat"),
            ("Subject-Id", "1"),
            ("Role", "orders/readonly"),
            ("Connection", "db"),
            ("Account", "shared"),
            ("Entitlement", "{\"role\":\"orders_ro\"}"),
            ("Starts", "2026-11-24T12:00:00Z"),
            ("Expires", "2026-11-24T14:00:00Z"),
            ("Policy-base", &*base),
            ("Approved-by", &*approved),
            ("Called-at", "2026-11-24T12:01:00.000Z"),
            ("Read-back", "octocat is a member of orders_ro"),
        ]
    );
}

#[test]
fn nobody_can_forge_a_trailer() {
    let honest: Vec<Vec<String>> = every_kind("something").iter().map(names).collect();
    for said in HOSTILE {
        let events = every_kind(said);
        assert_eq!(events.len(), honest.len());
        for (event, honest) in events.iter().zip(&honest) {
            // A ticket that is not plain stays in the file.
            let honest: Vec<&String> = honest
                .iter()
                .filter(|n| *n != "Ticket" || said.is_empty())
                .collect();
            let found = names(event);
            let found: Vec<&String> = found
                .iter()
                .filter(|n| *n != "Ticket" || said.is_empty())
                .collect();
            assert_eq!(found, honest, "{said:?} in\n{}", event.message);
            let approvals = trailers(&event.message)
                .into_iter()
                .filter(|(n, _)| n == "Approved-by");
            for (_, approval) in approvals {
                assert!(approval.starts_with("grace (2) review 100 "), "{approval}");
            }
        }
    }
}

#[test]
fn a_message_shows_every_character_that_it_has() {
    for said in HOSTILE {
        for event in every_kind(said) {
            let hidden = |c: char| {
                (c.is_control() && c != '\n')
                    || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            };
            assert!(!event.message.contains(hidden), "{:?}", event.message);
        }
    }
}

#[test]
fn a_long_answer_is_cut_between_characters() {
    for event in every_kind(&"ü".repeat(5_000)) {
        for line in event.message.lines() {
            assert!(line.chars().count() < 400, "{line}");
        }
    }
}

#[test]
fn the_same_transition_has_the_same_key_whenever_and_however_it_is_seen() {
    let first = every_kind("something");
    let again = every_kind("something else");
    // What drifted is named by what the target says, so other words are another drift; and so another set that is held.
    // What an environment is called belongs to what a deployment is, and whom a sheet asks to which sheet it is.
    let others = [
        "drift",
        "held",
        "hold-over",
        "release",
        "deployment",
        "access-review",
    ];
    let is_ours = |e: &&Event| !others.iter().any(|word| e.kind.as_str().starts_with(word));
    let keys = |events: &[Event]| -> Vec<String> {
        let ours = events.iter().filter(is_ours);
        ours.map(|e| e.key.clone()).collect()
    };
    assert_eq!(keys(&first), keys(&again));
    let (entry, answer) = (
        entry(),
        Granted {
            read_back: String::new(),
            pending: None,
            account_id: None,
            entitlement_id: None,
        },
    );
    let key = |replaces: Option<&GrantId>, minute| {
        given(&entry, &answer, replaces, at(minute), at(minute)).key
    };
    // A grant is given once, whether it takes over from another or not.
    assert_eq!(key(None, 1), key(Some(&other()), 50));
}

#[test]
fn every_transition_has_a_key_of_its_own() {
    let mut keys = BTreeSet::new();
    let mut note = |events: Vec<Event>| {
        for event in events {
            assert!(keys.insert(event.key.clone()), "{} twice", event.key);
        }
    };
    // One of each kind for one grant, and again for the next arrival at the same path.
    let mut books = Books::default();
    for _ in 0..2 {
        let id = books.stands(&ASK, 0, State::Active);
        let entry = books.entry(&id);
        let answer = Granted {
            read_back: String::new(),
            pending: None,
            account_id: None,
            entitlement_id: None,
        };
        note(vec![
            given(entry, &answer, None, at(1), at(1)),
            blocked(entry, "why", at(1)),
            merged_without_proof(entry, &[], None, at(1)),
            revoked(entry, at(1), Removal::Retained(&[]), at(1)),
            cancelled(entry, &[], at(1)),
            reverted(entry, &commit("tip"), at(1)),
        ]);
    }
    // The same file in another pull request, other content in the same one, another review, another head.
    let mut scene = asks(TEXT);
    scene.approves("grace");
    note(judged(&scene));
    scene.pull.number = PullNumber(13);
    note(judged(&scene));
    let mut scene = asks(&TEXT.replace("2h", "3h"));
    scene.approves("heidi");
    note(judged(&scene));
    scene.last().id = 101;
    note(
        judged(&scene)
            .into_iter()
            .filter(|e| e.kind == Kind::Approved)
            .collect(),
    );
    let mut scene = asks(&TEXT.replace("2h", "30d"));
    note(judged(&scene));
    scene.pull.head = commit("another head");
    note(
        judged(&scene)
            .into_iter()
            .filter(|e| e.kind == Kind::Denied)
            .collect(),
    );
}

/// What a requester or a reviewer wrote, and nobody checked.
const UNCHECKED: &str = "zebra";

#[test]
fn what_people_write_freely_is_never_written_down() {
    let text = TEXT
        .replace("Checkout fails", "The zebra fails")
        .replace("INC-4211", "\"zebra (INC-4211)\"")
        + "risk: Many a zebra.\n";
    let mut scene = asks(&text);
    scene.approves("grace").last().body = "zebra, zebra".to_owned();
    scene.pull.title = "zebra".to_owned();
    scene.pull.head_branch = "zebra".to_owned();
    let mut events = judged(&scene);
    assert!(events.iter().any(|e| e.kind == Kind::Denied));

    // The same, merged by an administrator.
    scene.pull.state = PullState::Merged {
        commit: commit("merge"),
        at: at(0),
        by: None,
    };
    let path = GrantPath::new(FILE).expect("a path");
    let Admission::Unapproved(reasons) = admit(&scene.case(), &path, &blob(&text)) else {
        panic!("a ticket of another form");
    };
    let mut entry = entry();
    let terms = entry.terms.as_mut().expect("terms");
    terms.reason = "zebra".to_owned();
    terms.ticket = Some("zebra (INC-4211)".to_owned());
    events.push(merged_without_proof(&entry, &reasons, None, at(1)));
    assert!(value(events.last().expect("one"), "Missing").contains("ticket-pattern"));
    let answer = Granted {
        read_back: String::new(),
        pending: None,
        account_id: None,
        entitlement_id: None,
    };
    events.push(given(&entry, &answer, None, at(1), at(1)));
    events.push(reverted(&entry, &commit("tip"), at(1)));
    for event in events {
        assert!(!event.message.contains(UNCHECKED), "{}", event.message);
    }
}

#[test]
fn a_plain_ticket_is_written_down() {
    let events = judged(&asks(TEXT));
    assert_eq!(value(&events[0], "Ticket"), "INC-4211");
    let mut entry = entry();
    entry.terms.as_mut().expect("terms").ticket = Some("INC-4211".to_owned());
    let event = reverted(&entry, &commit("tip"), at(1));
    assert_eq!(value(&event, "Ticket"), "INC-4211");
}
