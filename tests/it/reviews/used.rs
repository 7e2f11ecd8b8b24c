//! When accounts were last used helps owners, and delays and decides nothing.

use super::{SCHEDULE, asked, edit, ended, review, sheet};
use crate::world::{Ears, REPO, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_line_says_when_its_account_was_last_used_where_the_system_knows_it() {
    let world = World::new(Ears::Hearing, "").await;
    let used = "2026-11-20T08:00:00.25Z".parse().unwrap();
    world.vault.uses("ada", used);
    // A clock that is ahead of ours says nothing.
    world
        .vault
        .uses("linus", "2031-01-01T00:00:00Z".parse().unwrap());
    let pull = asked(&world, SCHEDULE, &["ada", "mei", "linus"]).await;
    let (_, text) = sheet(&world, pull);
    let of = |person: &str| {
        let who = format!("who: person {person},");
        text.lines().find(|line| line.contains(&who)).unwrap()
    };
    let said = ", account_last_used: 2026-11-20T08:00:00Z, grant: ";
    assert!(of("ada").contains(said), "{text}");
    assert!(!of("mei").contains("account_last_used"), "{text}");
    assert!(!of("linus").contains("account_last_used"), "{text}");
    let body = world.sandbox.pull(REPO, pull).body;
    assert!(body.contains("| account last used |"), "{body}");
    assert!(body.contains("| 2026-11-20 |"), "{body}");
    assert!(body.contains("| not known |"), "{body}");
    assert!(
        body.contains("by whatever the account may do there, not by this role"),
        "{body}"
    );

    // It is part of what is asked: whoever changes it answers nothing.
    edit(&world, "grace", pull, |text| {
        text.replace(
            "account_last_used: 2026-11-20",
            "account_last_used: 2026-11-22",
        )
    })
    .await;
    assert_eq!(world.conclusion(pull), "failure");
    edit(&world, "grace", pull, |text| {
        ended(
            &text.replace(
                "account_last_used: 2026-11-22",
                "account_last_used: 2026-11-20",
            ),
            "mei",
        )
    })
    .await;
    world.approve(pull, "grace").await;
    assert_eq!(world.holders("support"), ["ada", "linus"]);
    let asked = world.evidence();
    let asked = asked
        .iter()
        .find(|m| m.contains("Event: access-review-asked\n"));
    assert!(asked.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_does_not_answer_delays_no_review() {
    let world = World::new(Ears::Hearing, "").await;
    super::schedule(&world, SCHEDULE).await;
    super::supported(&world, &["ada"]).await;
    world
        .vault
        .uses("ada", "2026-11-20T08:00:00Z".parse().unwrap());
    world.vault.down(true);
    super::first_round(&world).await;
    let (_, text) = sheet(&world, review(&world));
    assert!(!text.contains("account_last_used"), "{text}");
}
