//! How long an auditor waits for a year of evidence: `cargo bench --bench audit [-- GRANTS]`.
//!
//! Writes a real repository: a protected branch with a commit for each grant, and the signed evidence of it, ten records a grant, by the
//! service's own code. Then the real program answers from it, and plain `git log` reads the same branch for comparison. Nothing is
//! asserted but that the evidence is whole and right: each question is told with its time and the most memory it took.
//!
//! 100,000 grants are a million signed commits. `HALLPASS_BENCH_DIR` keeps them, and uses them again; otherwise they are made in a
//! temporary folder, which takes some minutes.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark times the real thing, and stops where it cannot go on"
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use hallpass::domain::evidence::{DecidedOn, Event, Kind};
use hallpass::domain::model::CommitId;
use hallpass::repo::{Mirror, Signers, read};
use serde_json::{Value, json};

const BRANCH: &str = "hallpass/evidence";
const RESOURCES: usize = 100;
const PEOPLE: usize = 1_000;
/// How many events are written at once: as many as memory likes.
const BATCH: usize = 20_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let grants = arguments.find_map(|a| a.parse().ok()).unwrap_or(100_000);
    let kept = std::env::var_os("HALLPASS_BENCH_DIR").map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let folder = kept.unwrap_or_else(|| temporary.path().to_owned());
    let year = Year::of(grants, &folder.join(format!("{grants}")));
    if !year.repository().join("packed-refs").exists() {
        let started = Instant::now();
        year.write();
        println!(
            "wrote {grants} grants, {} records in {:.1?}",
            grants * 10 + 1,
            started.elapsed()
        );
    }
    year.ask();
}

struct Year {
    grants: usize,
    folder: PathBuf,
}

/// One grant, as it is told.
struct Told {
    number: usize,
    merge: CommitId,
    blob: String,
    merged_at: DateTime<Utc>,
}

impl Year {
    fn of(grants: usize, folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        Self {
            grants,
            folder: folder.to_owned(),
        }
    }

    fn repository(&self) -> PathBuf {
        self.folder.join("access.git")
    }

    fn key(&self) -> PathBuf {
        self.folder.join("key.pub")
    }

    fn merged_at(&self, number: usize) -> DateTime<Utc> {
        let begin: DateTime<Utc> = "2025-11-01T00:00:00Z".parse().unwrap();
        let year = TimeDelta::days(365).num_seconds();
        begin + TimeDelta::seconds(year * number as i64 / self.grants as i64)
    }

    fn write(&self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let mirror = runtime.block_on(Mirror::open(&self.repository())).unwrap();
        let merges = self.write_main();
        let repo = git2::Repository::open_bare(self.repository()).unwrap();
        let on = DecidedOn {
            base: merges[0].0.clone(),
            objects: read::objects(&repo, &merges[0].0, &DecidedOn::PATHS).unwrap(),
        };
        let signers = Signers::at(&self.folder.join("evidence_key")).unwrap();
        std::fs::write(self.key(), signers.public()).unwrap();
        let mut events = vec![first_look(&merges[0].0, self.merged_at(0))];
        for (number, (merge, blob)) in merges.iter().enumerate().skip(1) {
            events.extend(life(
                &on,
                &Told {
                    number,
                    merge: merge.clone(),
                    blob: blob.clone(),
                    merged_at: self.merged_at(number - 1),
                },
            ));
            if events.len() >= BATCH || number == self.grants {
                let written = runtime
                    .block_on(mirror.append_evidence(&signers, BRANCH, &events))
                    .unwrap();
                // As after a push: what the remote has is not walked again.
                let tip = git2::Oid::from_str(written.last().unwrap().as_str()).unwrap();
                repo.reference(&format!("refs/heads/{BRANCH}"), tip, true, "pushed")
                    .unwrap();
                events.clear();
            }
        }
        self.git(&["gc", "--quiet"], Stdio::null());
    }

    /// The protected branch: what decides, and then a merge for each grant. Returns each commit, with the blob that it brought.
    fn write_main(&self) -> Vec<(CommitId, String)> {
        let marks = self.folder.join("marks");
        let mut import = Command::new("git")
            .current_dir(self.repository())
            .args(["fast-import", "--quiet"])
            .arg(format!("--export-marks={}", marks.display()))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = std::io::BufWriter::new(import.stdin.take().unwrap());
        let at = self.merged_at(0).timestamp();
        write!(input, "{}", commit(1, at, &[])).unwrap();
        for (path, text) in governed() {
            write!(
                input,
                "M 100644 inline {path}\ndata {}\n{text}\n",
                text.len()
            )
            .unwrap();
        }
        for number in 1..=self.grants {
            let text = grant(number);
            write!(
                input,
                "blob\nmark :{}\ndata {}\n{text}\n",
                number * 2,
                text.len()
            )
            .unwrap();
            let at = self.merged_at(number - 1).timestamp();
            let before = (number > 1).then(|| format!("D {}", path(number - 1)));
            let now = format!("M 100644 :{} {}", number * 2, path(number));
            let changes: Vec<String> = before.into_iter().chain([now]).collect();
            write!(input, "{}", commit(number * 2 + 1, at, &changes)).unwrap();
        }
        input.flush().unwrap();
        drop(input);
        assert!(import.wait().unwrap().success(), "git fast-import");
        let text = std::fs::read_to_string(marks).unwrap();
        let mut ids = vec![String::new(); self.grants * 2 + 2];
        for line in text.lines() {
            let (mark, id) = line[1..].split_once(' ').unwrap();
            ids[mark.parse::<usize>().unwrap()] = id.to_owned();
        }
        let one = |number: usize| {
            let blob = if number == 0 {
                String::new()
            } else {
                ids[number * 2].clone()
            };
            (CommitId::new(&ids[number * 2 + 1]).unwrap(), blob)
        };
        (0..=self.grants).map(one).collect()
    }

    /// Asks what auditors ask.
    fn ask(&self) {
        let key = self.key().display().to_string();
        let page = self.folder.join("report.html").display().to_string();
        let (from, to) = ("2025-11-01", "2026-11-01");
        let at = ["access", "--at", "2026-05-01T12:00:00Z"];
        let report = [
            "report", "--key", &key, "--from", from, "--to", to, "--html", &page,
        ];
        let population = ["population", "--from", from, "--to", to, "--csv"];
        let (verified, out) = self.hallpass(&["verify", "--key", &key]);
        assert!(out.contains("Whole and right"), "{out}");
        println!("verify: {verified}");
        println!("access --at: {}", self.hallpass(&at).0);
        println!("population: {}", self.hallpass(&population).0);
        println!("report: {}", self.hallpass(&report).0);
        println!("  of {} bytes", std::fs::metadata(&page).unwrap().len());
        println!(
            "git log, for comparison: {}",
            self.git(&["log", BRANCH], Stdio::piped()).0
        );
    }

    fn hallpass(&self, question: &[&str]) -> (String, String) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_hallpass"));
        let main = ["--main", "refs/heads/main"];
        let program = program.arg("audit").args(question).args(
            if question[0] == "verify" || question[0] == "report" {
                &main[..]
            } else {
                &[]
            },
        );
        run(program.current_dir(self.repository()), Stdio::piped())
    }

    fn git(&self, arguments: &[&str], out: Stdio) -> (String, String) {
        run(
            Command::new("git")
                .current_dir(self.repository())
                .args(arguments),
            out,
        )
    }
}

/// Runs a program to its end. Returns its time and the most memory that it was seen to take, and what it said.
fn run(program: &mut Command, out: Stdio) -> (String, String) {
    let started = Instant::now();
    let mut child = program.stdout(out).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let said = child.stdout.take().map(|mut out| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut out, &mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        })
    });
    let mut most = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes =
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        most = most.max(kilobytes.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(10));
    };
    let time = started.elapsed();
    assert!(
        ended.code().is_some_and(|code| code < 2),
        "{program:?}: {ended}"
    );
    let said = said.map(|said| said.join().unwrap()).unwrap_or_default();
    (format!("{time:.1?}, {} MiB", most / 1024), said)
}

fn resource(number: usize) -> String {
    format!("resource-{}", number % RESOURCES)
}

fn login(number: usize) -> String {
    format!("person-{}", number * 7 % PEOPLE)
}

fn path(number: usize) -> String {
    format!("access/grants/{}/g{number}.yaml", resource(number))
}

fn grant(number: usize) -> String {
    format!(
        "person: {}\nrole: readonly\nduration: 2h\nreason: Number {number} of many.\n",
        login(number)
    )
}

fn commit(mark: usize, at: i64, changes: &[String]) -> String {
    let mut text = format!(
        "commit refs/heads/main\nmark :{mark}\ncommitter GitHub <noreply@github.com> {at} +0000\ndata 5\nMerge\n"
    );
    for change in changes {
        writeln!(text, "{change}").unwrap();
    }
    text
}

/// What decides.
fn governed() -> Vec<(String, String)> {
    let owners = "/access/ @acme/dba\n".to_owned();
    let mut files = vec![(".github/CODEOWNERS".to_owned(), owners)];
    for person in 0..PEOPLE {
        let text = format!(
            "github_id: {}\nidentities:\n  pg: p{person}\n",
            person + 1000
        );
        files.push((format!("access/people/person-{person}.yaml"), text));
    }
    for number in 0..RESOURCES {
        let text = "description: A database\nrisk: high\nprovider: pg\nroles:\n  readonly:\n    description: Reads\n    entitlement: { role: ro }\n    max_duration: 8h\n    approvals: 2\n";
        files.push((
            format!("access/resources/{}.yaml", resource(number)),
            text.to_owned(),
        ));
    }
    files
}

fn event(kind: Kind, key: &str, at: DateTime<Utc>, sentence: &str, fields: &Value) -> Event {
    let mut record = fields.as_object().unwrap().clone();
    record.insert("at".to_owned(), json!(at));
    let mut message = format!("{sentence}\n\nEvent: {}\nEvent-Key: {key}\n", kind.as_str());
    for (name, value) in fields.as_object().unwrap() {
        if let Some(text) = value.as_str() {
            writeln!(message, "{name}: {text}").unwrap();
        }
    }
    Event {
        key: key.to_owned(),
        kind,
        at,
        message,
        record,
    }
}

fn first_look(tip: &CommitId, at: DateTime<Utc>) -> Event {
    event(
        Kind::FirstLook,
        "first-look",
        at,
        "First look",
        &json!({"tip": tip}),
    )
}

/// Ten records of one grant: refused twice, approved by two, given, taken away, tidied up.
fn life(on: &DecidedOn, told: &Told) -> Vec<Event> {
    let (number, merged) = (told.number, told.merged_at);
    let (resource, login) = (resource(number), login(number));
    let (name, who) = (
        format!("{resource}/g{number}"),
        format!("{login} on {resource}/readonly"),
    );
    let before = |minutes: i64| merged - TimeDelta::minutes(minutes);
    let file = json!({"blob": told.blob, "path": path(number), "pull": number});
    let with = |more: Value| {
        let mut fields = file.as_object().unwrap().clone();
        fields.extend(more.as_object().unwrap().clone());
        Value::Object(fields)
    };
    let request = format!("{name}#{number}");
    let asked = with(
        json!({"request": request, "subject": format!("person {login}"), "role": format!("{resource}/readonly"), "term": "2h", "decided_on": on}),
    );
    let refused =
        json!({"request": request, "pull": number, "rules": ["term-too-long access/grants:3"]});
    let votes: Vec<Value> = (1..=2)
        .map(|n| vote(n, told, before(20 - n as i64 * number as i64 % 17)))
        .collect();
    let approved = |n: usize| {
        with(json!({
            "request": request, "approvals": [votes[n]], "reviewed_at": votes[n]["at"], "decided_on": on,
            "judged": {"author": 5, "pushers": [5], "receivers": [5], "membership": {"owner": "@acme/dba", "member": 11 + n, "read_at": before(1)}},
        }))
    };
    let given = merged + TimeDelta::milliseconds(300 + (number % 700) as i64);
    let due = merged + TimeDelta::hours(2);
    let ended = due + TimeDelta::milliseconds(100 + (number % 400) as i64);
    let grant = json!({
        "grant": format!("{name}@{}", told.merge.short()), "merge": told.merge, "merged_at": merged, "starts": merged, "expires": due,
        "subject": format!("person {login}"), "subject_id": number * 7 % PEOPLE + 1000, "role": format!("{resource}/readonly"),
        "connection": "pg", "account": login, "entitlement": "{\"role\":\"ro\"}", "policy_base": on.base,
    });
    let of_grant = |kind: Kind, word: &str, at, more: Value| {
        let mut fields = with(grant.clone());
        fields
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        event(
            kind,
            &format!("{word}:{name}"),
            at,
            &format!("{word}: {who}"),
            &fields,
        )
    };
    let revoked = json!({"cause": "expired", "due": due, "called_at": due, "read_back": "no member", "latency_ms": (ended - due).num_milliseconds()});
    let granted = json!({"approvals": votes, "called_at": merged, "read_back": "member", "due": merged, "latency_ms": (given - merged).num_milliseconds(), "decided_on": on});
    vec![
        event(
            Kind::Requested,
            &format!("requested:{name}:1"),
            before(40),
            &format!("Requested: {who}"),
            &asked,
        ),
        event(
            Kind::Denied,
            &format!("denied:{name}:1"),
            before(39),
            &format!("Denied: {name}"),
            &refused,
        ),
        event(
            Kind::Requested,
            &format!("requested:{name}:2"),
            before(30),
            &format!("Requested: {who}"),
            &asked,
        ),
        event(
            Kind::Denied,
            &format!("denied:{name}:2"),
            before(29),
            &format!("Denied: {name}"),
            &refused,
        ),
        event(
            Kind::Requested,
            &format!("requested:{name}:3"),
            before(25),
            &format!("Requested: {who}"),
            &asked,
        ),
        event(
            Kind::Approved,
            &format!("approved:{name}:1"),
            before(2),
            &format!("Approved: grace for {name}"),
            &approved(0),
        ),
        event(
            Kind::Approved,
            &format!("approved:{name}:2"),
            before(1),
            &format!("Approved: barbara for {name}"),
            &approved(1),
        ),
        of_grant(Kind::Granted, "granted", given, granted),
        of_grant(Kind::Revoked, "revoked", ended, revoked),
        of_grant(
            Kind::Reverted,
            "reverted",
            ended + TimeDelta::minutes(1),
            json!({"tip": told.merge}),
        ),
    ]
}

fn vote(n: usize, told: &Told, at: DateTime<Utc>) -> Value {
    json!({
        "review": told.number * 2 + n, "reviewer": {"id": 10 + n, "login": if n == 1 { "grace" } else { "barbara" }},
        "commit": told.merge, "blob": told.blob, "at": at, "through": "@acme/dba", "line": 1,
    })
}
