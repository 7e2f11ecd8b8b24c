//! Several servers on one database.

use std::sync::Arc;

use hallpass::app::service::Service;
use hallpass::config::Config;
use hallpass::worker::Resync;
use secrecy::SecretString;

use super::places::Keeper;
use crate::postgres::server::Server;
use crate::world::{Ears, World};

#[tokio::test(flavor = "multi_thread")]
async fn of_several_servers_one_writes() {
    let keeper = Keeper::start().await;
    let mut world = World::new(Ears::Deaf, &keeper.table()).await;
    world.stop().await;
    let url = Server::shared().database("anchors_of_replicas").await;
    let (config, clock, extra) = world.parts();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut services = Vec::new();
    for folder in &folders {
        let mut config: Config = config.clone();
        config.store.url = SecretString::from(url.clone());
        config.server.data_dir = folder.path().to_owned();
        config.evidence.key = Some(SecretString::from(world.private_evidence_key()));
        let service = Service::assemble(&config, Arc::clone(&clock), extra.clone()).await;
        services.push(service.unwrap());
    }
    let run = async || {
        let once = |n: usize| {
            let worker = Arc::clone(services[n].worker());
            tokio::spawn(async move { worker.run_once(Resync::Everything).await.unwrap() })
        };
        let (first, second) = (once(0), once(1));
        first.await.unwrap();
        second.await.unwrap();
    };
    for day in 1..=3 {
        run().await;
        run().await;
        assert_eq!(keeper.puts(), day, "one of them, and once");
        assert_eq!(keeper.names().len(), day);
        clock_forward(&world);
    }
    run().await;
    let told = world.told("anchored").len();
    assert!((3..=4).contains(&told), "{told}");
    assert!(world.told("safe-mode").is_empty());
    for service in services {
        service.store().close().await;
    }
}

fn clock_forward(world: &World) {
    world.clock.advance(chrono::TimeDelta::days(1));
}
