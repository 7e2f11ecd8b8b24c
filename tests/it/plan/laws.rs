//! What holds for every ledger, every protected branch, every word of the forge and every time.

use std::collections::{BTreeMap, BTreeSet};

use hallpass::domain::decision::Admission;
use hallpass::domain::ledger::{Cause, Entry, State};
use hallpass::domain::model::GrantId;
use hallpass::domain::people::Presence;
use hallpass::domain::plan::{Action, Plan};
use proptest::prelude::*;

use super::books::{Ask, Books, Luck, PAUSE};
use super::{unknown, unproved};
use crate::approval::scene::{at, blob};

const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// What the forge says about a grant.
#[derive(Debug, Clone, Copy)]
enum Word {
    Yes,
    No,
    NotKnown,
    Silence,
    /// Approved in all its parts, which are not entries yet.
    Parts,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy)]
enum File {
    Newest,
    Oldest,
    Other,
    Gone,
}

/// One entry of a ledger that came about we do not ask how.
#[derive(Debug, Clone)]
struct Line {
    ask: Ask,
    minute: i64,
    state: State,
    wake: Option<i64>,
    word: Word,
    /// The other part, where it is a bundle: where that stands, and what the forge says of it.
    beside: Option<(State, Word)>,
}

/// A whole situation.
#[derive(Debug, Clone)]
struct Situation {
    lines: Vec<Line>,
    files: Vec<File>,
    /// Whether what is perhaps held is held.
    perhaps: bool,
    /// What is known of octocat, judy and mallory.
    presences: Vec<Option<Presence>>,
    main_is_known: bool,
    now: i64,
}

const PEOPLE: [&str; 3] = ["octocat", "judy", "mallory"];

fn presences() -> impl Strategy<Value = Option<Presence>> {
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(Presence::Gone)),
        1 => Just(Some(Presence::Orphaned)),
        1 => Just(Some(Presence::Doubtful)),
    ]
}

fn words() -> impl Strategy<Value = Word> {
    prop_oneof![
        4 => Just(Word::Yes),
        2 => Just(Word::No),
        1 => Just(Word::NotKnown),
        1 => Just(Word::Silence),
        1 => Just(Word::Parts),
    ]
}

fn files() -> impl Strategy<Value = File> {
    prop_oneof![
        4 => Just(File::Newest),
        1 => Just(File::Oldest),
        1 => Just(File::Other),
        2 => Just(File::Gone),
    ]
}

fn states() -> impl Strategy<Value = State> {
    prop::sample::select(vec![
        State::Arrived,
        State::Denied,
        State::Scheduled,
        State::Granting,
        State::Active,
        State::Active,
        State::Active,
        State::Revoking,
        State::Ended,
    ])
}

prop_compose! {
    fn asks()(
        name in prop::sample::select(NAMES.to_vec()),
        who in prop::sample::select(vec!["octocat", "mallory", "judy"]),
        role in prop::sample::select(vec!["readonly", "reader", "admin"]),
        minutes in prop::sample::select(vec![30, 120, 600]),
        starts in prop::sample::select(vec![None, None, Some(60), Some(300)]),
    ) -> Ask {
        Ask { name, who, role, minutes, starts }
    }
}

prop_compose! {
    fn lines()(
        ask in asks(),
        minute in 0..300_i64,
        state in states(),
        wake in prop::option::of(0..900_i64),
        word in words(),
        beside in prop::option::weighted(0.3, (states(), words())),
    ) -> Line {
        Line { ask, minute, state, wake, word, beside }
    }
}

prop_compose! {
    fn situations()(
        lines in prop::collection::vec(lines(), 0..20),
        files in prop::collection::vec(files(), NAMES.len()),
        perhaps in any::<bool>(),
        presences in prop::collection::vec(presences(), PEOPLE.len()),
        main_is_known in prop::bool::weighted(0.8),
        now in 0..900_i64,
    ) -> Situation {
        Situation { lines, files, perhaps, presences, main_is_known, now }
    }
}

impl Situation {
    fn books(&self) -> Books {
        let mut books = Books::default();
        for line in &self.lines {
            let mut id = books.stands(&line.ask, line.minute, line.state);
            if let Some((state, word)) = line.beside {
                let role = if line.ask.role == "admin" {
                    "reader"
                } else {
                    "admin"
                };
                let other = Ask { role, ..line.ask };
                let parts = books.bundle(&id, &other, state);
                say(&mut books, &parts[1], other, word);
                id = parts[0].clone();
            }
            if let Some(wake) = line.wake {
                books.entry_mut(&id).wake_at = Some(at(wake));
            }
            say(&mut books, &id, line.ask, line.word);
        }
        for (name, file) in NAMES.into_iter().zip(&self.files) {
            lay(&mut books, name, *file);
        }
        for (who, presence) in PEOPLE.into_iter().zip(&self.presences) {
            books.presence(&Ask { who, ..super::ASK }, *presence);
        }
        if !self.perhaps {
            let active = active_keys(&books);
            books.held.retain(|key| active.contains(key));
        }
        books
    }

    fn plan(&self, books: &Books) -> Plan {
        if self.main_is_known {
            books.plan(self.now)
        } else {
            books.plan_blind(self.now)
        }
    }
}

fn say(books: &mut Books, id: &GrantId, ask: Ask, word: Word) {
    let admission = match word {
        Word::Yes => Admission::Approved(Box::new(ask.approved())),
        Word::No => unproved(),
        Word::NotKnown => unknown(),
        Word::Parts => Admission::Bundle(vec![ask.approved()]),
        Word::Silence => return drop(books.admissions.remove(id)),
    };
    books.admissions.insert(id.clone(), admission);
}

fn lay(books: &mut Books, name: &'static str, file: File) {
    let path = Ask { name, ..super::ASK }.path();
    let oldest = books.entries.iter().find(|e| e.path == path);
    let content = match (file, oldest) {
        (File::Newest, _) => return,
        (File::Oldest, Some(oldest)) => oldest.blob.clone(),
        (File::Other, _) => blob("other"),
        (File::Gone | File::Oldest, _) => return drop(books.main.remove(&path)),
    };
    books.main.insert(path, content);
}

fn active_keys(books: &Books) -> Vec<String> {
    let active = books.entries.iter().filter(|e| e.state == State::Active);
    let terms = active.filter_map(|e| e.terms.as_ref());
    terms.map(|t| t.access.key()).collect()
}

/// What must be so after every performance, whatever went wrong in it: what is held has a live entry, and what an entry holds
/// is held, unless that entry is about to be taken as well (of two that end together, the first call takes it for both).
fn accounted_for(books: &Books, next: &Plan) -> Result<(), TestCaseError> {
    for key in &books.held {
        let answers = books.entries.iter().any(|e| {
            e.state.may_be_held() && e.terms.as_ref().is_some_and(|t| t.access.key() == *key)
        });
        prop_assert!(answers, "nobody answers for {key:?}");
    }
    let leaves = |id: &GrantId| {
        let revokes =
            |action: &Action| matches!(action, Action::Revoke { .. }) && action.id() == id;
        next.actions.iter().any(revokes)
    };
    for entry in books.entries.iter().filter(|e| e.state == State::Active) {
        let key = entry.terms.as_ref().map(|t| t.access.key());
        let held = key.is_some_and(|key| books.held.contains(&key));
        prop_assert!(
            held || leaves(&entry.id),
            "{entry:?} is active but not held"
        );
    }
    Ok(())
}

/// That nothing is given but what is proved, stands on the protected branch, and whose time it is.
fn proved(books: &Books, plan: &Plan, minute: i64) -> Result<(), TestCaseError> {
    for action in &plan.actions {
        let Action::Grant { id, approved, .. } = action else {
            continue;
        };
        let entry = books.entry(id);
        let said = books.admissions.get(id);
        prop_assert_eq!(said, Some(&Admission::Approved(approved.clone())));
        prop_assert_eq!(books.main.get(&entry.path), Some(&entry.blob));
        let newer =
            |other: &&Entry| other.path == entry.path && other.arrival.order > entry.arrival.order;
        prop_assert!(
            !books.entries.iter().any(|e| newer(&e)),
            "{id} is not the newest"
        );
        let merged = entry.arrival.at;
        let begun = entry.state == State::Granting;
        prop_assert!(
            begun || approved.grant().begin(merged) <= at(minute),
            "too early"
        );
        prop_assert!(approved.grant().end(merged) > at(minute), "too late");
        prop_assert!(!entry.state.is_final() && entry.state != State::Active);
    }
    Ok(())
}

/// That nothing is held whose end has come.
fn nothing_overdue(books: &Books, minute: i64) -> Result<(), TestCaseError> {
    for entry in books.entries.iter().filter(|e| e.state.may_be_held()) {
        let ends = entry.terms.as_ref().map(|t| t.ends);
        prop_assert!(
            ends > Some(at(minute)) || entry.state == State::Revoking,
            "{entry:?}"
        );
    }
    Ok(())
}

/// That whatever may be held is looked at again by itself, at the end of its term at the latest.
fn woken_in_time(books: &Books) -> Result<(), TestCaseError> {
    let waits = |e: &&Entry| matches!(e.state, State::Scheduled | State::Granting | State::Active);
    for entry in books.entries.iter().filter(waits) {
        let ends = entry.terms.as_ref().map(|t| t.ends);
        prop_assert!(
            entry.wake_at.is_some() && entry.wake_at <= ends,
            "{entry:?}"
        );
    }
    let taken = |e: &&Entry| e.state == State::Revoking;
    prop_assert!(
        books
            .entries
            .iter()
            .filter(taken)
            .all(|e| e.wake_at.is_some())
    );
    Ok(())
}

/// The part of a ledger that must not depend on the order in which it was read.
fn outcome(books: &Books) -> BTreeMap<GrantId, (State, Option<Cause>)> {
    let line = |e: &Entry| (e.id.clone(), (e.state, e.cause.clone()));
    books.entries.iter().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_plan_settles_in_one_step_and_leaves_nothing_to_plan(situation in situations()) {
        let mut books = situation.books();
        let plan = situation.plan(&books);
        books.perform(&plan, situation.now);
        let again = situation.plan(&books);
        prop_assert_eq!(again.actions, []);
        prop_assert_eq!(again.held_back, plan.held_back);
    }

    #[test]
    fn whatever_the_ledger_what_is_held_is_answered_for_and_ends_in_time(situation in situations()) {
        let mut books = situation.books();
        let plan = situation.plan(&books);
        proved(&books, &plan, situation.now)?;
        books.perform(&plan, situation.now);
        accounted_for(&books, &Plan::default())?;
        nothing_overdue(&books, situation.now)?;
        for action in &plan.actions {
            let Action::Revoke { retained_by, .. } = action else { continue };
            for keeper in retained_by {
                prop_assert!(matches!(books.state(keeper), State::Granting | State::Active));
            }
        }
    }

    #[test]
    fn while_a_renewal_is_open_nothing_is_taken_before_its_end(situation in situations()) {
        let mut books = situation.books();
        books.presences.clear();
        // Whatever stands at each path has just arrived, and the forge says nothing about it.
        let held: Vec<_> = books.entries.iter().filter(|e| matches!(e.state, State::Granting | State::Active)).cloned().collect();
        for entry in &held {
            let ask = Ask { name: NAMES.into_iter().find(|n| entry.path.as_str().ends_with(&format!("/{n}.yaml"))).expect("a name"), ..super::ASK };
            let newer = books.arrives(&ask, situation.now);
            books.admissions.insert(newer, unknown());
        }
        let plan = books.plan(situation.now);
        for entry in &held {
            let taken = plan.actions.iter().any(|a| a.id() == &entry.id && matches!(a, Action::Revoke { .. }));
            let over = entry.terms.as_ref().is_some_and(|t| t.ends <= at(situation.now));
            let lost = entry.state == State::Granting && matches!(books.admissions.get(&entry.id), Some(Admission::Unapproved(_)));
            prop_assert_eq!(taken, over || lost, "{:?}", entry);
        }
        books.perform(&plan, situation.now);
        prop_assert_eq!(books.plan(situation.now).actions, []);
    }

    #[test]
    fn nobody_who_is_not_simply_there_is_given_anything(situation in situations()) {
        let books = situation.books();
        for action in situation.plan(&books).actions {
            if let Action::Grant { approved, .. } | Action::Schedule { approved, .. } = &action {
                prop_assert!(!books.presences.contains_key(&approved.receiver()), "{action:?}");
            }
        }
    }

    #[test]
    fn without_main_only_time_ends_grants_and_nothing_begins(situation in situations()) {
        let books = situation.books();
        for action in books.plan_blind(situation.now).actions {
            let begun = books.state(action.id()) == State::Revoking;
            let ends = matches!(
                action,
                Action::Revoke { cause: Cause::Expired, .. } | Action::Cancel { cause: Cause::Expired, .. }
            );
            prop_assert!(begun || ends, "{action:?}");
        }
    }

    #[test]
    fn the_brake_holds_back_only_what_is_inferred(situation in situations()) {
        let books = situation.books();
        let plan = books.plan(situation.now);
        // A bundle counts once.
        let file = |id: &GrantId| (books.entry(id).path.clone(), books.entry(id).arrival.commit.clone());
        let held: BTreeSet<_> = books.entries.iter().filter(|e| e.state.may_be_held()).map(|e| file(&e.id)).collect();
        let inferred: BTreeSet<_> = plan.actions.iter().filter(|action| {
            matches!(action, Action::Revoke { cause: Cause::Withdrawn, id, .. } if books.state(id) != State::Revoking)
        }).map(|action| file(action.id())).collect();
        let (held, inferred) = (held.len(), inferred.len());
        prop_assert!(inferred <= 5 || 4 * inferred <= held);
        prop_assert!(plan.held_back.is_empty() || inferred == 0);
        for id in &plan.held_back {
            let entry = books.entry(id);
            let there = books.entries.iter().filter(|e| e.path == entry.path);
            let newest = there.map(|e| e.arrival.order).max() == Some(entry.arrival.order);
            prop_assert!(!newest || books.main.get(&entry.path) != Some(&entry.blob));
            prop_assert!(entry.terms.as_ref().is_some_and(|t| t.ends > at(situation.now)));
        }
    }

    #[test]
    fn a_plan_depends_on_nothing_but_its_facts(situation in situations(), turn in 0..20_usize) {
        let books = situation.books();
        let plan = situation.plan(&books);
        prop_assert_eq!(&plan, &situation.plan(&books.clone()));
        // The order in which the ledger is read is no fact.
        let mut turned = books.clone();
        turned.entries.rotate_left(turn % books.entries.len().max(1));
        let mut straight = books;
        straight.perform(&plan, situation.now);
        turned.perform(&situation.plan(&turned), situation.now);
        prop_assert_eq!(outcome(&straight), outcome(&turned));
        prop_assert_eq!(straight.held, turned.held);
    }
}

/// Something that happens in the life of a repository.
#[derive(Debug, Clone)]
enum Event {
    Lands(Ask, Word),
    Goes(&'static str),
    Says(usize, Word),
    Passes(i64),
    Look,
    LookBlind,
}

fn events() -> impl Strategy<Value = Event> {
    let lands = (asks(), words()).prop_map(|(ask, word)| Event::Lands(ask, word));
    prop_oneof![
        3 => lands,
        1 => prop::sample::select(NAMES.to_vec()).prop_map(Event::Goes),
        1 => (0..20_usize, words()).prop_map(|(i, word)| Event::Says(i, word)),
        2 => prop::sample::select(vec![1, PAUSE, 60, 240]).prop_map(Event::Passes),
        4 => Just(Event::Look),
        1 => Just(Event::LookBlind),
    ]
}

fn lucks() -> impl Strategy<Value = Luck> {
    prop_oneof![
        6 => Just(Luck::Works),
        1 => Just(Luck::FailsBefore),
        1 => Just(Luck::FailsAfter),
        1 => Just(Luck::DiesBefore),
        1 => Just(Luck::DiesAfter),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn through_failures_and_deaths_what_is_held_is_always_answered_for(
        events in prop::collection::vec(events(), 0..40),
        luck in prop::collection::vec(lucks(), 0..40),
    ) {
        let mut books = Books::default();
        let mut asked: Vec<(GrantId, Ask)> = Vec::new();
        let mut now = 0;
        books.luck.extend(luck);
        for event in events {
            let mut plan = Plan::default();
            match event {
                Event::Lands(ask, word) => {
                    let id = books.arrives(&ask, now);
                    say(&mut books, &id, ask, word);
                    asked.push((id, ask));
                }
                Event::Goes(name) => lay(&mut books, name, File::Gone),
                Event::Says(i, word) => {
                    if let Some((id, ask)) = asked.get(i).cloned() {
                        say(&mut books, &id, ask, word);
                    }
                }
                Event::Passes(minutes) => now += minutes,
                Event::Look => plan = books.plan(now),
                Event::LookBlind => plan = books.plan_blind(now),
            }
            proved(&books, &plan, now)?;
            let survived = books.perform(&plan, now);
            accounted_for(&books, &books.plan(now))?;
            woken_in_time(&books)?;
            let looked = !plan.actions.is_empty();
            if looked && survived {
                nothing_overdue(&books, now)?;
            }
        }
        // Whatever went wrong: when everything works again, time alone ends everything.
        books.luck.clear();
        let plan = books.plan_blind(now + 10_000);
        books.perform(&plan, now + 10_000);
        prop_assert!(books.held.is_empty(), "{:?}", books.held);
        prop_assert!(books.entries.iter().all(|e| e.state.is_final() || e.state == State::Arrived));
    }
}

/// When a grant lands and ends, and whether its term ends it or its file goes.
type Life = (i64, i64, bool);

/// Lives out grants of the same access, looking at every minute, and asserts that it is held exactly while one of them lives.
fn live_out(lives: &[Life]) {
    let mut books = Books::default();
    let mut ids: BTreeMap<usize, GrantId> = BTreeMap::new();
    let last = lives.iter().map(|(_, end, _)| *end).max().unwrap_or(0);
    for now in 0..=last {
        for (i, (start, end, by_term)) in lives.iter().enumerate() {
            if *start == now {
                let ask = Ask {
                    name: NAMES[i],
                    minutes: if *by_term {
                        u32::try_from(end - start).expect("a term")
                    } else {
                        600
                    },
                    ..super::ASK
                };
                ids.insert(i, books.arrives(&ask, now));
            }
            if *end == now && !by_term {
                books.withdraw(&ids[&i]);
            }
        }
        let was_held = !books.held.is_empty();
        let calls = books.calls.len();
        books.settle(now);
        let lives_now = lives
            .iter()
            .any(|(start, end, _)| (*start..*end).contains(&now));
        assert_eq!(!books.held.is_empty(), lives_now, "{lives:?} at {now}");
        let taken = books.calls[calls..]
            .iter()
            .any(|(call, _)| *call == "revoke");
        assert_eq!(taken, was_held && !lives_now, "{lives:?} at {now}");
        assert_eq!(books.plan(now), Plan::default(), "{lives:?} at {now}");
    }
    assert!(
        books.entries.iter().all(|e| e.state == State::Ended),
        "{lives:?}"
    );
}

fn every_life(slots: i64) -> Vec<Life> {
    let spans = (0..slots).flat_map(|s| (s + 1..slots).map(move |e| (s, e)));
    spans
        .flat_map(|(s, e)| [(s, e, true), (s, e, false)])
        .collect()
}

#[test]
fn two_grants_of_one_access_overlap_in_every_order() {
    let lives = every_life(4);
    for a in &lives {
        for b in &lives {
            live_out(&[*a, *b]);
        }
    }
}

#[test]
fn three_grants_of_one_access_overlap_in_every_order() {
    // Six instants, so that all six beginnings and ends can differ, and fewer of them can coincide.
    let lives = every_life(6);
    // Which of them has which name decides nothing, so each three of lives are taken once.
    for (i, a) in lives.iter().enumerate() {
        for (j, b) in lives.iter().enumerate().skip(i) {
            for c in &lives[j..] {
                live_out(&[*a, *b, *c]);
            }
        }
    }
}
