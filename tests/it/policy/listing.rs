//! The open requests of one author: listed once for many looks, and looked at again only where that changes something.

use hallpass::sandbox::Change;

use super::ceremony::{TWO_AT_ONCE, govern};
use crate::world::{REPO, World, grant};

/// What lists open pull requests.
const LISTING: &str = "GET /repos/{owner}/{repo}/pulls";

#[tokio::test(flavor = "multi_thread")]
async fn however_many_requests_are_looked_at_together_their_list_is_read_once() {
    let world = World::hearing().await;
    govern(&world, TWO_AT_ONCE).await;
    for whom in ["ada", "mei", "linus"] {
        for role in ["readonly", "admin"] {
            let text = grant(whom, role, "2h");
            world
                .request(whom, &format!("db/{whom}-{role}"), &text)
                .await;
        }
    }
    world.sandbox.reset_calls();
    let readme = [Change::write("README.md", "Access of acme, and more.\n")];
    world.decree(&readme).await;
    world.resync().await;
    let calls = world.sandbox.calls();
    assert!(calls.get(LISTING).copied().unwrap_or(0) <= 3, "{calls:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_closed_wakes_those_that_were_denied_and_nobody_who_waits() {
    const READ: &str = "GET /repos/{owner}/{repo}/pulls/{pull_number}";
    let world = World::hearing().await;
    govern(&world, TWO_AT_ONCE).await;
    let mut pulls = Vec::new();
    for (whom, role) in [
        ("linus", "readonly"),
        ("mei", "readonly"),
        ("ada", "readonly"),
        ("mei", "admin"),
    ] {
        let (name, text) = (format!("db/{whom}-{role}"), grant(whom, role, "2h"));
        pulls.push(world.request("ada", &name, &text).await);
    }
    assert_eq!(world.conclusion(pulls[3]), "failure");
    world.sandbox.reset_calls();
    world.sandbox.close_pull("ada", REPO, pulls[0]).unwrap();
    world.settle().await;
    let read = world.sandbox.calls()[READ];
    assert_eq!(read, 3, "the closed one and the two that were denied");
    world.approve(pulls[2], "grace").await;
    assert!(world.is_merged(pulls[2]));
}
