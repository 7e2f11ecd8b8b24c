//! The report for auditors: its figures, and the page that shows them.

mod asked;
mod figures;
mod large;
mod page;
mod schema;
mod words;

use chrono::TimeDelta;
use hallpass::domain::audit::report::{Asked, Report};
use hallpass::domain::audit::{Anchor, Lives, Problem, Verified};
use hallpass::domain::evidence::Record;
use hallpass::domain::model::{CommitId, Instant, TermLength};
use serde_json::{Value, json};

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

fn commit(number: u64) -> CommitId {
    CommitId::new(format!("{number:040x}")).unwrap()
}

/// Evidence, record by record.
struct Story {
    lives: Lives,
    records: u64,
    last: Instant,
}

/// One grant, as a test asks for it.
#[derive(Clone)]
struct Told {
    subject: String,
    role: String,
    from: Instant,
    term: TimeDelta,
    /// When it was over; `None`: it is not yet.
    ended: Option<Instant>,
    /// How long after it was due.
    late: TimeDelta,
    replaces: Option<String>,
    more: Value,
    why: &'static str,
}

impl Told {
    fn of(subject: &str, role: &str, from: &str, hours: i64) -> Self {
        let (from, term) = (at(from), TimeDelta::hours(hours));
        Self {
            subject: format!("person {subject}"),
            role: role.to_owned(),
            from,
            term,
            ended: Some(from + term),
            late: TimeDelta::milliseconds(200),
            replaces: None,
            more: json!({}),
            why: "expired",
        }
    }

    fn goes_on(mut self) -> Self {
        self.ended = None;
        self
    }

    fn by(mut self, more: Value) -> Self {
        self.more = more;
        self
    }
}

impl Story {
    fn new() -> Self {
        Self {
            lives: Lives::default(),
            records: 0,
            last: Instant::UNIX_EPOCH,
        }
    }

    /// Tells of one event, and says which commit does.
    fn tell(&mut self, kind: &str, at: Instant, fields: &Value) -> CommitId {
        self.records += 1;
        let number = self.records;
        let mut record = json!({
            "schema": 1, "seq": number, "prev": null, "kind": kind, "at": at, "hallpass": "0.1.0",
            "key": format!("{kind}:{number}"), "sentence": format!("{kind} number {number}"),
        });
        for (name, value) in fields.as_object().unwrap() {
            record[name] = value.clone();
        }
        let record: Record = serde_json::from_value(record).unwrap();
        let commit = commit(number);
        self.lives.add(&commit, record);
        self.last = self.last.max(at);
        commit
    }

    /// Tells the life of one grant: asked for ten minutes before, approved five minutes before, usable 400 ms after its merge, gone
    /// 200 ms after it was due. Returns its name.
    fn grant(&mut self, told: &Told) -> String {
        let number = self.records + 1;
        let resource = told.role.split('/').next().unwrap();
        let (name, blob) = (format!("{resource}/g{number}"), format!("{number:040x}"));
        let request = json!({
            "request": format!("{name}#{number}"), "pull": number, "blob": blob,
            "path": format!("access/grants/{name}.yaml"),
        });
        let minutes = |n: i64| told.from - TimeDelta::minutes(n);
        self.tell("requested", minutes(10), &request);
        let mut approved = request.clone();
        approved["reviewed_at"] = json!(minutes(5));
        self.tell("approved", minutes(5), &approved);
        let grant = format!("{name}@{number:012x}");
        let mut given = json!({
            "grant": grant, "pull": number, "blob": blob, "path": request["path"], "merge": format!("{number:040x}"),
            "merged_at": told.from - TimeDelta::milliseconds(400), "starts": told.from - TimeDelta::milliseconds(400),
            "due": told.from - TimeDelta::milliseconds(400), "latency_ms": 400,
            "subject": told.subject, "role": told.role, "expires": told.from + told.term, "replaces": told.replaces,
            "approvals": [vote("grace", 7, minutes(5), number)],
        });
        for (field, value) in told.more.as_object().unwrap() {
            given[field] = value.clone();
        }
        let kind = if told.replaces.is_some() {
            "renewed"
        } else {
            "granted"
        };
        self.tell(kind, told.from, &given);
        if let Some(ended) = told.ended {
            let due = ended - told.late;
            let fields = json!({"grant": grant, "cause": told.why, "due": due});
            self.tell("revoked", ended, &fields);
        }
        grant
    }

    fn verified(&self, problems: Vec<Problem>) -> Verified {
        let anchor = Anchor {
            seq: self.records,
            record: format!("sha256:{:064x}", self.records),
            commit: commit(self.records),
            at: self.last,
        };
        Verified {
            evidence: commit(self.records),
            main: Some(commit(0xabc)),
            keys: 1,
            anchors: 1,
            proved: Vec::new(),
            records: self.records,
            grants: self.lives.iter().count() as u64,
            replayed: 0,
            commits: 0,
            anchor: Some(anchor),
            problems,
        }
    }

    fn report<'l>(&'l self, check: &'l Verified, asked: &Asked) -> Report<'l> {
        Report::of(&self.lives, check, asked)
    }
}

fn vote(login: &str, id: u64, at: Instant, number: u64) -> Value {
    json!({
        "review": number, "reviewer": {"id": id, "login": login}, "commit": commit(number),
        "blob": format!("{number:040x}"), "at": at, "through": "@acme/dba", "line": 1,
    })
}

/// November, asked for when it is over.
fn november() -> Asked {
    Asked {
        from: at("2026-11-01T00:00:00Z"),
        to: at("2026-12-01T00:00:00Z"),
        now: at("2026-12-02T00:00:00Z"),
        late: TimeDelta::seconds(60),
        standing: TermLength::days(7),
    }
}

/// One of everything that the page shows.
fn everything() -> Story {
    let mut story = Story::new();
    let day = |day: u32| format!("2026-11-{day:02}T09:00:00Z");
    story.grant(&Told::of("ada", "db/readonly", &day(2), 2));
    let long = Told::of("linus", "db/admin", &day(3), 24 * 20);
    story.grant(&long);
    let first = story.grant(&Told::of("ada", "shop/deploy", &day(5), 24 * 5));
    let mut again = Told::of("ada", "shop/deploy", &day(10), 24 * 5);
    again.replaces = Some(first);
    story.grant(&again);
    let glass = json!({"basis": "emergency", "approvals": [], "review_by": at(&day(13))});
    story.grant(&Told::of("ada", "db/admin", &day(12), 1).by(glass));
    let scheduled = json!({"starts": at(&day(14)) + TimeDelta::hours(3)});
    story.grant(&Told::of("barbara", "shop/deploy", &day(14), 2).by(scheduled));
    let mut late = Told::of("barbara", "db/readonly", &day(15), 2);
    late.late = TimeDelta::minutes(20);
    story.grant(&late);
    story.grant(&Told::of("barbara", "db/readonly", &day(29), 24 * 3).goes_on());
    let landed = json!({"tip": commit(0xf00), "changes": ["access/people/ada.yaml", "access/resources/db.yaml"]});
    story.tell("landed", at(&day(20)), &landed);
    let denied = json!({"request": "db/no#99", "pull": 99, "rules": ["term-too-long"]});
    story.tell("denied", at(&day(21)), &denied);
    story.tell(
        "drift",
        at(&day(22)),
        &json!({"key": "drift:1", "connection": "db"}),
    );
    story
}
