//! One of the servers is cut off one way, from the database or the forge, at the worst moment: the other goes on without it, and nothing is
//! decided by what the one believed before.

use rustix::process::Signal;

use super::{PACE, assert_told_once, replica};
use crate::audit::Desk;
use crate::postgres::server::Server;
use crate::running::{Running, ask_and_get, give_back, until, world};
use crate::wire::{Way, Wire};
use crate::world::World;

/// Two servers on one database. What each asks the stand-in of GitHub goes by a wire of its own.
struct Two {
    world: World,
    one: Running,
    two: Running,
    /// That of the first.
    first: Wire,
    /// That of the second.
    wire: Wire,
    _folders: [tempfile::TempDir; 2],
}

impl Two {
    async fn on(database: &str) -> Self {
        let world = world(PACE).await;
        let host = world.sandbox.url().trim_start_matches("http://");
        let first = Wire::to(host.parse().unwrap()).await;
        let wire = Wire::to(host.parse().unwrap()).await;
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, two] = [0, 1].map(|n| replica(&world, folders[n].path(), database));
        for (folder, wire) in folders.iter().zip([&first, &wire]) {
            let file = folder.path().join("hallpass.toml");
            let toml = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, toml.replace(host, &wire.address().to_string())).unwrap();
        }
        let [one, two] = [one, two].map(Running::start);
        Self {
            world,
            one,
            two,
            first,
            wire,
            _folders: folders,
        }
    }

    /// Ends both, in order, and nothing was in doubt at any time.
    fn end(self) {
        for server in [self.one, self.two] {
            let (code, log) = server.end();
            assert_eq!(code, Some(0), "{log}");
            assert!(!log.contains("SAFE MODE"), "{log}");
        }
        assert_eq!(self.world.told("safe-mode"), Vec::<String>::new());
        let (code, said) = Desk::of(&self.world).verify(&[]);
        assert_eq!(code, 0, "{said}");
        self.world.assert_each_event_once();
        self.world.assert_contract();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_cut_off_while_it_writes_keeps_no_other_from_writing() {
    let database = Server::shared().database("replicas_cut_off").await;
    let world = world(PACE).await;
    let server = Server::shared().address();
    let wire = Wire::to(server).await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    // Each question is written out, so that the wire can read it.
    let by_wire = database.replace(&server.to_string(), &wire.address().to_string());
    let by_wire = format!("{by_wire}&statement-cache-capacity=0");
    let one = Running::start(replica(&world, folders[0].path(), &database));
    let two = Running::start(replica(&world, folders[1].path(), &by_wire));

    // It has the turn of all writers by then.
    wire.lose_at("INSERT INTO wake", Way::Back);
    wire.holds().await;
    ask_and_get(&world, "ada").await;
    wire.heal();
    // Alone, and by connections that went on or are new.
    one.signal(Signal::STOP);
    give_back(&world, "ada").await;
    one.signal(Signal::CONT);
    until("both are told", || !world.told("revoked").is_empty()).await;
    assert_told_once(&world, "ada");
    for server in [one, two] {
        let (code, log) = server.end();
        assert_eq!(code, Some(0), "{log}");
    }
    let (code, said) = Desk::of(&world).verify(&[]);
    assert_eq!(code, 0, "{said}");
    world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_database_was_lost_without_a_word_ends_and_begins_anew() {
    let database = Server::shared().database("replicas_lost_word").await;
    let world = world(PACE).await;
    let server = Server::shared().address();
    let wire = Wire::to(server).await;
    let folder = tempfile::tempdir().unwrap();
    let by_wire = database.replace(&server.to_string(), &wire.address().to_string());
    let by_wire = format!("{by_wire}&statement-cache-capacity=0");
    let one = Running::start(replica(&world, folder.path(), &by_wire));
    ask_and_get(&world, "ada").await;

    // The answer to what is written under way never comes, and nobody says that it will not.
    wire.lose_open_at("INSERT INTO wake", Way::Back);
    let (code, log) = tokio::task::spawn_blocking(|| one.ends()).await.unwrap();
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("goes unanswered"), "{log}");

    let again = Running::start(replica(&world, folder.path(), &by_wire));
    give_back(&world, "ada").await;
    let (code, log) = again.end();
    assert_eq!(code, Some(0), "{log}");
    world.assert_contract();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_after_a_look_is_not_taken_for_gone_by_it() {
    let database = Server::shared().database("replicas_overtaken").await;
    let two = Two::on(&database).await;
    let (world, wire) = (&two.world, &two.wire);
    // The second has seen the branch with what Ada asked for, and gets no answer to whose merge that is.
    two.one.signal(Signal::STOP);
    wire.lose_at("/pulls?per_page=100 ", Way::Back);
    let asks = ask_and_get(world, "ada");
    let first_goes_on = async {
        wire.holds().await;
        two.one.signal(Signal::CONT);
    };
    tokio::join!(asks, first_goes_on);
    ask_and_get(world, "mei").await;
    wire.heal();
    // The second has finished that look when it gives something by the next.
    two.one.signal(Signal::STOP);
    ask_and_get(world, "linus").await;
    two.one.signal(Signal::CONT);
    let told = world.told("revoked");
    assert_eq!(told, Vec::<String>::new(), "nobody ended anything");
    let members = world.sandbox.team_members("readers");
    assert_eq!(members.len(), 3, "{members:?}");
    two.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_is_still_weighing_is_not_taken_for_gone() {
    let database = Server::shared().database("replicas_weighing").await;
    let two = Two::on(&database).await;
    let world = &two.world;
    // The second has seen the branch with what Ada asked for, and gets no answer to whose merge that is.
    two.one.signal(Signal::STOP);
    two.wire.lose_at("/pulls?per_page=100 ", Way::Back);
    let asks = ask_and_get(world, "ada");
    let first_goes_on = async {
        two.wire.holds().await;
        two.one.signal(Signal::CONT);
    };
    tokio::join!(asks, first_goes_on);
    // The first records what Mei asks for, and gets no answer either. The second finishes its look, and gives it by the next.
    two.first.lose_at("/pulls?per_page=100 ", Way::Back);
    let asks = ask_and_get(world, "mei");
    let second_goes_on = async {
        two.first.holds().await;
        two.wire.heal();
    };
    tokio::join!(asks, second_goes_on);
    two.first.heal();
    assert_eq!(world.told("cancelled"), Vec::<String>::new());
    assert_eq!(world.told("revoked"), Vec::<String>::new());
    two.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_another_server_saw_grow_is_not_taken_for_rewritten() {
    let database = Server::shared().database("replicas_grown").await;
    let two = Two::on(&database).await;
    let (world, wire) = (&two.world, &two.wire);
    until("the branch was seen", || {
        !world.told("first-look").is_empty()
    })
    .await;
    // What the branch was before arrives at the second when the first has seen more.
    wire.lose_at("service=git-upload-pack", Way::Back);
    wire.holds().await;
    ask_and_get(world, "mei").await;
    wire.heal();
    two.one.signal(Signal::STOP);
    ask_and_get(world, "linus").await;
    two.one.signal(Signal::CONT);
    two.end();
}
