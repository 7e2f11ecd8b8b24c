//! Access that is ended at once.

use chrono::TimeDelta;
use hallpass::domain::ledger::State;
use sha2::{Digest as _, Sha256};

use super::{ORIGIN, Site, given};
use crate::world::{Ears, World, grant};

const WHY: &str = "reason=The+laptop+was+stolen.";

async fn end(site: &Site, page: &str, cookie: &str) -> super::Answer {
    let place = format!("{page}/end");
    let asked = site.get(&place, cookie).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    let body = format!("token={}&{WHY}", asked.token());
    site.post(&place, (cookie, ORIGIN), &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_ends_access_at_once_and_it_is_evidence() {
    let site = Site::open().await;
    let world = &site.world;
    let page = given(&site, "db/ada-incident", &grant("ada", "readonly", "8h")).await;
    assert_eq!(world.holders("reader"), ["ada"]);
    let grace = site.signed_in("grace").await;
    let asked = site.get(&format!("{page}/end"), &grace).await.words();
    assert!(asked.contains("its owners: @acme/dba"), "{asked}");

    let done = end(&site, &page, &grace).await;
    assert_eq!((done.status, done.location()), (303, page.as_str()));
    world.settle().await;
    assert!(world.holders("reader").is_empty());
    assert_eq!(
        world.told("called-off"),
        ["Called off: grace ends ada on db/readonly at once"]
    );
    assert_eq!(
        world.told("revoked"),
        ["Revoked: ada on db/readonly (owner-emergency)"]
    );
    let evidence = world.evidence().join("\n");
    assert!(
        evidence.contains(&format!("Actor: grace ({})", site.number("grace"))),
        "{evidence}"
    );
    assert!(evidence.contains("Owner: @acme/dba"), "{evidence}");
    assert!(
        !evidence.contains("laptop"),
        "a reason is not in the evidence, its digest is"
    );
    let digest = hex::encode(Sha256::digest("The laptop was stolen."));
    assert!(
        evidence.contains(&format!("Digest: {digest}")),
        "{evidence}"
    );

    let story = site.get(&page, &grace).await.words();
    assert!(
        story.contains("Ended at once by grace The laptop was stolen."),
        "{story}"
    );
    assert!(story.contains("owner emergency"), "{story}");
    // Its file goes as well.
    world.advance(TimeDelta::minutes(2)).await;
    world.resync().await;
    assert_eq!(world.ledger().await, ["db/ada-incident ended"]);
    assert!(
        world.entries().await[0].tidied,
        "the file is gone from the protected branch"
    );
    let verified = world.told("reverted");
    assert_eq!(verified.len(), 1);
    world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_it_may_end_it_and_nobody_else_may() {
    let site = Site::open().await;
    let world = &site.world;
    let page = given(&site, "db/ada-incident", &grant("ada", "readonly", "8h")).await;
    // An owner of something else: told so before a reason is asked for, and just as well without having asked.
    let mei = site.signed_in("mei").await;
    let place = format!("{page}/end");
    let asked = site.get(&place, &mei).await;
    let body = format!("token={}&{WHY}", asked.token());
    for refused in [asked, site.post(&place, (&mei, ORIGIN), &body).await] {
        assert_eq!(refused.status, 403);
        let told = refused.words();
        assert!(told.contains("It is not yours to end"), "{told}");
        assert!(told.contains("its owners are @acme/dba"), "{told}");
        assert!(!told.contains("Why?"), "{told}");
    }
    world.settle().await;
    assert_eq!(world.holders("reader"), ["ada"]);
    assert!(world.told("called-off").is_empty());

    let ada = site.signed_in("ada").await;
    assert_eq!(end(&site, &page, &ada).await.status, 303);
    world.settle().await;
    assert!(world.holders("reader").is_empty());
    assert_eq!(
        world.told("revoked"),
        ["Revoked: ada on db/readonly (holder-emergency)"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_this_page_did_not_send_ends_nothing() {
    let site = Site::open().await;
    let world = &site.world;
    let page = given(&site, "db/ada-incident", &grant("ada", "readonly", "8h")).await;
    let (grace, linus) = (site.signed_in("grace").await, site.signed_in("linus").await);
    let place = format!("{page}/end");
    let token = site.get(&place, &grace).await.token();
    let others = site.get(&place, &linus).await.token();
    for (origin, body, status) in [
        ("https://evil.example", format!("token={token}&{WHY}"), 403),
        ("null", format!("token={token}&{WHY}"), 403),
        ("http://hallpass.test", format!("token={token}&{WHY}"), 403),
        (ORIGIN, format!("token={others}&{WHY}"), 403),
        (ORIGIN, WHY.to_owned(), 403),
        (ORIGIN, format!("token={token}"), 422),
        (ORIGIN, format!("token={token}&reason=++++++++"), 422),
        (
            ORIGIN,
            format!("token={token}&reason={}", "x".repeat(501)),
            422,
        ),
        (
            ORIGIN,
            format!("token={token}&reason={}", "x".repeat(20_000)),
            413,
        ),
    ] {
        let refused = site.post(&place, (&grace, origin), &body).await;
        assert_eq!(refused.status, status, "{origin} {body:.80}");
    }
    let body = format!("token={token}&{WHY}");
    assert_eq!(site.post(&place, ("", ORIGIN), &body).await.status, 401);
    world.settle().await;
    assert_eq!(world.holders("reader"), ["ada"]);
    assert!(world.told("called-off").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn twice_at_the_same_time_is_once() {
    let site = Site::open().await;
    let world = &site.world;
    let page = given(&site, "db/ada-incident", &grant("ada", "readonly", "8h")).await;
    let (grace, linus) = (site.signed_in("grace").await, site.signed_in("linus").await);
    let ended = futures_util::future::join_all([
        end(&site, &page, &grace),
        end(&site, &page, &linus),
        end(&site, &page, &grace),
        end(&site, &page, &linus),
    ]);
    // Whoever comes later may find the question gone already.
    let statuses: Vec<u16> = ended.await.iter().map(|a| a.status).collect();
    assert_eq!(statuses, [303; 4]);
    world.settle().await;
    assert!(world.holders("reader").is_empty());
    assert_eq!(world.told("called-off").len(), 1);
    assert_eq!(world.told("revoked").len(), 1);
    // And long after.
    let place = format!("{page}/end");
    assert_eq!(site.get(&place, &grace).await.status, 303);
    let token = site.get("/", &grace).await.token();
    let again = site
        .post(&place, (&grace, ORIGIN), &format!("token={token}&{WHY}"))
        .await;
    assert_eq!(again.status, 303);
    world.settle().await;
    assert_eq!(world.told("called-off").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_running_service_takes_it_away_by_itself() {
    let world = World::new(Ears::Hearing, super::PAGE).await;
    let site = Site::of(world).await;
    let page = given(&site, "db/ada-incident", &grant("ada", "readonly", "8h")).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let worker = std::sync::Arc::clone(site.world.service().worker());
    let running = tokio::spawn(worker.run(stop.clone()));
    let grace = site.signed_in("grace").await;
    assert_eq!(end(&site, &page, &grace).await.status, 303);
    // The clock stands still: nothing but the word of the page makes it look.
    for _ in 0..600 {
        if site.world.holders("reader").is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(site.world.holders("reader").is_empty());
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_away_yet_is_tried_for_ever_and_shown_in_red() {
    let site = Site::open().await;
    let page = given(&site, "db/ada-incident", &grant("ada", "readonly", "8h")).await;
    let grace = site.signed_in("grace").await;
    site.world.vault.down(true);
    assert_eq!(end(&site, &page, &grace).await.status, 303);
    site.world.settle().await;
    assert_eq!(site.world.holders("reader"), ["ada"], "the target is down");
    let entry = site.world.entries().await.remove(0);
    assert_ne!(entry.state, State::Ended);
    let now = site.get("/", &grace).await.words();
    assert!(now.contains("Needs somebody to act"), "{now}");
    site.world.vault.down(false);
    site.world.advance(TimeDelta::minutes(10)).await;
    assert!(site.world.holders("reader").is_empty());
}
