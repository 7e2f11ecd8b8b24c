//! A call at a target comes late, when the other server has gone on: by a network that was slow, or a machine that stood still. What it did
//! is set right, so that the target has what the ledger says.

use hallpass::sandbox::{Change, Verdict};
use rustix::process::Signal;

use super::{PACE, replica};
use crate::audit::Desk;
use crate::badges::{Badges, When};
use crate::postgres::server::Server;
use crate::running::{Running, open, until};
use crate::world::{REPO, World, file, grant};

/// Two servers on one database; the target knows which of them calls.
struct Two {
    world: World,
    badges: Badges,
    one: Running,
    two: Running,
    _folders: [tempfile::TempDir; 2],
}

impl Two {
    async fn on(database: &str) -> Self {
        let badges = Badges::open().await;
        let world = crate::running::world(&format!("{PACE}{}", badges.connection())).await;
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, two] = [0, 1].map(|n| replica(&world, folders[n].path(), database));
        let file = folders[1].path().join("hallpass.toml");
        let toml = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, toml.replace("/one'", "/two'")).unwrap();
        let [one, two] = [one, two].map(Running::start);
        Self {
            world,
            badges,
            one,
            two,
            _folders: folders,
        }
    }

    /// Ada asks, and Grace approves.
    fn ask(&self, name: &str) {
        let change = Change::write(file(name), grant("ada", "readonly", "2h"));
        let pull = open(&self.world, "ada", &name.replace('/', "-"), change);
        let sandbox = &self.world.sandbox;
        let approved = sandbox.review("grace", REPO, pull, Verdict::Approve, "Fine with me.");
        approved.unwrap();
    }

    /// Ada gives it back.
    fn give_back(&self, name: &str) {
        let branch = format!("{}-back", name.replace('/', "-"));
        open(&self.world, "ada", &branch, Change::delete(file(name)));
    }

    fn effects(&self) -> Vec<String> {
        self.badges.effects("")
    }

    async fn until_effects(&self, what: &str, count: usize) {
        until(what, || self.effects().len() >= count).await;
    }

    /// Waits until the evidence has `count` of `kind`.
    async fn until_told(&self, kind: &str, count: usize) {
        until(kind, || self.world.told(kind).len() == count).await;
    }

    /// Ends both in order; each event was told once.
    fn end(self) {
        for server in [self.one, self.two] {
            let (code, log) = server.end();
            assert_eq!(code, Some(0), "{log}");
        }
        self.world.assert_each_event_once();
        let (code, said) = Desk::of(&self.world).verify(&[]);
        assert_eq!(code, 0, "{said}");
        self.world.assert_contract();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn access_that_a_late_call_gives_after_its_end_is_taken_away() {
    let two = Two::on(&Server::shared().database("replicas_late_grant").await).await;
    two.one.signal(Signal::STOP);
    let caught = two.badges.catch("two", "grant", When::Before);
    two.ask("db/ada-night");
    let caught = caught.await.unwrap();
    two.one.signal(Signal::CONT);
    two.until_effects("the other gives it", 1).await;
    two.give_back("db/ada-night");
    two.until_told("revoked", 1).await;

    drop(caught);
    two.until_effects("it is given late", 3).await;
    until("it is taken again", || two.badges.holders().is_empty()).await;
    let both = ["+reader ada", "-reader ada"];
    assert_eq!(two.effects(), [both, both].concat());
    assert_eq!(two.world.told("granted").len(), 1);
    assert_eq!(two.world.told("revoked").len(), 1);
    two.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn access_that_a_late_call_takes_from_a_newer_grant_is_given_again() {
    let two = Two::on(&Server::shared().database("replicas_late_revoke").await).await;
    two.ask("db/ada-night");
    two.until_told("granted", 1).await;
    two.one.signal(Signal::STOP);
    let caught = two.badges.catch("two", "revoke", When::Before);
    two.give_back("db/ada-night");
    let caught = caught.await.unwrap();
    two.one.signal(Signal::CONT);
    two.until_told("revoked", 1).await;
    two.ask("db/ada-morning");
    two.until_told("granted", 2).await;

    drop(caught);
    two.until_effects("it is taken late", 4).await;
    until("it is given again", || !two.badges.holders().is_empty()).await;
    two.give_back("db/ada-morning");
    two.until_told("revoked", 2).await;
    let both = ["+reader ada", "-reader ada"];
    assert_eq!(two.effects(), [both, both, both].concat());
    assert_eq!(two.world.told("granted").len(), 2);
    two.end();
}
