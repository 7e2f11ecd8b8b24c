//! The whole service at a change of policies.

use hallpass::sandbox::Change;

use crate::policy::{BASELINE, FILE, forbid};
use crate::world::{Ears, World, grant};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_approves_a_policy_sees_what_it_would_have_done() {
    for ears in [Ears::Hearing, Ears::Deaf] {
        let world = World::new(ears, "").await;
        let pull = world
            .request("ada", "db/ada-incident", &grant("ada", "readonly", "4h"))
            .await;
        world.approve(pull, "grace").await;
        assert_eq!(world.holders("reader"), ["ada"]);

        let text = format!(
            "{BASELINE}{}",
            forbid("three-hours", "context.minutes > 180")
        );
        let policy = world.propose("mei", &[Change::write(FILE, &text)]).await;
        let shown = world.check(policy).summary;
        assert!(
            shown.contains("1 live grant stays until its end, but could not be asked for again"),
            "{shown}"
        );
        assert!(
            shown.contains("The last request would or may be decided otherwise."),
            "{shown}"
        );
        assert!(shown.contains("three-hours"), "{shown}");
        assert_eq!(world.holders("reader"), ["ada"], "nothing ends by it");
        world.assert_contract();
    }
}
