//! What auditors find of access reviews.

use super::{SCHEDULE, asked, days, edit, ended};
use crate::audit::Desk;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn auditors_find_who_answered_what_and_what_nobody_answered() {
    let world = &World::hearing().await;
    world.resync().await;
    let pull = asked(world, SCHEDULE, &["ada", "mei"]).await;
    edit(world, "grace", pull, |text| ended(text, "mei")).await;
    world.approve(pull, "grace").await;
    world.resync().await;
    world.advance(days(30)).await;
    world.resync().await;
    world.advance(days(7)).await;
    world.resync().await;

    let desk = Desk::of(world);
    let (status, said) = desk.verify(&[]);
    assert_eq!(status, 0, "{said}");
    let (_, said) = desk.answer(&["history", "db/ada-support"]);
    for told in [
        "2026-12-01: 1 kept, 1 ended (this grant: keep)",
        "Lapsed: nobody answered the access review of 2026-12-31",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let (_, said) = desk.answer(&["history", "db/mei-support"]);
    let told = "2026-12-01: 1 kept, 1 ended (this grant: end)";
    assert!(said.contains(told), "{said}");
    assert!(said.contains("mei on db/support (review-ended)"), "{said}");
    let (_, json) = desk.answer(&["exceptions", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    let lapsed = found.as_array().unwrap().iter();
    let mut lapsed = lapsed.filter(|e| e["kind"] == "access-review-lapsed");
    assert_eq!(lapsed.next().unwrap()["open"], true, "{json}");
    assert!(lapsed.next().is_none());
    let period = ["population", "--from", "2026-12-01", "--to", "2026-12-31"];
    let (_, json) = desk.answer(&[&period[..], &["--json"]].concat());
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(found["reviewed"], 2, "{json}");

    // Somebody answers after all.
    let pull = super::review(world);
    world.approve(pull, "linus").await;
    world.resync().await;
    let desk = Desk::of(world);
    let (_, said) = desk.answer(&["exceptions", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&said).unwrap();
    let mut lapsed = found.as_array().unwrap().iter();
    let lapsed = lapsed
        .find(|e| e["kind"] == "access-review-lapsed")
        .unwrap();
    assert_eq!(lapsed["open"], false, "{said}");
    assert_eq!(desk.verify(&[]).0, 0);
}
