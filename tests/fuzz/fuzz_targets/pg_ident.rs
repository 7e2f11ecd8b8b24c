//! Whatever roles are called, on a real PostgreSQL server exactly one membership comes and goes.
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use hallpass::domain::model::{Access, Account, ConnectionName, UserId};
use hallpass::domain::target::Order;
use hallpass::providers::Provider;
use hallpass::providers::postgres::{Also, Postgres};
use hallpass_fuzz::approved::approved;
use hallpass_fuzz::postgres::Server;
use hallpass_fuzz::{alone, now, wait};
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use tokio::sync::Mutex;

/// The server, as its administrator sees it.
static ADMIN: LazyLock<Mutex<PgConnection>> = LazyLock::new(|| {
    wait(async {
        let mut admin = Server::shared().admin().await;
        let own = "CREATE ROLE fuzz_hallpass LOGIN PASSWORD 'secret'; CREATE ROLE fuzz_bystander; CREATE ROLE fuzz_other; \
                   GRANT fuzz_other TO fuzz_bystander";
        admin.execute(own).await.expect("roles");
        Mutex::new(admin)
    })
});

static PROVIDER: LazyLock<Postgres> = LazyLock::new(|| {
    let url = Server::shared().url("fuzz_hallpass", "secret", "postgres");
    let connection = ConnectionName::new("db").expect("a name");
    wait(async { Postgres::new(connection, &SecretString::from(url), Also::default()) })
        .expect("an address")
});

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether the server does what the administrator asks for, in one transaction.
async fn run(sql: String) -> bool {
    ADMIN.lock().await.execute(AssertSqlSafe(sql)).await.is_ok()
}

/// Who is a member of what, and whether they can hand it on. Not what Hallpass itself has, to be able to give it.
async fn members() -> BTreeSet<(String, String, bool)> {
    let all = "SELECT r.rolname::text, m.rolname::text, a.admin_option FROM pg_auth_members a \
               JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member \
               WHERE m.rolname <> 'fuzz_hallpass' AND r.rolname NOT LIKE 'pg\\_%'";
    let found: Vec<(String, String, bool)> = sqlx::query_as(all)
        .fetch_all(&mut *ADMIN.lock().await)
        .await
        .expect("memberships");
    found.into_iter().collect()
}

async fn change(role: &str, account: &str) {
    let before = members().await;
    let access = Access {
        connection: ConnectionName::new("db").expect("a name"),
        account: Account {
            name: account.to_owned(),
            github_id: Some(UserId(1)),
            id: None,
        },
        entitlement: serde_json::json!({ "role": role }),
        entitlement_id: None,
    };
    let order = Order {
        reference: "orders/request@0123456789ab".to_owned(),
        ends: now(),
    };
    let given = PROVIDER.grant(&approved(&access), &order).await;
    let mut with = before.clone();
    with.insert((role.to_owned(), account.to_owned(), false));
    let then = members().await;
    // The server cuts off longer names; whoever has what is left of one is somebody else.
    let fits = role.len() <= 63 && account.len() <= 63;
    assert_eq!(
        then,
        if fits { with } else { before.clone() },
        "{access:?}: {given:?}"
    );
    assert_eq!(given.is_ok(), fits, "{access:?}: {given:?}");
    let taken = PROVIDER.revoke(&access, &order).await;
    assert_eq!(members().await, before, "{access:?}: {taken:?}");
    assert!(taken.is_ok(), "{access:?}: {taken:?}");
}

// The name of a role, and after a byte that is in no text that of an account.
fuzz_target!(init: { alone(); LazyLock::force(&ADMIN); LazyLock::force(&PROVIDER); }, |data: &[u8]| {
    let mut texts = data.split(|b| *b == 0xff).map(|t| String::from_utf8_lossy(t).replace('\0', ""));
    let role = texts.next().unwrap_or_default();
    let account = texts.next().unwrap_or_default();
    let (r, a) = (quoted(&role), quoted(&account));
    wait(async {
        let made = format!("BEGIN; CREATE ROLE {r}; CREATE ROLE {a} LOGIN; GRANT {r} TO fuzz_hallpass WITH ADMIN OPTION; COMMIT");
        // Some names are the server's own, some are none, and some are one another's.
        if !run(made).await {
            run("ROLLBACK".to_owned()).await;
            return;
        }
        change(&role, &account).await;
        assert!(run(format!("DROP ROLE {r}, {a}")).await, "{role:?} and {account:?} stay");
    });
});
