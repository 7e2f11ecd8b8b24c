//! The ledger and the queue, on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::collections::BTreeSet;
use std::path::Path;

use chrono::{DateTime, TimeDelta};
use hallpass::domain::approval::{Approval, Basis};
use hallpass::domain::deployment::{Deployment, Known, Place, Stage};
use hallpass::domain::drift::{Changes, Difference, Drift};
use hallpass::domain::emergency::Review;
use hallpass::domain::evidence::{Event, Kind};
use hallpass::domain::ledger::{Arrival, Entry, State, Terms, Wanted};
use hallpass::domain::message::{Message, Topic};
use hallpass::domain::model::{
    Access, Account, Actor, ActorKind, BlobId, CommitId, ConnectionName, GrantPath, Instant, Login,
    Owner, PullNumber, RepoName, ResourceName, RoleName, RoleRef, Subject, UserId,
};
use hallpass::domain::plan::sieve::Related;
use hallpass::domain::pull::{Lookup, Team};
use hallpass::domain::remark::Remark;
use hallpass::domain::report::{CheckStatus, Voice};
use hallpass::domain::tenure::ALWAYS;
use hallpass::store::{
    ALL_GRANTS, Addressed, Handled, Judged, Ledger, List, Mark, Notice, Scope, Sent, Session,
    SessionKey, Standing, Store, StoreError, Tally, Wake, Whose,
};
use sqlx::Connection;
use tempfile::TempDir;

use crate::postgres::server::Server;

pub fn at(minute: i64) -> Instant {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::minutes(minute)
}

fn connection(name: &str) -> ConnectionName {
    ConnectionName::new(name).unwrap()
}

fn commit(digit: char) -> CommitId {
    CommitId::new(digit.to_string().repeat(40)).unwrap()
}

/// What just reached the protected branch at `orders/<name>`.
fn arrived(name: &str) -> Entry {
    let path = GrantPath::new(format!("access/grants/orders/{name}.yaml")).unwrap();
    let blob = BlobId::new("b".repeat(40)).unwrap();
    Entry::arrived(
        path,
        blob,
        Arrival {
            commit: commit('a'),
            pull: Some(PullNumber(7)),
            at: at(0),
            order: 1,
        },
    )
}

/// grace's approval of a record.
fn signature() -> Approval {
    Approval {
        review: 7,
        reviewer: Actor {
            id: UserId(2),
            login: Login::new("grace").unwrap(),
            kind: ActorKind::User,
        },
        commit: commit('d'),
        blob: BlobId::new("e".repeat(40)).unwrap(),
        at: Some(at(3)),
        through: Owner::User(Login::new("grace").unwrap()),
        line: 3,
    }
}

/// The same, given by connection `db` to `account`, with something to do at minute `due`.
pub fn active(name: &str, account: &str, due: i64) -> Entry {
    let terms = Terms {
        subject: Subject::Person(Login::new(account).unwrap()),
        role: RoleRef {
            resource: ResourceName::new("orders").unwrap(),
            role: RoleName::new("readonly").unwrap(),
        },
        access: Access {
            connection: connection("db"),
            account: Account {
                name: account.to_owned(),
                github_id: None,
                id: None,
            },
            entitlement: serde_json::json!({ "role": "orders_ro" }),
            entitlement_id: None,
        },
        starts: at(0),
        ends: at(due),
        reason: "the reason, with 'quotes' and \u{1f980}".to_owned(),
        ticket: None,
        base: commit('c'),
        basis: Basis::default(),
        approvals: vec![],
        since: None,
        review_by: None,
        taken_over: false,
    };
    Entry {
        state: State::Active,
        terms: Some(terms),
        wake_at: Some(at(due)),
        ..arrived(name)
    }
}

fn event(key: &str) -> Event {
    Event {
        key: key.to_owned(),
        kind: Kind::MergedWithoutProof,
        at: at(3),
        message: format!("{key}\n\nEvent-Key: {key}"),
        record: serde_json::Map::from_iter([("at".to_owned(), key.into())]),
    }
}

fn message(key: &str) -> Message {
    Message {
        key: key.to_owned(),
        topic: Topic::Waiting,
        at: at(0),
        title: "It 'waits'".to_owned(),
        facts: vec![],
        to_do: None,
        links: vec![],
        whose: None,
        count: 1,
    }
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries
        .iter()
        .map(|e| e.path.short().trim_start_matches("orders/"))
        .collect()
}

fn url(folder: &Path) -> String {
    format!("sqlite://{}/hallpass.db", folder.display())
}

async fn sqlite() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&url(folder.path())).await.unwrap();
    (folder, store)
}

/// Runs a test on both databases.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($store:ident: Store) $body:block)*) => {
        mod on_sqlite {
            use super::*;
            $($(#[$meta])* #[tokio::test] async fn $name() {
                let (_folder, store) = sqlite().await;
                facts::$name(store).await;
            })*
        }
        mod on_postgres {
            use super::*;
            $($(#[$meta])* #[tokio::test] async fn $name() {
                let url = Server::shared().database(concat!("store_", stringify!($name))).await;
                facts::$name(Store::open(&url).await.unwrap()).await;
            })*
        }
        mod facts {
            use super::*;
            $(pub async fn $name($store: Store) $body)*
        }
    };
}

fn asks(of: &[(&str, &str)]) -> BTreeSet<(Subject, RoleRef)> {
    let ask = |(login, role): &(&str, &str)| {
        (
            Subject::Person(Login::new(*login).unwrap()),
            RoleRef::try_from((*role).to_owned()).unwrap(),
        )
    };
    of.iter().map(ask).collect()
}

on_both! {
    async fn drift_is_noted_once_found_by_connection_and_forgotten_when_it_is_over(store: Store) {
        let drift = |account: &str, place: &str| Drift {
            connection: connection(place),
            entitlement: r#"{"role":"orders_ro"}"#.to_owned(),
            account: account.to_owned(),
            account_id: Some("7".to_owned()),
            difference: Difference::GivenOutside,
            roles: BTreeSet::new(),
            grants: BTreeSet::new(),
        };
        let new = Changes { new: vec![drift("o'ada", "db"), drift("bob", "books")], over: vec![] };
        store.change_drift(&new, at(1), &[event("drift:1")]).await.unwrap();
        store.change_drift(&new, at(2), &[event("drift:1")]).await.unwrap();
        let known = store.drift(Some(&connection("db"))).await.unwrap();
        assert_eq!(known.len(), 1);
        assert_eq!((&known[0].drift, known[0].first_seen), (&new.new[0], at(1)));
        assert_eq!(store.drift(None).await.unwrap().len(), 2);
        assert_eq!(store.unpublished(9).await.unwrap().len(), 1);
        let over = Changes { new: vec![], over: known };
        store.change_drift(&over, at(3), &[]).await.unwrap();
        assert_eq!(store.drift(None).await.unwrap().len(), 1);
    }

    async fn what_open_pull_requests_ask_is_replaced_told_by_subject_and_forgotten(store: Store) {
        let ask = asks(&[("ada", "books/submitter"), ("bob", "books/approver")]);
        let nothing = BTreeSet::new();
        let head = commit('a');
        assert_eq!(store.remember_asks(PullNumber(7), &head, &ask).await.unwrap(), nothing);
        assert_eq!(store.remember_asks(PullNumber(7), &head, &ask).await.unwrap(), ask);
        let other = asks(&[("ada", "books/approver")]);
        assert_eq!(store.remember_asks(PullNumber(8), &head, &other).await.unwrap(), nothing);

        let ada = BTreeSet::from([Subject::Person(Login::new("ada").unwrap())]);
        let told = |pending: Vec<hallpass::domain::decision::Pending>| -> Vec<String> {
            pending.iter().map(|p| format!("#{} {} {}", p.pull, p.subject, p.role)).collect()
        };
        assert_eq!(
            told(store.asks_of(&ada).await.unwrap()),
            ["#7 ada books/submitter", "#8 ada books/approver"]
        );
        // A service of the same name is somebody else.
        let service = hallpass::domain::model::ServiceName::new("ada").unwrap();
        assert_eq!(store.asks_of(&BTreeSet::from([Subject::Service(service)])).await.unwrap(), []);
        assert_eq!(store.asking().await.unwrap(), BTreeSet::from([PullNumber(7), PullNumber(8)]));

        assert_eq!(store.remember_asks(PullNumber(7), &head, &nothing).await.unwrap(), ask);
        assert_eq!(store.forget_asks(PullNumber(8)).await.unwrap(), other);
        assert_eq!(store.forget_asks(PullNumber(8)).await.unwrap(), nothing);
        assert_eq!(store.asking().await.unwrap(), BTreeSet::new());
    }

    async fn since_when_people_are_in_a_team_is_kept_for_each_team(store: Store) {
        let dba = Owner::Team { organisation: Login::new("acme").unwrap(), slug: "dba".to_owned() };
        let crew = Owner::Team { organisation: Login::new("acme").unwrap(), slug: "d_a".to_owned() };
        let found = |ids: &[u64]| {
            let member = |id: &u64| Actor { id: UserId(*id), login: Login::new(format!("p{id}")).unwrap(), kind: ActorKind::User };
            Lookup::Found(Team { can_write: true, members: ids.iter().map(member).collect() })
        };
        let failed = || Lookup::Failed("GitHub answered 502".to_owned());
        assert_eq!(store.seen_in(&dba, &failed(), at(0)).await.unwrap(), None);
        store.seen_in(&dba, &found(&[1]), at(1)).await.unwrap();
        let known = store.seen_in(&dba, &found(&[2, 1]), at(5)).await.unwrap().unwrap();
        assert_eq!((known.minutes(UserId(1), at(9)), known.minutes(UserId(2), at(9))), (ALWAYS, 4));
        assert_eq!(store.seen_in(&dba, &failed(), at(6)).await.unwrap(), Some(known.clone()));
        assert_eq!(store.seen_in(&dba, &found(&[1, 2]), at(7)).await.unwrap(), Some(known));
        let other = store.seen_in(&crew, &found(&[2]), at(8)).await.unwrap().unwrap();
        assert_eq!(other.minutes(UserId(2), at(9)), ALWAYS);
        let notes = store.portable_notes().await.unwrap();
        let of_teams: Vec<&str> = notes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(of_teams, ["tenure:@acme/d_a", "tenure:@acme/dba"], "the next run is told of it");
        store.set_note("tenure:@acme/dba", "{").await.unwrap();
        let broken = store.seen_in(&dba, &found(&[1]), at(9)).await.unwrap_err();
        assert!(broken.to_string().contains("tenure:@acme/dba"), "{broken}");
    }

    async fn of_people_whom_two_servers_see_at_once_none_is_lost(store: Store) {
        let dba = Owner::Team { organisation: Login::new("acme").unwrap(), slug: "dba".to_owned() };
        let nobody = Lookup::Found(Team { can_write: true, members: Vec::new() });
        store.seen_in(&dba, &nobody, at(0)).await.unwrap();
        let member = Actor { id: UserId(1), login: Login::new("p1").unwrap(), kind: ActorKind::User };
        let team = Lookup::Found(Team { can_write: true, members: vec![member] });
        let (a, b) = tokio::join!(store.seen_in(&dba, &team, at(1)), store.seen_in(&dba, &team, at(2)));
        // Whoever was second keeps what the first saw.
        let (a, b) = (a.unwrap().unwrap(), b.unwrap().unwrap());
        assert_eq!(a, b);
    }

    async fn an_entry_is_read_back_as_it_was_written(store: Store) {
        let entry = active("ada", "ada", 5);
        store.commit(&[entry.clone(), arrived("bob")], &[event("e1")]).await.unwrap();

        let read = store.entries(Scope::All).await.unwrap();
        assert_eq!(read, [Entry { version: 1, ..entry }, Entry { version: 1, ..arrived("bob") }]);
        assert_eq!(store.unpublished(9).await.unwrap(), [(1, event("e1"))]);
    }

    async fn a_stale_writer_loses_and_leaves_nothing_behind(store: Store) {
        store.commit(&[active("ada", "ada", 5)], &[]).await.unwrap();
        let read = store.entries(Scope::All).await.unwrap().remove(0);
        store.commit(&[Entry { attempts: 1, ..read.clone() }], &[]).await.unwrap();

        let stale = Entry { state: State::Ended, ..read };
        let error = store.commit(&[arrived("bob"), stale], &[event("e1")]).await.unwrap_err();

        assert!(matches!(error, StoreError::Conflict(id) if id == "orders/ada@aaaaaaaaaaaa"));
        let after = store.entries(Scope::All).await.unwrap();
        assert_eq!(names(&after), ["ada"]);
        assert_eq!((after[0].state, after[0].attempts, after[0].version), (State::Active, 1, 2));
        assert_eq!(store.unpublished(9).await.unwrap(), []);
    }

    async fn a_second_unreviewed_emergency_of_one_person_is_a_conflict(store: Store) {
        let glass = |name: &str, who: &str| Entry { review: Some(Review::due()), ..active(name, who, 5) };
        store.commit(&[glass("first", "ada")], &[]).await.unwrap();
        let error = store.commit(&[glass("second", "ada")], &[event("e1")]).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict(id) if id == "orders/second@aaaaaaaaaaaa"));
        assert_eq!(store.unpublished(9).await.unwrap(), []);
        store.commit(&[glass("other", "bob")], &[]).await.unwrap();

        let unreviewed = store.entries(Scope::Unreviewed).await.unwrap();
        assert_eq!(names(&unreviewed), ["first", "other"]);
        let signed = Review { signed: Some(signature()), ..Review::due() };
        let first = Entry { review: Some(signed), state: State::Ended, ..unreviewed[0].clone() };
        store.commit(&[first], &[]).await.unwrap();
        store.commit(&[glass("second", "ada")], &[]).await.unwrap();
        assert_eq!(names(&store.entries(Scope::Unreviewed).await.unwrap()), ["other", "second"]);
    }

    async fn a_new_entry_whose_id_is_taken_is_a_conflict(store: Store) {
        store.commit(&[arrived("ada")], &[]).await.unwrap();
        let error = store.commit(&[arrived("ada")], &[]).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict(id) if id == "orders/ada@aaaaaaaaaaaa"));
    }

    async fn of_writers_at_the_same_time_exactly_one_wins(store: Store) {
        store.commit(&[active("ada", "ada", 5)], &[]).await.unwrap();
        let read = store.entries(Scope::All).await.unwrap().remove(0);

        let writers = (1..=8).map(|attempts| {
            let (store, entry) = (store.clone(), Entry { attempts, ..read.clone() });
            async move { store.commit(&[entry], &[event(&format!("by {attempts}"))]).await.is_ok() }
        });
        let won = futures_util::future::join_all(writers).await.into_iter().filter(|ok| *ok).count();

        assert_eq!(won, 1);
        let after = store.entries(Scope::All).await.unwrap().remove(0);
        let events = store.unpublished(9).await.unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].1.key, format!("by {}", after.attempts));
    }

    async fn the_cursor_moves_with_the_arrivals_or_not_at_all(store: Store) {
        assert_eq!(store.cursor().await.unwrap(), None);
        store.commit_arrivals(&[arrived("ada")], &[], (None, &commit('1'))).await.unwrap();
        assert_eq!(store.cursor().await.unwrap(), Some(commit('1')));

        let first = commit('1');
        store.commit_arrivals(&[arrived("ada")], &[], (Some(&first), &commit('2'))).await.unwrap_err();
        assert_eq!(store.cursor().await.unwrap(), Some(commit('1')));
        store.commit_arrivals(&[], &[], (Some(&first), &commit('3'))).await.unwrap();
        assert_eq!(store.cursor().await.unwrap(), Some(commit('3')));
    }

    async fn a_cursor_that_somebody_else_moved_stays_there(store: Store) {
        let (first, second) = (commit('1'), commit('2'));
        store.commit_arrivals(&[], &[], (None, &first)).await.unwrap();
        for before in [None, Some(&second)] {
            let moved = store.commit_arrivals(&[arrived("ada")], &[event("late")], (before, &second)).await;
            assert!(matches!(moved, Err(StoreError::Conflict(_))), "{moved:?}");
        }
        assert_eq!(store.cursor().await.unwrap(), Some(first));
        assert_eq!(store.entries(Scope::All).await.unwrap(), []);
        assert_eq!(store.unpublished(10).await.unwrap(), []);
    }

    async fn a_rebuilt_ledger_replaces_the_old_one_or_nothing(store: Store) {
        let old = [active("old", "ada", 5), active("kept", "mei", 5)];
        store.commit_arrivals(&old, &[event("old")], (None, &commit('1'))).await.unwrap();
        store.set_note("safe-mode", "evidence-ahead").await.unwrap();
        let entries = [active("kept", "mei", 7), active("new", "linus", 9)];
        let cursor = commit('2');
        let ledger = Ledger {
            entries: &entries,
            cursor: Some(&cursor),
            events: &[event("new")],
            notes: &[("safe-mode", None), ("evidence-seen", Some("here"))],
        };
        // Twice the same entry is no ledger.
        let twice = [active("new", "linus", 9), active("new", "linus", 9)];
        let wrong = Ledger {
            entries: &twice,
            ..ledger
        };
        assert!(store.rebuild(&wrong).await.is_err());
        assert_eq!(store.cursor().await.unwrap(), Some(commit('1')));
        assert_eq!(names(&store.entries(Scope::All).await.unwrap()), ["kept", "old"]);
        store.rebuild(&ledger).await.unwrap();
        let found = store.entries(Scope::All).await.unwrap();
        assert_eq!(names(&found), ["kept", "new"]);
        assert!(found.iter().all(|e| e.version == 1));
        assert_eq!(store.cursor().await.unwrap(), Some(cursor.clone()));
        assert_eq!(store.note("safe-mode").await.unwrap(), None);
        assert_eq!(store.note("evidence-seen").await.unwrap().as_deref(), Some("here"));
        let keys = ["old", "new", "never"].map(str::to_owned);
        let known = store.known_events(&keys).await.unwrap();
        assert_eq!(known, BTreeSet::from(["new".to_owned(), "old".to_owned()]));
        assert_eq!(store.unpublished(9).await.unwrap().len(), 2, "what waits goes on waiting");
        let nowhere = Ledger {
            cursor: None,
            events: &[],
            ..ledger
        };
        store.rebuild(&nowhere).await.unwrap();
        assert_eq!(store.cursor().await.unwrap(), None);
    }

    async fn a_service_that_uses_the_database_says_so(store: Store) {
        assert_eq!(store.served_at().await.unwrap(), None);
        store.note_served(at(5)).await.unwrap();
        assert_eq!(store.served_at().await.unwrap(), Some(at(5)));
        store.note_stopped(event("stopped")).await.unwrap();
        assert_eq!(store.served_at().await.unwrap(), None);
    }

    async fn an_event_happens_once_however_often_it_is_told(store: Store) {
        store.commit(&[], &[event("e1"), event("e1")]).await.unwrap();
        store.published(&[(1, commit('c'))]).await.unwrap();
        let again = Event { message: "told differently".to_owned(), ..event("e1") };
        store.commit(&[], &[again, event("e2")]).await.unwrap();
        let keys: Vec<_> = store.unpublished(9).await.unwrap().into_iter().map(|(_, e)| e.key).collect();
        assert_eq!(keys, ["e2"]);
    }

    async fn events_leave_in_the_order_in_which_they_were_written(store: Store) {
        for key in ["z", "a", "m"] {
            store.commit(&[], &[event(key), event(&format!("{key}-next"))]).await.unwrap();
        }
        let queued = store.unpublished(4).await.unwrap();
        let keys: Vec<_> = queued.iter().map(|(_, e)| e.key.as_str()).collect();
        assert_eq!(keys, ["z", "z-next", "a", "a-next"]);
        assert!(queued.is_sorted_by_key(|(sequence, _)| *sequence));

        store.published(&[(queued[0].0, commit('c')), (queued[1].0, commit('d'))]).await.unwrap();
        let keys: Vec<_> = store.unpublished(9).await.unwrap().into_iter().map(|(_, e)| e.key).collect();
        assert_eq!(keys, ["a", "a-next", "m", "m-next"]);
    }

    async fn what_is_due_comes_with_everything_that_holds_the_same_access(store: Store) {
        let ended = Entry { state: State::Ended, wake_at: None, ..active("ada-before", "ada", 1) };
        let mut elsewhere = active("ada-elsewhere", "ada", 1);
        elsewhere.terms.as_mut().unwrap().access.connection = connection("other");
        store
            .commit(
                &[active("ada", "ada", 5), active("later", "ada", 50), active("bob", "bob", 6), ended, elsewhere],
                &[],
            )
            .await
            .unwrap();

        let db = connection("db");
        assert_eq!(store.entries(Scope::Due(&db, at(4))).await.unwrap(), []);
        let due = store.entries(Scope::Due(&db, at(5))).await.unwrap();
        assert_eq!(names(&due), ["ada", "later"]);
        let due = store.entries(Scope::Due(&db, at(6))).await.unwrap();
        assert_eq!(names(&due), ["ada", "bob", "later"]);
    }

    async fn the_timer_waits_for_the_first_admitted_entry(store: Store) {
        assert_eq!(store.next_due().await.unwrap(), None);
        let waiting = Entry { wake_at: Some(at(1)), ..arrived("arrived") };
        let ended = Entry { state: State::Ended, ..active("ended", "eve", 2) };
        store.commit(&[waiting, ended, active("ada", "ada", 9), active("bob", "bob", 4)], &[]).await.unwrap();

        assert_eq!(store.next_due().await.unwrap(), Some(at(4)));
        assert_eq!(store.due_connections(at(3)).await.unwrap(), BTreeSet::new());
        assert_eq!(store.due_connections(at(4)).await.unwrap(), BTreeSet::from([connection("db")]));
    }

    async fn scopes_tell_live_from_final_and_tidied_from_untidied(store: Store) {
        let denied = Entry { state: State::Denied, ..arrived("denied") };
        let ended = Entry { state: State::Ended, ..active("ended", "eve", 1) };
        let tidy = Entry { state: State::Ended, tidied: true, ..active("tidy", "eve", 1) };
        store.commit(&[arrived("new"), denied, ended, tidy, active("ada", "ada", 5)], &[]).await.unwrap();

        let db = connection("db");
        let read = async |scope| store.entries(scope).await.unwrap();
        assert_eq!(names(&read(Scope::Live(&db)).await), ["ada"]);
        assert_eq!(names(&read(Scope::Waiting).await), ["new"]);
        assert_eq!(store.live_connections().await.unwrap(), BTreeSet::from([db.clone()]));
        let untidied = read(Scope::Untidied).await;
        assert_eq!(names(&untidied), ["denied", "ended"]);
        let ids: Vec<&str> = untidied.iter().map(|e| e.id.as_str()).collect();
        assert_eq!(store.untidied().await.unwrap(), ids);
        assert_eq!(names(&read(Scope::All).await), ["ada", "denied", "ended", "new", "tidy"]);
    }

    async fn entries_are_found_by_file_and_by_subject(store: Store) {
        let ended = Entry { state: State::Ended, ..active("ada-before", "ada", 1) };
        let mut service = active("robot", "ada", 9);
        service.terms.as_mut().unwrap().subject =
            Subject::Service(hallpass::domain::model::ServiceName::new("ada").unwrap());
        let many = (0..1200).map(|n| active(&format!("many-{n}"), &format!("user-{n}"), 9));
        let entries: Vec<_> = [active("ada", "ada", 5), ended.clone(), service].into_iter().chain(many).collect();
        store.commit(&entries, &[]).await.unwrap();

        let at_path = store.entries_at(&BTreeSet::from([ended.path])).await.unwrap();
        assert_eq!(names(&at_path), ["ada-before"]);
        let of_ada = store.entries_of(&BTreeSet::from([Subject::Person(Login::new("ada").unwrap())])).await.unwrap();
        assert_eq!(names(&of_ada), ["ada"]);
        assert_eq!(store.entries_of(&BTreeSet::new()).await.unwrap(), []);
        let every_path = entries.iter().map(|e| e.path.clone()).collect();
        assert_eq!(store.entries_at(&every_path).await.unwrap().len(), entries.len());
    }

    async fn what_is_related_to_a_plan_is_live_and_of_its_connection(store: Store) {
        let ended = |name: &str| Entry { state: State::Ended, ..active(name, "ada", 1) };
        let mut elsewhere = active("elsewhere", "ada", 9);
        elsewhere.terms.as_mut().unwrap().access.connection = connection("other");
        let many: Vec<Entry> = (0..1200).map(|n| active(&format!("many-{n}"), &format!("user-{n}"), 9)).collect();
        let entries = [active("ada", "ada", 5), active("bob", "bob", 5), active("eve", "eve", 5), ended("ada-before"), elsewhere.clone()];
        store.commit(&entries, &[]).await.unwrap();
        store.commit(&many, &[]).await.unwrap();
        let related = async |related: Related| {
            let mut found = BTreeSet::new();
            let note = |entry: Entry| {
                found.insert(names(&[entry])[0].to_owned());
            };
            store.each_related(&connection("db"), &related, note).await.unwrap();
            Vec::from_iter(found)
        };
        let nothing = Related::default();
        assert!(related(nothing.clone()).await.is_empty());
        let key = |entry: &Entry| entry.terms.as_ref().unwrap().access.key();
        let ada = Subject::Person(Login::new("ada").unwrap());
        assert_eq!(related(Related { subjects: [ada].into(), ..nothing.clone() }).await, ["ada"]);
        assert_eq!(related(Related { accesses: [key(&entries[1]), key(&elsewhere)].into(), ..nothing.clone() }).await, ["bob"]);
        let paths = [entries[2].path.clone(), entries[3].path.clone(), elsewhere.path].into();
        assert_eq!(related(Related { paths, ..nothing.clone() }).await, ["eve"]);
        let accesses = many.iter().map(key).collect();
        assert_eq!(related(Related { accesses, ..nothing }).await.len(), many.len());
    }

    async fn what_a_subject_had_is_told_newest_first_and_bounded(store: Store) {
        let ended = |name: &str, minute| Entry { state: State::Ended, settled_at: Some(at(minute)), ..active(name, "ada", minute) };
        let denied = Entry {
            state: State::Denied,
            settled_at: Some(at(7)),
            asked: Some(Wanted {
                subject: Subject::Person(Login::new("ada").unwrap()),
                role: RoleRef::try_from("orders/readonly".to_owned()).unwrap(),
            }),
            ..arrived("denied")
        };
        let other = Entry { state: State::Ended, settled_at: Some(at(9)), ..active("other", "bob", 9) };
        store.commit(&[ended("oldest", 1), ended("older", 5), ended("newest", 8), denied, other, active("live", "ada", 9)], &[]).await.unwrap();

        let ada = BTreeSet::from([Subject::Person(Login::new("ada").unwrap())]);
        assert_eq!(names(&store.ended_of(&ada, 3).await.unwrap()), ["denied", "newest", "older"]);
        assert_eq!(names(&store.ended_of(&ada, 1).await.unwrap()), ["newest"]);
        assert_eq!(store.ended_of(&BTreeSet::new(), 9).await.unwrap(), []);
    }

    async fn what_was_closed_is_kept_until_it_is_open_again(store: Store) {
        let ada = Subject::Person(Login::new("ada").unwrap());
        let role = |name: &str| RoleRef::try_from(format!("orders/{name}")).unwrap();
        let asks = BTreeSet::from([(ada.clone(), role("admin")), (ada.clone(), role("readonly"))]);
        let subjects = BTreeSet::from([ada.clone()]);
        store.remember_asks(PullNumber(7), &commit('a'), &asks).await.unwrap();
        store.remember_asks(PullNumber(8), &commit('b'), &BTreeSet::from([(ada, role("admin"))])).await.unwrap();
        assert_eq!(store.turned_down_of(&subjects, 9).await.unwrap(), []);
        assert_eq!(store.turn_down_asks(PullNumber(7), at(3)).await.unwrap(), asks);
        assert_eq!(store.turn_down_asks(PullNumber(8), at(5)).await.unwrap().len(), 1);
        // Told twice, kept once.
        assert_eq!(store.turn_down_asks(PullNumber(7), at(9)).await.unwrap(), BTreeSet::new());
        assert_eq!(store.asking().await.unwrap(), BTreeSet::new());
        let kept = store.turned_down_of(&subjects, 9).await.unwrap();
        let told: Vec<_> = kept.iter().map(|p| (p.pull.unwrap().0, p.at)).collect();
        assert_eq!(told, [(8, at(5)), (7, at(3)), (7, at(3))]);
        assert_eq!(store.turned_down_of(&subjects, 1).await.unwrap(), kept[..1]);

        store.remember_asks(PullNumber(7), &commit('c'), &asks).await.unwrap();
        assert_eq!(store.turned_down_of(&subjects, 9).await.unwrap(), kept[..1]);
    }

    async fn a_notice_is_planned_due_and_done_once_whatever_becomes_of_the_entry(store: Store) {
        let ended = Entry { state: State::Ended, ..active("ended", "eve", 2) };
        store.commit(&[active("ada", "ada", 9), active("bob", "bob", 9), ended, arrived("new")], &[]).await.unwrap();
        let new = store.unplanned_notices(9).await.unwrap();
        assert_eq!(names(&new), ["ada", "bob"]);
        store.set_notices(&[(new[0].id.clone(), Notice::At(at(4))), (new[1].id.clone(), Notice::Done)]).await.unwrap();
        assert_eq!(store.unplanned_notices(9).await.unwrap(), []);
        assert!(!store.notices_are_due(at(3)).await.unwrap());
        assert!(store.notices_are_due(at(4)).await.unwrap());

        // The entry's own writer neither hinders nor forgets it.
        store.commit(&[Entry { attempts: 3, ..new[0].clone() }], &[]).await.unwrap();
        assert_eq!(names(&store.due_notices(at(4), 9).await.unwrap()), ["ada"]);
        store.set_notices(&[(new[0].id.clone(), Notice::Done)]).await.unwrap();
        assert!(!store.notices_are_due(at(9)).await.unwrap());
        assert_eq!(names(&store.live_of_pull(PullNumber(7)).await.unwrap()), ["ada", "bob", "new"]);
        assert_eq!(store.live_of_pull(PullNumber(8)).await.unwrap(), []);
    }

    async fn a_message_is_queued_once_and_sent_by_whoever_took_it(store: Store) {
        let told = |key: &str| Addressed {
            channel: "http".to_owned(),
            recipient: None,
            message: message(key),
        };
        store.queue_messages(&[told("a"), told("a"), told("b")], None, at(1)).await.unwrap();
        store.queue_messages(&[told("a")], None, at(2)).await.unwrap();
        let due = store.due_messages("http", at(1), 9).await.unwrap();
        assert_eq!(due.len(), 2);
        assert_eq!(store.due_messages("http", at(0), 9).await.unwrap(), []);
        assert_eq!(store.due_messages("mail", at(9), 9).await.unwrap(), []);
        // Two that read the same: one takes it.
        let both = tokio::join!(store.claim_message(&due[0], at(5)), store.claim_message(&due[0], at(5)));
        assert_ne!(both.0.unwrap(), both.1.unwrap());
        assert_eq!(store.due_messages("http", at(4), 9).await.unwrap(), due[1..]);
        // Whoever died is followed by another, and says nothing any more.
        let again = store.due_messages("http", at(5), 9).await.unwrap();
        let again = again.iter().find(|q| q.addressed == due[0].addressed).unwrap();
        assert_eq!(again.attempts, 1);
        assert!(store.claim_message(again, at(7)).await.unwrap());
        store.settle_message(&due[0], &Sent::Told(at(6))).await.unwrap();
        assert_eq!(store.told_since(&due[0].addressed, at(0)).await.unwrap(), 0);
        store.settle_message(again, &Sent::Told(at(6))).await.unwrap();
        assert_eq!(store.told_since(&due[0].addressed, at(5)).await.unwrap(), 1);
        assert_eq!(store.told_since(&due[0].addressed, at(6)).await.unwrap(), 0);
        assert_eq!(store.waiting_messages().await.unwrap(), [("http".to_owned(), 1)]);
        // Together, or not at all.
        assert!(!store.gather_messages(&[due[1].clone(), due[0].clone()], &told("both"), at(8)).await.unwrap());
        assert!(store.gather_messages(&due[1..], &told("both"), at(8)).await.unwrap());
        let left = store.due_messages("http", at(9), 9).await.unwrap();
        assert_eq!(left.iter().map(|q| q.addressed.message.key.as_str()).collect::<Vec<_>>(), ["both"]);
        store.forget_messages(at(9)).await.unwrap();
        // What is forgotten may be told again; what waits is not forgotten.
        assert_eq!(store.due_messages("http", at(9), 9).await.unwrap(), left);
    }

    async fn what_goes_on_is_told_when_its_time_comes_and_news_begin_with_the_first_look(store: Store) {
        let standing = Standing {
            key: "waiting:#7".to_owned(),
            open: true,
            told: 0,
            next_at: Some(at(3)),
            message: message("waiting:#7"),
        };
        store.keep_standing(std::slice::from_ref(&standing), &[], at(1)).await.unwrap();
        assert!(store.standing_to_tell(at(2)).await.unwrap().is_empty());
        assert_eq!(store.standing_to_tell(at(3)).await.unwrap().len(), 1);
        assert_eq!(store.standing("waiting:#").await.unwrap()["waiting:#7"], standing);
        assert!(store.standing("overdue:").await.unwrap().is_empty());
        let over = Standing { open: false, ..standing };
        store.keep_standing(&[over], &[], at(4)).await.unwrap();
        assert!(store.standing_to_tell(at(9)).await.unwrap().is_empty());

        store.commit(&[], &[event("before")]).await.unwrap();
        assert_eq!(store.events_to_tell(9).await.unwrap(), []);
        store.commit(&[active("late", "ada", 2), active("later", "bob", 9)], &[event("one"), event("two")]).await.unwrap();
        let news = store.events_to_tell(9).await.unwrap();
        assert_eq!(news.iter().map(|(_, e)| e.key.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        store.queue_messages(&[], Some(news[0].0), at(5)).await.unwrap();
        assert_eq!(store.events_to_tell(9).await.unwrap(), news[1..]);
        assert_eq!(names(&store.overdue(at(5), 9).await.unwrap()), ["late"]);
    }

    async fn a_comment_is_handled_once_and_answers_are_counted(store: Store) {
        let remark = |id, pull| Remark {
            id,
            pull: PullNumber(pull),
            author: signature().reviewer,
            through_app: false,
            text: "/hallpass explain".to_owned(),
            written_at: at(1),
            changed_at: at(1),
        };
        for (id, pull, how) in [(1, 7, Handled::Answered), (2, 7, Handled::PassedOver), (3, 8, Handled::Answered), (1, 7, Handled::Answered)] {
            store.note_handled(&remark(id, pull), how, at(2)).await.unwrap();
        }
        assert!(store.is_handled(&remark(2, 7)).await.unwrap());
        assert!(!store.is_handled(&remark(4, 7)).await.unwrap());
        assert_eq!(store.answered_since(Some(PullNumber(7)), at(1)).await.unwrap(), 1);
        assert_eq!(store.answered_since(None, at(1)).await.unwrap(), 2);
        assert_eq!(store.answered_since(None, at(2)).await.unwrap(), 0);
    }

    async fn a_deployment_is_known_until_it_is_forgotten_and_open_until_it_is_let_through(store: Store) {
        let known = |repository: &str, run, stage| Known {
            deployment: Deployment {
                place: Place {
                    repository: RepoName::try_from(repository.to_owned()).unwrap(),
                    environment: "production".to_owned(),
                },
                run,
                attempt: 1,
                starter: None,
            },
            stage,
        };
        let shop = RepoName::try_from("acme/SHOP".to_owned()).unwrap();
        let (seen, told) = (known("Acme/shop", 1, Stage::Seen), known("Acme/shop", 1, Stage::Told));
        let other = known("acme/docs", 2, Stage::Told);
        store.keep_deployment(&seen, &[]).await.unwrap();
        store.keep_deployment(&told, &[event("told")]).await.unwrap();
        store.keep_deployment(&other, &[]).await.unwrap();
        assert_eq!(store.deployments(&shop).await.unwrap(), std::slice::from_ref(&told));
        assert_eq!(store.open_deployments().await.unwrap(), [told.clone(), other.clone()]);

        let approved = known("Acme/shop", 1, Stage::approved(at(1), 1));
        store.keep_deployment(&approved, &[event("approved"), event("told")]).await.unwrap();
        assert_eq!(store.open_deployments().await.unwrap(), std::slice::from_ref(&other));
        assert_eq!(store.deploying().await.unwrap().len(), 2);
        assert_eq!(store.unpublished(9).await.unwrap().len(), 2);

        // What somebody else wrote meanwhile stays.
        store.replace_deployment(&seen, &told).await.unwrap();
        assert_eq!(store.deployments(&shop).await.unwrap(), std::slice::from_ref(&approved));
        store.replace_deployment(&approved, &told).await.unwrap();
        assert_eq!(store.open_deployments().await.unwrap(), [told.clone(), other]);

        store.forget_deployment(&told, &[event("over")]).await.unwrap();
        assert_eq!(store.deployments(&shop).await.unwrap(), []);
        assert_eq!(store.unpublished(9).await.unwrap().len(), 3);
    }

    async fn wakes_of_one_name_are_one_look(store: Store) {
        let calls = (0..50).map(|n| {
            let store = store.clone();
            async move { store.wake(&[Wake::Pull(PullNumber(n % 3)), Wake::Main], at(0)).await }
        });
        futures_util::future::try_join_all(calls).await.unwrap();
        store.wake(&[Wake::All], at(1)).await.unwrap();

        let due: BTreeSet<_> = store.due_wakes(at(1)).await.unwrap().into_iter().map(|t| t.wake).collect();
        let pulls = (0..3).map(|n| Wake::Pull(PullNumber(n)));
        assert_eq!(due, pulls.chain([Wake::Main, Wake::All]).collect());
    }

    async fn wakes_are_taken_oldest_first_and_not_before_they_are_due(store: Store) {
        store.wake(&[Wake::Main], at(5)).await.unwrap();
        store.wake(&[Wake::All], at(2)).await.unwrap();
        let due: Vec<_> = store.due_wakes(at(9)).await.unwrap().into_iter().map(|t| t.wake).collect();
        assert_eq!(due, [Wake::All, Wake::Main]);
        assert_eq!(store.due_wakes(at(4)).await.unwrap().len(), 1);
        assert_eq!(store.next_wake_due().await.unwrap(), Some(at(2)));
    }

    async fn a_wake_that_comes_while_its_name_is_worked_off_is_not_lost(store: Store) {
        store.wake(&[Wake::Main], at(0)).await.unwrap();
        let taken = store.due_wakes(at(0)).await.unwrap().remove(0);
        store.wake(&[Wake::Main], at(1)).await.unwrap();

        store.finish_wake(&taken).await.unwrap();
        let again = store.due_wakes(at(1)).await.unwrap().remove(0);
        store.defer_wake(&taken, at(60)).await.unwrap();
        assert_eq!(store.due_wakes(at(1)).await.unwrap(), std::slice::from_ref(&again));

        store.finish_wake(&again).await.unwrap();
        assert_eq!(store.due_wakes(at(99)).await.unwrap(), []);
        assert_eq!(store.next_wake_due().await.unwrap(), None);
    }

    async fn who_only_wonders_does_not_hurry_what_was_put_off(store: Store) {
        store.wake_unless_queued(&Wake::Main, at(0)).await.unwrap();
        let taken = store.due_wakes(at(0)).await.unwrap().remove(0);
        store.defer_wake(&taken, at(10)).await.unwrap();
        store.wake_unless_queued(&Wake::Main, at(5)).await.unwrap();
        assert_eq!(store.due_wakes(at(9)).await.unwrap(), []);
        assert_eq!(store.due_wakes(at(10)).await.unwrap()[0].attempts, 1);
    }

    async fn a_wake_that_failed_waits_and_counts_unless_it_is_asked_for_again(store: Store) {
        store.wake(&[Wake::Main], at(0)).await.unwrap();
        let taken = store.due_wakes(at(0)).await.unwrap().remove(0);
        store.defer_wake(&taken, at(10)).await.unwrap();
        assert_eq!(store.due_wakes(at(9)).await.unwrap(), []);
        assert_eq!(store.due_wakes(at(10)).await.unwrap()[0].attempts, 1);

        store.wake(&[Wake::Main], at(2)).await.unwrap();
        let due = store.due_wakes(at(2)).await.unwrap();
        assert_eq!((due.len(), due[0].attempts), (1, 1));
    }

    async fn what_is_there_is_counted(store: Store) {
        assert_eq!(store.tally(at(0)).await.unwrap(), Tally::default());
        let mut ended = active("eve", "eve", 1);
        ended.settle(State::Ended, at(2));
        let taken = Entry { state: State::Revoking, ..active("dan", "dan", 9) };
        let later = Entry { state: State::Scheduled, ..active("fay", "fay", 2) };
        let entries = [arrived("new"), active("ada", "ada", 3), active("bob", "bob", 4), active("cy", "cy", 5), taken, later, ended];
        store.commit(&entries, &[event("e1"), event("e2")]).await.unwrap();
        store.wake(&[Wake::Main, Wake::Pull(PullNumber(7))], at(0)).await.unwrap();
        let ask = asks(&[("ada", "books/submitter"), ("bob", "books/approver")]);
        store.remember_asks(PullNumber(7), &commit('a'), &ask).await.unwrap();
        store.remember_asks(PullNumber(8), &commit('a'), &ask).await.unwrap();
        let db = |state| (connection("db"), state);
        let counted = store.tally(at(4)).await.unwrap();
        let expected = Tally {
            grants: [(db(State::Scheduled), 1), (db(State::Active), 3), (db(State::Revoking), 1)].into(),
            arrived: 1,
            // An end counts from its very moment on; what was never given is not late.
            overdue: [(connection("db"), (2, at(3)))].into(),
            asking: 2,
            outbox: (2, Some(at(3))),
            wakes: 2,
            ..Tally::default()
        };
        assert_eq!(counted, expected);
        store.published(&[(1, commit('c')), (2, commit('d'))]).await.unwrap();
        assert_eq!(store.tally(at(4)).await.unwrap().outbox, (0, None));
        assert_eq!(store.due_wakes(at(1)).await.unwrap()[0].asked_at, at(0));
    }

    async fn lists_are_read_a_page_at_a_time_and_hold_everything_once(store: Store) {
        let mut all: Vec<Entry> = (0..7).map(|n| active(&format!("g{n}"), "ada", 10 + n / 2)).collect();
        let mut over: Vec<Entry> = (0..5).map(|n| active(&format!("o{n}"), "mei", 5)).collect();
        for (n, entry) in over.iter_mut().enumerate() {
            entry.settle(State::Ended, at(20 + (n / 2) as i64));
        }
        all.extend(over);
        all.push(arrived("unproved"));
        store.commit(&all, &[]).await.unwrap();
        let (ada, orders) = (Subject::Person(Login::new("ada").unwrap()), ResourceName::new("orders").unwrap());
        let live = ["g0", "g1", "g2", "g3", "g4", "g5", "g6"];
        for (list, expected) in [
            (List::Live(Whose::All), &live[..]),
            (List::Live(Whose::Of(&ada)), &live),
            (List::Live(Whose::On(&orders)), &live),
            (List::Over(Whose::All), &["o4", "o3", "o2", "o1", "o0"]),
            (List::Over(Whose::Of(&ada)), &[]),
            (List::Overdue(at(11)), &["g0", "g1", "g2", "g3"]),
            (List::Unsettled, &[]),
            (List::Unreviewed, &[]),
        ] {
            let (mut found, mut mark) = (Vec::new(), None);
            loop {
                let page = store.listed(&list, mark.as_ref(), 2).await.unwrap();
                let Some(last) = page.last() else { break };
                mark = Mark::after(&list, last);
                assert_eq!(mark.as_ref().and_then(|m| Mark::parse(&m.word())), mark);
                found.extend(page);
            }
            assert_eq!(names(&found), expected, "{list:?}");
        }
        assert_eq!(store.count_live().await.unwrap(), (7, 0));
        for (words, expected) in [("G3", &["g3"][..]), ("%", &[]), ("_", &[]), ("unproved", &["unproved"]), ("mei", &["o0", "o1", "o2", "o3", "o4"])] {
            let mut found = store.found(words, 9).await.unwrap();
            found.sort_by(|a, b| a.id.cmp(&b.id));
            assert_eq!(names(&found), expected, "{words}");
        }
        assert_eq!(store.entry(&all[3].id).await.unwrap().unwrap().path, all[3].path);
        assert_eq!(store.brought_by(PullNumber(404), 9).await.unwrap(), []);
    }

    async fn what_a_pull_request_waits_for_is_kept_while_it_is_open(store: Store) {
        let judged = |pull: u64, says: &str| Judged {
            pull: PullNumber(pull),
            author: Some(Login::new("ada").unwrap()),
            outcome: "waiting".to_owned(),
            says: says.to_owned(),
            since: at(1),
        };
        let role = RoleRef { resource: ResourceName::new("orders").unwrap(), role: RoleName::new("readonly").unwrap() };
        let ask = (Subject::Person(Login::new("ada").unwrap()), role);
        store.remember_asks(PullNumber(2), &commit('1'), &[ask.clone()].into()).await.unwrap();
        for one in [judged(2, "first"), judged(3, "alone"), judged(2, "second")] {
            store.remember_judged(&one).await.unwrap();
        }
        // The same again keeps since when it says so.
        let later = Judged { since: at(9), ..judged(2, "second") };
        store.remember_judged(&later).await.unwrap();
        let all = store.waiting(Whose::All, PullNumber(0), 9).await.unwrap();
        let told: Vec<_> = all.iter().map(|w| (w.judged.pull.0, w.judged.says.as_str(), w.judged.since, w.asks.len())).collect();
        assert_eq!(told, [(2, "second", at(1), 1), (3, "alone", at(1), 0)]);
        assert_eq!(store.waiting(Whose::All, PullNumber(2), 9).await.unwrap().len(), 1);
        assert_eq!(store.waiting(Whose::Of(&ask.0), PullNumber(0), 9).await.unwrap().len(), 1);
        assert_eq!(store.waiting(Whose::On(&ask.1.resource), PullNumber(0), 9).await.unwrap().len(), 1);
        assert_eq!(store.asking().await.unwrap(), [PullNumber(2), PullNumber(3)].into());
        store.forget_asks(PullNumber(3)).await.unwrap();
        store.turn_down_asks(PullNumber(2), at(3)).await.unwrap();
        assert_eq!(store.waiting(Whose::All, PullNumber(0), 9).await.unwrap(), []);
    }

    async fn of_what_was_denied_behind_a_pull_request_the_oldest_are_found(store: Store) {
        let judged = |pull: u64, author: &str, outcome: &str| Judged {
            pull: PullNumber(pull),
            author: Some(Login::new(author).unwrap()),
            outcome: outcome.to_owned(),
            says: String::new(),
            since: at(1),
        };
        for one in [
            judged(9, "ada", "denied"),
            judged(7, "ada", "uncertain"),
            judged(6, "ada", "waiting"),
            judged(5, "mei", "denied"),
            judged(4, "ada", "denied"),
            judged(2, "ada", "denied"),
        ] {
            store.remember_judged(&one).await.unwrap();
        }
        let denied = async |most| store.denied_of(&Login::new("ada").unwrap(), PullNumber(3), most).await.unwrap();
        assert_eq!(denied(20).await, [4, 7, 9].map(PullNumber).into());
        assert_eq!(denied(2).await, [4, 7].map(PullNumber).into());
    }

    async fn a_sign_in_makes_one_session_that_ends_on_time_or_when_it_is_said(store: Store) {
        let session = Session { account: UserId(7), login: Login::new("ada").unwrap(), ends: at(480), asked: at(0) };
        let key = |key, sign_in| SessionKey { key, sign_in };
        store.begin_session(key("a", "s1"), &session, at(0)).await.unwrap();
        let again = store.begin_session(key("b", "s1"), &session, at(1)).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
        assert_eq!(store.session("b", at(1)).await.unwrap(), None);
        assert_eq!(store.session("a", at(479)).await.unwrap(), Some(session.clone()));
        assert_eq!(store.session("a", at(480)).await.unwrap(), None);
        store.vouch_for_session("a", at(5)).await.unwrap();
        store.vouch_for_session("a", at(4)).await.unwrap();
        assert_eq!(store.session("a", at(6)).await.unwrap().unwrap().asked, at(5));
        store.end_session("a").await.unwrap();
        assert_eq!(store.session("a", at(6)).await.unwrap(), None);
        let replayed = store.begin_session(key("c", "s1"), &session, at(7)).await;
        assert!(matches!(replayed, Err(StoreError::Conflict(_))), "{replayed:?}");
    }

    async fn an_event_is_found_by_its_file_with_the_commit_that_it_became(store: Store) {
        let told = |key: &str, pull: Option<u64>| {
            let mut event = event(key);
            event.record.insert("path".to_owned(), "access/grants/orders/a.yaml".into());
            event.record.extend(pull.map(|n| ("pull".to_owned(), n.into())));
            event
        };
        let events = [told("asked", Some(4)), told("given", Some(4)), told("other", Some(5)), told("whichever", None), event("none")];
        store.commit(&[], &events).await.unwrap();
        store.published(&[(1, commit('9'))]).await.unwrap();
        let path = GrantPath::new("access/grants/orders/a.yaml").unwrap();
        let found = store.told_of(&path, Some(PullNumber(4)), 9).await.unwrap();
        let keys: Vec<_> = found.iter().map(|(e, c)| (e.key.as_str(), c.clone())).collect();
        assert_eq!(keys, [("asked", Some(commit('9'))), ("given", None), ("whichever", None)]);
    }

    async fn what_pull_requests_say_at_a_head_is_remembered_with_what_is_shown_there(store: Store) {
        let voice = |pull: u64, status: CheckStatus| Voice { pull: PullNumber(pull), here: true, status };
        let (one, other) = (voice(1, CheckStatus::Success), voice(2, CheckStatus::Failure));
        store.say(&one, &commit('1'), "x").await.unwrap();
        store.show(PullNumber(1), &commit('1'), (10, "x")).await.unwrap();
        store.say(&other, &commit('1'), "y").await.unwrap();
        store.show(PullNumber(2), &commit('1'), (11, "z")).await.unwrap();
        let said = store.said_at(&commit('1')).await.unwrap();
        let found: Vec<_> = said.iter().map(|s| (s.voice, s.run, s.shown.as_deref())).collect();
        assert_eq!(found, [(one, Some(11), None), (other, Some(11), Some("z"))]);
        // At another head nothing is shown yet.
        store.say(&other, &commit('2'), "y").await.unwrap();
        let moved = store.said(PullNumber(2)).await.unwrap().unwrap();
        assert_eq!((moved.head, moved.run, moved.shown), (commit('2'), None, None));
        assert_eq!(store.judged_at(PullNumber(1)).await.unwrap(), Some(commit('1')));
        assert_eq!(store.unsay(PullNumber(1)).await.unwrap(), Some(commit('1')));
        assert_eq!(store.unsay(PullNumber(1)).await.unwrap(), None);
        assert!(store.said_at(&commit('1')).await.unwrap().is_empty());
    }

    async fn a_store_that_was_closed_says_so(store: Store) {
        store.tally(at(0)).await.unwrap();
        store.close().await;
        assert!(matches!(store.tally(at(0)).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.wake(&[Wake::Main], at(0)).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.commit(&[], &[]).await, Err(StoreError::Unavailable(_))));
    }
}

/// What Prometheus asks for every few seconds must not read every grant.
#[tokio::test]
async fn live_grants_are_counted_by_their_index_alone() {
    let (folder, store) = sqlite().await;
    store.close().await;
    let mut raw = sqlx::SqliteConnection::connect(&url(folder.path()))
        .await
        .unwrap();
    let plan = format!("EXPLAIN QUERY PLAN {}", ALL_GRANTS.replace("$1", "'2027'"));
    let plan = sqlx::query_as::<_, (i64, i64, i64, String)>(sqlx::AssertSqlSafe(plan));
    let plan = plan.fetch_all(&mut raw).await.unwrap();
    let by_index = plan[0].3.contains("USING COVERING INDEX ledger_tally");
    assert!(by_index, "{plan:?}");
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_crash() {
    let (folder, store) = sqlite().await;
    store
        .commit(&[active("ada", "ada", 5)], &[event("e1")])
        .await
        .unwrap();
    store.wake(&[Wake::Main], at(0)).await.unwrap();

    // What `kill -9` leaves: the files as they are, while everything is still open.
    let after = tempfile::tempdir().unwrap();
    for file in ["hallpass.db", "hallpass.db-wal"] {
        std::fs::copy(folder.path().join(file), after.path().join(file)).unwrap();
    }
    let revived = Store::open(&url(after.path())).await.unwrap();

    assert_eq!(names(&revived.entries(Scope::All).await.unwrap()), ["ada"]);
    assert_eq!(revived.unpublished(9).await.unwrap().len(), 1);
    assert_eq!(revived.due_wakes(at(0)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_store_that_is_dropped_can_be_opened_again_with_all_it_held() {
    let (folder, store) = sqlite().await;
    store.commit(&[active("ada", "ada", 5)], &[]).await.unwrap();
    drop(store);
    for _ in 0..3 {
        // Migrating again changes nothing.
        let store = Store::open(&url(folder.path())).await.unwrap();
        assert_eq!(names(&store.entries(Scope::All).await.unwrap()), ["ada"]);
        store.close().await;
    }
}

#[tokio::test]
async fn wakes_that_were_accepted_are_written_before_the_store_closes() {
    let (folder, store) = sqlite().await;
    let waiting: Vec<_> = (0..200)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.wake(&[Wake::Pull(PullNumber(n))], at(0)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    let mut accepted = 0;
    for call in waiting {
        accepted += usize::from(call.await.unwrap().is_ok());
    }
    drop(store);
    let store = Store::open(&url(folder.path())).await.unwrap();
    assert!(accepted > 0);
    assert_eq!(store.due_wakes(at(0)).await.unwrap().len(), accepted);
}

#[tokio::test]
async fn a_second_process_is_refused_and_told_why() {
    let (folder, store) = sqlite().await;
    let refused = Store::open(&url(folder.path()))
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("in use by another process"), "{refused}");
    drop(store);
    Store::open(&url(folder.path())).await.unwrap();
}

#[tokio::test]
async fn a_row_that_cannot_be_understood_is_named() {
    for damage in [
        "UPDATE ledger SET entry = '{'",
        "UPDATE ledger SET state = 'ended'",
        "UPDATE ledger SET version = 9",
    ] {
        let (folder, store) = sqlite().await;
        store.commit(&[active("ada", "ada", 5)], &[]).await.unwrap();
        let mut raw = sqlx::SqliteConnection::connect(&url(folder.path()))
            .await
            .unwrap();
        sqlx::query(damage).execute(&mut raw).await.unwrap();

        let error = store.entries(Scope::All).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Broken { .. }),
            "{damage}: {error}"
        );
        assert!(
            error.to_string().contains("orders/ada@aaaaaaaaaaaa"),
            "{damage}: {error}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_understood_keeps_nothing_else_that_is_due_from_its_end() {
    for damage in [
        "UPDATE ledger SET entry = '{' WHERE id LIKE 'orders/ada@%'",
        "UPDATE ledger SET connection = 'NO NAME' WHERE id LIKE 'orders/ada@%'",
        "UPDATE wake SET name = 'everything' WHERE name = 'all'",
    ] {
        let (folder, store) = sqlite().await;
        // The second gives what the first gives.
        let entries = [
            active("ada", "ada", 9),
            active("ada-too", "ada", 5),
            active("linus", "linus", 5),
        ];
        store.commit(&entries, &[]).await.unwrap();
        store.wake(&[Wake::All, Wake::Main], at(0)).await.unwrap();
        let mut raw = sqlx::SqliteConnection::connect(&url(folder.path()))
            .await
            .unwrap();
        let done = sqlx::query(damage).execute(&mut raw).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{damage}");

        let db = connection("db");
        let due = store.due_connections(at(9)).await.unwrap();
        assert_eq!(due, BTreeSet::from([db.clone()]), "{damage}");
        let due = store.entries(Scope::Due(&db, at(9))).await.unwrap();
        assert!(names(&due).contains(&"linus"), "{damage}: {due:?}");
        // Whether somebody keeps it is not known where that cannot be read.
        let is_in_doubt = damage.contains("'{'");
        let taken = names(&due).contains(&"ada-too");
        assert_eq!(taken, !is_in_doubt, "{damage}: {due:?}");
        let wakes = store.due_wakes(at(0)).await.unwrap();
        assert!(wakes.iter().any(|w| w.wake == Wake::Main), "{damage}");
    }
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_left_alone() {
    let (folder, store) = sqlite().await;
    store.close().await;
    drop(store);
    let mut raw = sqlx::SqliteConnection::connect(&url(folder.path()))
        .await
        .unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1")
        .execute(&mut raw)
        .await
        .unwrap();
    let error = Store::open(&url(folder.path())).await.unwrap_err();
    assert!(matches!(error, StoreError::Broken { .. }));
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("hallpass.db"),
        "these are not the bytes of a database",
    )
    .unwrap();
    for url in [
        url(folder.path()),
        "sqlite::memory:".to_owned(),
        "mysql://localhost/x".to_owned(),
        "hallpass.db".to_owned(),
    ] {
        let error = Store::open(&url).await.unwrap_err();
        assert!(matches!(error, StoreError::Broken { .. }), "{url}: {error}");
    }
    // Nothing listens on port 1.
    let error = Store::open("postgres://nobody@127.0.0.1:1/none")
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn the_file_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, store) = sqlite().await;
    store.commit(&[arrived("ada")], &[]).await.unwrap();
    for file in ["hallpass.db", "hallpass.db-wal"] {
        let mode = std::fs::metadata(folder.path().join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{file}");
    }
}
