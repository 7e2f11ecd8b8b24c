//! What a resource promises is held against the system that is to give it, before anybody approves.

use hallpass::sandbox::Change;

use crate::scenario::hearing_and_deaf;
use crate::world::World;

const MAIL: &str = "access/resources/mail.yaml";

fn resource(provider: &str, entitlement: &str) -> String {
    format!(
        "description: The mail of customers\nrisk: moderate\nprovider: {provider}\nroles:\n  reader:\n    description: Reads it\n    \
         entitlement: {entitlement}\n    max_duration: 8h\n"
    )
}

/// The findings of a pull request that declares the resource: rule and line.
async fn found(world: &World, provider: &str, entitlement: &str) -> Vec<(String, u64)> {
    let text = resource(provider, entitlement);
    let pull = world.propose("grace", &[Change::write(MAIL, text)]).await;
    let found = world.check(pull).annotations;
    let of_file = found.iter().filter(|a| a["path"] == MAIL);
    let rule = |a: &serde_json::Value| a["title"].as_str().unwrap().to_owned();
    of_file
        .map(|a| (rule(a), a["start_line"].as_u64().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_promises_what_cannot_be_given_is_refused_in_its_own_pull_request() {
    hearing_and_deaf(async |world| {
        let refused = |rule: &str, line| vec![(rule.to_owned(), line)];
        assert_eq!(found(world, "github", "{ team: readers }").await, []);
        assert_eq!(
            found(world, "github", "{ group: readers }").await,
            refused("entitlement-shape", 7)
        );
        assert_eq!(
            found(world, "github", "{ team: raeders }").await,
            refused("entitlement-unknown", 7)
        );
        assert_eq!(
            found(world, "gihtub", "{ team: readers }").await,
            refused("unknown-connection", 1)
        );
        // A system that does not answer is no reason to refuse.
        world.vault.down(true);
        assert_eq!(found(world, "vault", "{ role: anything }").await, []);
        world.vault.down(false);
    })
    .await;
}
