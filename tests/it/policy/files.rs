//! Reading policy files.

use super::{BASELINE, FILE, forbid, wrong};
use crate::text::findings;

#[test]
fn the_schema_accepts_what_the_table_offers() {
    assert_eq!(wrong(BASELINE), [""; 0]);
    for condition in [
        "context.minutes > 60 && context.total_minutes > 60 && context.starts_in_minutes == 0",
        "context.hour < 6 && [Weekday::\"saturday\", Weekday::\"sunday\"].contains(context.weekday)",
        "context has ticket && context.ticket like \"INC-*\"",
        "context.live_roles.contains(Role::\"ledger/approver\")",
        "context has author && context.author in Team::\"acme/backend\"",
        "principal is Person && principal.hasTag(\"department\") && principal.getTag(\"department\") == \"finance\"",
        "principal is Service && principal.owner.login == \"ada\"",
        "resource.risk == Risk::\"critical\" && resource.risk_level > 3",
        "resource in Resource::\"orders\" && resource.resource.provider == \"pg\"",
    ] {
        assert_eq!(
            wrong(&(BASELINE.to_owned() + &forbid("x", condition))),
            [""; 0],
            "{condition}"
        );
    }
}
