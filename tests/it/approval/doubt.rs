//! Random scenes: doubt never helps, and nobody counts who should not.

use std::collections::BTreeSet;

use hallpass::domain::model::ActorKind;
use hallpass::domain::pull::ReviewState::{
    Approved, ChangesRequested, Commented, Dismissed, ObjectionDismissed, Unknown,
};
use hallpass::domain::pull::{Lookup, Pushers, Review, ReviewState};
use proptest::prelude::*;

use super::scene::{FILE, PEOPLE, Scene, actor, commit};
use super::{demand, gains, missing, person, weigh};

/// A fact that is taken away from a scene.
#[derive(Debug, Clone)]
enum Doubt {
    Unread,
    Team(&'static str),
    Pushers,
    State(usize),
    Commit(usize),
    Ghost(usize),
    Body(usize),
}

fn state() -> impl Strategy<Value = ReviewState> {
    prop_oneof![
        6 => Just(Approved),
        2 => Just(ChangesRequested),
        1 => Just(Commented),
        1 => Just(Dismissed),
        1 => Just(ObjectionDismissed),
        1 => Just(Unknown),
    ]
}

fn somebody() -> impl Strategy<Value = &'static str> {
    prop::sample::select(PEOPLE[1..].to_vec())
}

prop_compose! {
    fn random_scene()(
        reviews in prop::collection::vec((somebody(), state(), 0..6_u8, any::<bool>()), 0..8),
        dba in prop::sample::subsequence(PEOPLE[1..].to_vec(), 0..5),
        security in prop::sample::subsequence(PEOPLE[1..].to_vec(), 0..5),
        author in somebody(),
        pusher in somebody(),
        both in any::<bool>(),
    ) -> Scene {
        let mut scene = Scene::new();
        scene.owned(if both { "* @acme/dba @acme/security" } else { "* @acme/dba" });
        scene.staff("dba", &dba).staff("security", &security);
        scene.pull.author = Some(actor(author));
        scene.pull.pushers = Pushers::Known(BTreeSet::from([actor(pusher).id]));
        scene.shows("old", FILE, Some("other"));
        for (who, state, luck, speaks) in reviews {
            scene.reviews(who, state);
            if luck == 0 { scene.last().commit = Some(commit("old")); }
            if luck == 1 && who == "deploy" { scene.last().reviewer.as_mut().expect("one").kind = ActorKind::Bot; }
            if speaks { scene.last().body = "because it is needed".to_owned(); }
        }
        scene
    }
}

fn doubt() -> impl Strategy<Value = Doubt> {
    prop_oneof![
        Just(Doubt::Unread),
        prop::sample::select(vec!["dba", "security"]).prop_map(Doubt::Team),
        Just(Doubt::Pushers),
        (0..8_usize).prop_map(Doubt::State),
        (0..8_usize).prop_map(Doubt::Commit),
        (0..8_usize).prop_map(Doubt::Ghost),
        (0..8_usize).prop_map(Doubt::Body),
    ]
}

fn cast(scene: &mut Scene, doubt: &Doubt) {
    let reviews = scene.pull.reviews.len().max(1);
    let at = |i: &usize| i % reviews;
    match doubt {
        Doubt::Unread => drop(scene.reviewed.remove(&commit("head"))),
        Doubt::Team(slug) => *scene.team(slug) = Lookup::Failed("no answer".to_owned()),
        Doubt::Pushers => scene.pull.pushers = Pushers::Unknown("no answer".to_owned()),
        Doubt::State(i) => {
            if let Some(review) = scene
                .pull
                .reviews
                .get_mut(at(i))
                .filter(|r| r.state != Commented)
            {
                review.state = Unknown;
            }
        }
        Doubt::Commit(i) => {
            if let Some(review) = scene.pull.reviews.get_mut(at(i)) {
                review.commit = None;
            }
        }
        // An account goes with all its reviews. With it goes an owner, and what that owner objected to.
        Doubt::Ghost(i) => {
            let id = |r: &Review| r.reviewer.as_ref().map(|a| a.id);
            let gone = scene.pull.reviews.get(at(i)).and_then(id);
            let objects =
                |r: &Review| matches!(r.state, ChangesRequested | ObjectionDismissed | Unknown);
            let of_it = |r: &Review| id(r) == gone;
            if !scene.pull.reviews.iter().any(|r| of_it(r) && objects(r)) {
                for review in scene.pull.reviews.iter_mut().filter(|r| of_it(r)) {
                    review.reviewer = None;
                }
            }
        }
        Doubt::Body(i) => {
            if let Some(review) = scene.pull.reviews.get_mut(at(i)) {
                review.body.clear();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn doubt_never_turns_no_into_yes(
        scene in random_scene(),
        doubts in prop::collection::vec(doubt(), 1..4),
        needed in 1..3_u32,
        rationale in any::<bool>(),
    ) {
        let mut demand = demand(needed);
        demand.rationale = rationale;
        let before = weigh(&scene, &demand);
        let mut doubtful = scene.clone();
        for doubt in &doubts {
            cast(&mut doubtful, doubt);
        }
        if weigh(&doubtful, &demand).is_ok() {
            prop_assert!(before.is_ok(), "{:?} made it pass", doubts);
        }
    }

    #[test]
    fn nobody_counts_who_is_author_pusher_beneficiary_or_no_owner(
        scene in random_scene(),
        receives in somebody(),
        needed in 1..3_u32,
    ) {
        let mut demand = demand(needed);
        demand.beneficiary = gains(&person(receives));
        let Ok(who) = weigh(&scene, &demand) else { return Ok(()) };
        let distinct: BTreeSet<&String> = who.iter().collect();
        prop_assert_eq!(distinct.len(), who.len());
        prop_assert!(who.len() >= needed as usize);
        for name in &who {
            let id = actor(name).id;
            prop_assert!(scene.pull.author.as_ref().map(|a| a.id) != Some(id));
            prop_assert!(!matches!(&scene.pull.pushers, Pushers::Known(ids) if ids.contains(&id)));
            prop_assert!(name != receives);
            let owners: Vec<_> = scene.roster.teams.values().collect();
            prop_assert!(owners.iter().any(|t| matches!(t, Lookup::Found(t) if t.members.iter().any(|m| m.id == id))));
        }
    }

    #[test]
    fn without_an_eligible_owner_nothing_passes(scene in random_scene()) {
        let mut scene = scene;
        let everybody = PEOPLE[1..].iter().map(|name| actor(name).id).collect();
        scene.pull.pushers = Pushers::Known(everybody);
        let found = missing(&scene, &demand(1));
        let hopeless = found.dead_end.is_some_and(|end| end.rule == "no-eligible-approver");
        prop_assert!(hopeless || !found.unknown.is_empty());
    }
}
