//! The rule by which a ledger is put together, source against source.

use hallpass::domain::evidence::{
    Event, Place, Record, Removal, called_off, merged_without_proof, revoked, seal,
};
use hallpass::domain::ledger::{Cause, Entry, Granted, State};
use hallpass::domain::recovery::{Main, Rebuilt, Sources, rebuild};
use hallpass::domain::visitor::Standing;

use crate::approval::scene::{actor, at, blob, commit, team};
use crate::evidence::{entry, given};

fn answer() -> Granted {
    Granted {
        read_back: "it has it".to_owned(),
        pending: None,
        account_id: None,
        entitlement_id: None,
    }
}

fn was_given(entry: &Entry) -> Event {
    given(entry, &answer(), None, at(1), at(2))
}

fn was_taken(entry: &Entry) -> Event {
    let mut entry = entry.clone();
    entry.cause = Some(Cause::SubjectGone);
    revoked(&entry, at(60), Removal::Retained(&[]), at(60))
}

fn records(events: &[Event]) -> Vec<Record> {
    let mut place = Place::first();
    let read = |event: &Event| {
        let sealed = seal(event, &place);
        place = sealed.next.clone();
        Record::read(sealed.record.as_bytes()).unwrap()
    };
    events.iter().map(read).collect()
}

/// The branch on which the entry's file stands as it came.
fn main_with(entry: &Entry) -> Main {
    let brought = entry.arrival.commit.clone();
    Main {
        standing: [(entry.path.clone(), (entry.blob.clone(), brought.clone()))].into(),
        history: vec![brought],
    }
}

fn rebuilt(records: &[Record], before: &[Entry], main: &Main) -> Rebuilt {
    rebuild(&Sources {
        records,
        before,
        cursor: None,
        main,
        accepted: None,
        now: at(90),
    })
}

fn state_of(events: &[Event], before: &[Entry]) -> State {
    let found = rebuilt(&records(events), before, &main_with(&entry()));
    assert_eq!(found.lost, Vec::<String>::new());
    assert_eq!(found.entries.len(), 1, "{:?}", found.entries);
    found.entries[0].state
}

#[test]
fn what_was_called_off_and_not_taken_is_due_at_once() {
    let known = entry();
    let owner = Standing::Owner(team("dba"));
    let off = called_off(&known, (&actor("grace"), &owner), "digest", at(30));
    let found = rebuilt(&records(&[was_given(&known), off]), &[], &main_with(&known));
    let told = &found.entries[0];
    let noted = told.called_off.as_ref().unwrap();
    assert_eq!((&noted.cause, noted.at), (&Cause::OwnerEmergency, at(30)));
    assert_eq!((told.state, told.wake_at), (State::Active, Some(at(30))));
}

#[test]
fn what_was_given_and_not_taken_goes_on_with_all_that_taking_it_needs() {
    let known = entry();
    let found = rebuilt(&records(&[was_given(&known)]), &[], &main_with(&known));
    let mut told = found.entries[0].clone();
    let terms = told.terms.as_mut().unwrap();
    let reason = &known.terms.as_ref().unwrap().reason;
    assert_eq!(terms.reason, "", "what people write freely is not told");
    terms.reason.clone_from(reason);
    assert_eq!(
        told,
        Entry {
            version: 0,
            ..known
        }
    );
}

#[test]
fn what_any_source_knows_to_be_over_is_over() {
    let known = entry();
    let over = Entry {
        state: State::Ended,
        ..known.clone()
    };
    let (gave, took) = (was_given(&known), was_taken(&known));
    let both = [gave.clone(), took];
    assert_eq!(state_of(&both, &[]), State::Ended);
    assert_eq!(state_of(&both, std::slice::from_ref(&known)), State::Ended);
    for state in [
        State::Arrived,
        State::Scheduled,
        State::Granting,
        State::Revoking,
    ] {
        let before = Entry {
            state,
            ..known.clone()
        };
        assert_eq!(state_of(&both, &[before]), State::Ended, "{state:?}");
    }
    let unpublished = [over];
    assert_eq!(state_of(&[gave], &unpublished), State::Ended);
    assert_eq!(state_of(&[], &unpublished), State::Ended);
    let denied = merged_without_proof(&known, &["nobody".to_owned()], None, at(3));
    assert_eq!(state_of(&[denied], &[]), State::Denied);
}

#[test]
fn what_only_the_database_knows_stays_as_it_knows_it() {
    let known = entry();
    let perhaps = Entry {
        state: State::Granting,
        ..known.clone()
    };
    assert_eq!(
        state_of(&[], std::slice::from_ref(&perhaps)),
        State::Granting
    );
    assert_eq!(state_of(&[was_given(&known)], &[perhaps]), State::Active);
}

#[test]
fn a_grant_that_is_told_of_twice_is_what_was_told_first() {
    let known = entry();
    let mut longer = known.clone();
    longer.terms.as_mut().unwrap().ends = at(9_000);
    let mut again = was_given(&longer);
    "granted:again".clone_into(&mut again.key);
    let told = records(&[was_given(&known), again]);
    let found = rebuilt(&told, &[], &main_with(&known));
    let ends = |e: &Entry| e.terms.as_ref().unwrap().ends;
    assert_eq!(ends(&found.entries[0]), ends(&known));
    assert_eq!(found.entries[0].wake_at, known.wake_at);
}

#[test]
fn what_nobody_knows_has_only_arrived() {
    assert_eq!(state_of(&[], &[]), State::Arrived);
}

#[test]
fn a_file_that_came_again_is_a_newer_arrival_and_the_older_grant_is_superseded() {
    let known = entry();
    let again = Main {
        standing: [(known.path.clone(), (known.blob.clone(), commit("again")))].into(),
        history: vec![commit("again"), known.arrival.commit.clone()],
    };
    let found = rebuilt(&records(&[was_given(&known)]), &[], &again);
    let mut seen: Vec<_> = found.entries.iter().collect();
    seen.sort_by_key(|e| e.arrival.order);
    let seen: Vec<_> = seen
        .iter()
        .map(|e| (e.state, e.superseded, e.arrival.order))
        .collect();
    assert_eq!(seen, [(State::Active, true, 1), (State::Arrived, false, 2)]);
}

#[test]
fn on_a_rewritten_branch_nothing_arrives_and_nothing_is_superseded() {
    let known = entry();
    let mut gave = records(&[was_given(&known)]);
    let mut seen = records(&[hallpass::domain::evidence::first_look(
        &commit("seen"),
        at(0),
    )]);
    seen.append(&mut gave);
    let rewritten = Main {
        standing: [
            (known.path.clone(), (known.blob.clone(), commit("new"))),
            (
                hallpass::domain::model::GrantPath::new("access/grants/orders/other.yaml").unwrap(),
                (blob("other"), commit("new")),
            ),
        ]
        .into(),
        history: vec![commit("new")],
    };
    let found = rebuilt(&seen, &[], &rewritten);
    assert_eq!(found.cursor, Some(commit("seen")), "the rewrite is seen");
    assert_eq!(found.entries.len(), 1);
    assert!(!found.entries[0].superseded);
    // Vouched for, it is gone on from, and only what is new arrives.
    let new = commit("new");
    let found = rebuild(&Sources {
        records: &seen,
        before: &[],
        cursor: None,
        main: &rewritten,
        accepted: Some(&new),
        now: at(90),
    });
    assert_eq!(found.cursor, Some(new));
    let states: Vec<_> = found.entries.iter().map(|e| e.state).collect();
    assert_eq!(states, [State::Active, State::Arrived]);
    assert!(found.entries.iter().all(|e| !e.superseded));
}

#[test]
fn records_of_before_access_was_written_down_whole_tell_it_in_words() {
    let known = entry();
    let mut gave = was_given(&known);
    gave.record.remove("access").unwrap();
    let found = rebuilt(
        &records(std::slice::from_ref(&gave)),
        &[],
        &main_with(&known),
    );
    let access = |e: &Entry| e.terms.as_ref().unwrap().access.clone();
    assert_eq!(access(&found.entries[0]), access(&known));
    // Words that were cut are not guessed at.
    gave.record
        .insert("entitlement".to_owned(), "{\"role\":\"re...".into());
    let found = rebuilt(&records(&[gave]), &[], &main_with(&known));
    assert_eq!(found.lost.len(), 1, "{:?}", found.lost);
    assert!(found.entries.iter().all(|e| !e.state.may_be_held()));
}
