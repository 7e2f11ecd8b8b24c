//! Which grant lets which deployment through, at which instant.

use hallpass::domain::catalogue::{File, REGULAR_FILE};
use hallpass::domain::deployment::{Deployment, Pass, Place, Stage, Starter, later, opener};
use hallpass::domain::ledger::State;
use hallpass::domain::model::{BlobId, ConnectionName, GrantId, RepoName, RoleRef, UserId};
use hallpass::domain::parse::read_tree;
use hallpass::domain::report::{Offer, Pages, deployment_waiting};
use pulldown_cmark::{Event, Parser, Tag};

use crate::store::{active, at};

fn place(repository: &str, environment: &str) -> Place {
    Place {
        repository: RepoName::try_from(repository.to_owned()).unwrap(),
        environment: environment.to_owned(),
    }
}

fn waits(id: Option<u64>) -> Deployment {
    Deployment {
        place: place("acme/shop", "production"),
        run: 7,
        attempt: 1,
        starter: id.map(|id| Starter {
            id: UserId(id),
            login: "ada".to_owned(),
        }),
    }
}

/// A grant for the account with this number, from minute 10 to minute `ends`.
fn pass(name: &str, id: Option<u64>, ends: i64, state: State) -> Pass {
    let mut entry = active(name, "ada", ends);
    entry.state = state;
    let terms = entry.terms.as_mut().unwrap();
    terms.access.account.github_id = id.map(UserId);
    (terms.starts, terms.ends) = (at(10), at(ends));
    Pass {
        place: place("Acme/Shop", "PRODUCTION"),
        entry,
    }
}

#[test]
fn only_an_active_grant_within_its_term_lets_through() {
    use State::*;
    for state in [
        Arrived, Denied, Scheduled, Granting, Active, Revoking, Ended,
    ] {
        let passes = [pass("ada", Some(1), 20, state)];
        let lets = |minute| opener(&waits(Some(1)), &passes, at(minute)).is_some();
        let active = state == Active;
        let found = [9, 10, 19, 20, 21].map(lets);
        assert_eq!(found, [false, active, active, false, false], "{state:?}");
    }
}

#[test]
fn it_must_be_for_the_number_of_whoever_started_it() {
    for (holder, starter) in [
        (Some(1), Some(2)),
        (Some(1), None),
        (None, Some(1)),
        // Neither is known: nobody is not somebody.
        (None, None),
    ] {
        let passes = [pass("ada", holder, 20, State::Active)];
        assert!(opener(&waits(starter), &passes, at(15)).is_none());
    }
}

#[test]
fn it_must_be_for_the_environment_whatever_the_case_of_its_letters() {
    for (repository, environment, fits) in [
        ("acme/shop", "production", true),
        ("ACME/SHOP", "Production", true),
        ("acme/shop", "production ", false),
        ("acme/shop2", "production", false),
        ("acm/eshop", "production", false),
        ("acme/shop", "prod", false),
        // KELVIN SIGN folds to `k` by other rules than GitHub's, as far as anybody knows.
        ("acme/shop", "produ\u{212a}tion", false),
    ] {
        let place = place(repository, environment);
        assert_eq!(waits(None).place.is(&place), fits, "{place:?}");
    }
}

#[test]
fn the_grant_that_holds_longest_is_named() {
    let passes = [
        pass("short", Some(1), 20, State::Active),
        pass("long", Some(1), 40, State::Active),
        pass("other", Some(2), 90, State::Active),
    ];
    let found = opener(&waits(Some(1)), &passes, at(15)).unwrap();
    assert_eq!(found.id, passes[1].entry.id);
}

#[test]
fn a_grant_that_begins_later_is_told_of_until_it_begins() {
    let passes = [pass("ada", Some(1), 20, State::Scheduled)];
    let told = |minute| later(&waits(Some(1)), &passes, at(minute)).is_some();
    assert_eq!([0, 9, 10, 30].map(told), [true, true, false, false]);
    assert!(later(&waits(Some(2)), &passes, at(0)).is_none());
}

#[test]
fn a_deployment_is_named_by_run_attempt_and_environment() {
    let base = waits(Some(1));
    let key = |change: fn(&mut Deployment)| {
        let mut other = base.clone();
        change(&mut other);
        other.key()
    };
    assert_eq!(key(|d| d.starter = None), base.key());
    assert_eq!(
        key(|d| d.place.environment = "PRODUCTION".into()),
        base.key()
    );
    for other in [
        key(|d| d.run = 8),
        key(|d| d.attempt = 2),
        key(|d| d.place.environment = "x".repeat(255)),
    ] {
        assert_ne!(other, base.key());
        assert!(other.len() < 64, "{other}");
    }
}

#[test]
fn that_it_was_perhaps_let_through_is_not_forgotten_by_words() {
    let grant = GrantId::new("shop/ada@0123456789ab").unwrap();
    let perhaps = |told| Stage::Approving {
        grant: grant.clone(),
        told,
    };
    assert_eq!(perhaps(false).told(), perhaps(true));
    assert_eq!(Stage::Seen.told(), Stage::Told);
    assert!(perhaps(true).is_told() && !perhaps(false).is_told());
}

#[test]
fn an_answer_is_repeated_at_growing_pauses() {
    let pause = |times| match Stage::approved(at(0), times) {
        Stage::Approved { again, .. } => (again - at(0)).num_minutes(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        [0, 1, 2, 3, 9, 10, u32::MAX].map(pause),
        [5, 5, 10, 20, 1280, 1280, 1280]
    );
}

/// The addresses that a text links to, and whether it holds HTML or an image.
fn links(text: &str) -> (Vec<String>, bool) {
    let events: Vec<Event<'_>> = Parser::new(text).collect();
    let link = |event: &Event<'_>| match event {
        Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.to_string()),
        _ => None,
    };
    let odd = |event: &Event<'_>| {
        let image = matches!(event, Event::Start(Tag::Image { .. } | Tag::Heading { .. }));
        image || matches!(event, Event::Html(_) | Event::InlineHtml(_))
    };
    (
        events.iter().filter_map(link).collect(),
        events.iter().any(odd),
    )
}

#[test]
fn what_an_environment_or_an_account_is_called_stays_text() {
    let pages = Pages {
        repository: "https://github.com/acme/access".to_owned(),
        branch: "main".to_owned(),
        evidence_branch: "hallpass/evidence".to_owned(),
    };
    let file = |path: &str, text: &str| File {
        path: path.to_owned(),
        mode: REGULAR_FILE,
        blob: BlobId::new("1".repeat(40)).unwrap(),
        bytes: text.as_bytes().into(),
    };
    let tree = read_tree(&[file(
        "access/people/octo_cat.yaml",
        "github_id: 1\nidentities:\n  elsewhere: octo_cat\n",
    )]);
    let offers = [Offer {
        role: RoleRef::try_from("shop/deployer".to_owned()).unwrap(),
        connection: ConnectionName::new("deployments").unwrap(),
    }];
    let hostile = "`` [x](https://mallory.example) <b> ![y](z)\n# @acme/dba\n\u{202e}";
    let mut deployment = waits(Some(2));
    deployment.place.environment = hostile.to_owned();
    if let Some(starter) = &mut deployment.starter {
        starter.login = hostile.to_owned();
    }
    for offers in [&offers[..], &[]] {
        let words = deployment_waiting(&pages, &tree, &deployment, offers, None);
        assert_eq!(links(&words), (Vec::new(), false), "{words}");
        assert!(!words.contains('\u{202e}'));
    }
    deployment.starter = waits(Some(1)).starter;
    let words = deployment_waiting(&pages, &tree, &deployment, &offers, None);
    let ours = "https://github.com/acme/access/new/main?filename=access/grants/shop/octo-cat-deployer.yaml&value=person%3A%20octo_cat%0Arole%3A%20deployer%0Aduration%3A%201h%0Areason%3A%20%0A";
    assert_eq!(links(&words), (vec![ours.to_owned()], false), "{words}");
    assert!(words.contains("`access/people/octo_cat.yaml` needs an identity for `deployments`"));
}
