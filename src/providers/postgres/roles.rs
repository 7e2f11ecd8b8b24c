//! Roles and memberships, in the server's own words.

use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

use crate::providers::limits::{MOST_AND_ONE, whole};

/// PostgreSQL cuts longer names off, silently but for a NOTICE, and would then act on another role.
const LONGEST_NAME: usize = 63;

/// How many accounts are named that lose a role along with the one that gave it to them.
const NAMED: i64 = 20;

/// Predefined roles with which somebody takes the server over, or can end anybody's session.
/// <https://www.postgresql.org/docs/current/predefined-roles.html>
const DANGEROUS: [&str; 5] = [
    "pg_execute_server_program",
    "pg_read_server_files",
    "pg_write_server_files",
    "pg_create_subscription",
    "pg_signal_backend",
];

/// A role (or an account, which is a role too) as it was found.
#[derive(Debug, Clone)]
pub(super) struct Role {
    /// What it is, whatever it is called by now.
    pub oid: i64,
    /// What it is called.
    pub name: String,
    pub can_login: bool,
    /// Whether it is whom we connect as.
    pub own: bool,
}

impl Role {
    /// One that is there no more, as its sessions know it.
    pub fn dropped(oid: i64, name: &str) -> Self {
        Self {
            oid,
            name: name.to_owned(),
            can_login: false,
            own: false,
        }
    }
}

/// One row of `pg_auth_members`: from 16 on there is one for each grantor.
#[derive(Debug, Clone)]
pub(super) struct Membership {
    pub grantor: String,
    grantor_oid: i64,
    pub admin: bool,
    /// Whether we can act as its grantor, and so revoke it.
    pub ours: bool,
}

/// Who goes by a name, and who by an `oid`, in one look.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub named: Option<Role>,
    pub numbered: Option<Role>,
}

/// The role of exactly this name, and the one of this `oid` where it is known.
pub(super) async fn look_up(
    server: &mut PgConnection,
    name: &str,
    oid: Option<i64>,
) -> Result<Seen, sqlx::Error> {
    let possible = !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains('\0');
    let rows = sqlx::query(
        "SELECT oid::int8, rolname::text, rolcanlogin, rolname IN (current_user, session_user) \
         FROM pg_catalog.pg_roles WHERE rolname = $1::text OR oid = $2::int8::oid",
    )
    .bind(possible.then_some(name))
    .bind(oid)
    .fetch_all(server)
    .await?;
    let mut seen = Seen::default();
    for row in rows {
        let role = Role {
            oid: row.try_get(0)?,
            name: row.try_get(1)?,
            can_login: row.try_get(2)?,
            own: row.try_get(3)?,
        };
        if Some(role.oid) == oid {
            seen.numbered = Some(role.clone());
        }
        if role.name == name {
            seen.named = Some(role);
        }
    }
    Ok(seen)
}

/// The number of the cluster; `None` where it may not be read. What is restored from a dump stands in another cluster.
pub(super) async fn cluster(server: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    let may = "SELECT has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')";
    if !sqlx::query_scalar::<_, bool>(may)
        .fetch_one(&mut *server)
        .await?
    {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT system_identifier::text FROM pg_catalog.pg_control_system()")
        .fetch_optional(server)
        .await
}

/// Whether the account has the role, by whatever way.
pub(super) async fn has(
    server: &mut PgConnection,
    account: &Role,
    role: &Role,
) -> Result<bool, sqlx::Error> {
    let found = sqlx::query_scalar("SELECT pg_has_role($1::oid, $2::oid, 'MEMBER')")
        .bind(account.oid)
        .bind(role.oid);
    // NULL where either is gone by now.
    found.fetch_one(server).await.map(Option::unwrap_or_default)
}

/// The role through which whoever has `role` would control the server or Hallpass itself, if there is one.
pub(super) async fn power(
    server: &mut PgConnection,
    role: &Role,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT rolname::text FROM pg_catalog.pg_roles WHERE pg_has_role($1::oid, oid, 'MEMBER') \
         AND (rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls \
              OR rolname IN (current_user, session_user) OR rolname::text = ANY($2)) \
         ORDER BY oid <> $1::oid, rolname LIMIT 1",
    )
    .bind(role.oid)
    .bind(DANGEROUS)
    .fetch_optional(server)
    .await
}

/// Whether memberships have options and one row for each grantor, as from 16 on.
pub(super) async fn knows_options(server: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT current_setting('server_version_num')::int >= 160000")
        .fetch_one(server)
        .await
}

pub(super) async fn memberships(
    server: &mut PgConnection,
    role: &Role,
    account: &Role,
) -> Result<Vec<Membership>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT g.rolname::text, g.oid::int8, m.admin_option, \
                current_setting('server_version_num')::int < 160000 OR pg_has_role(g.oid, 'USAGE') \
         FROM pg_catalog.pg_auth_members m LEFT JOIN pg_catalog.pg_roles g ON g.oid = m.grantor \
         WHERE m.roleid = $1::oid AND m.member = $2::oid ORDER BY 1",
    )
    .bind(role.oid)
    .bind(account.oid)
    .fetch_all(server)
    .await?;
    let read = |row: &sqlx::postgres::PgRow| {
        Ok(Membership {
            // Before 16 a grantor may be gone.
            grantor: row
                .try_get::<Option<_>, _>(0)?
                .unwrap_or_else(|| "a role that is gone".to_owned()),
            grantor_oid: row.try_get::<Option<_>, _>(1)?.unwrap_or_default(),
            admin: row.try_get(2)?,
            ours: row.try_get::<Option<_>, _>(3)?.unwrap_or(true),
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn grant(
    server: &mut PgConnection,
    role: &Role,
    account: &Role,
) -> Result<(), sqlx::Error> {
    let options = if knows_options(server).await? {
        " WITH INHERIT TRUE, SET FALSE, ADMIN FALSE"
    } else {
        ""
    };
    let statement = statement(server, "GRANT %I TO %I", &[role.oid, account.oid]).await?;
    server.execute(AssertSqlSafe(statement + options)).await?;
    Ok(())
}

/// Revokes what we can. Returns who loses the role with the account, because they had it from the account (16 on).
pub(super) async fn revoke(
    server: &mut PgConnection,
    role: &Role,
    account: &Role,
) -> Result<Vec<String>, sqlx::Error> {
    let mut also = Vec::new();
    if !knows_options(server).await? {
        if !memberships(server, role, account).await?.is_empty() {
            let statement =
                statement(server, "REVOKE %I FROM %I", &[role.oid, account.oid]).await?;
            server.execute(AssertSqlSafe(statement)).await?;
        }
        return Ok(also);
    }
    for membership in memberships(server, role, account)
        .await?
        .iter()
        .filter(|m| m.ours)
    {
        also.extend(given_on(server, role, account).await?);
        // Without CASCADE an account that was given ADMIN OPTION by somebody could keep itself from ever being revoked, by
        // handing the role on.
        let oids = [role.oid, account.oid, membership.grantor_oid];
        let statement = statement(server, "REVOKE %I FROM %I GRANTED BY %I CASCADE", &oids).await?;
        server.execute(AssertSqlSafe(statement)).await?;
    }
    also.sort();
    also.dedup();
    Ok(also)
}

/// Who has the role from the account: some of them by name, and how many more there are.
async fn given_on(
    server: &mut PgConnection,
    role: &Role,
    account: &Role,
) -> Result<Vec<String>, sqlx::Error> {
    let found: Vec<(String, i64)> = sqlx::query_as(
        "SELECT r.rolname::text, count(*) OVER () FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.member \
         WHERE m.roleid = $1::oid AND m.grantor = $2::oid ORDER BY 1 LIMIT $3",
    )
    .bind(role.oid)
    .bind(account.oid)
    .bind(NAMED)
    .fetch_all(server)
    .await?;
    let more = found.first().map_or(0, |(_, all)| all - NAMED);
    let names = found.into_iter().map(|(name, _)| name);
    Ok(names
        .chain((more > 0).then(|| format!("{more} more")))
        .collect())
}

/// A statement with the names of these roles, quoted by the server. `template` is a text of this module.
async fn statement(
    server: &mut PgConnection,
    template: &str,
    oids: &[i64],
) -> Result<String, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT format($1, VARIADIC array_agg(r.rolname::text ORDER BY o.place)) \
         FROM unnest($2::int8[]) WITH ORDINALITY AS o (oid, place) JOIN pg_catalog.pg_roles r ON r.oid = o.oid::oid",
    )
    .bind(template)
    .bind(oids)
    .fetch_one(server)
    .await
}

/// By what ways the account still has the role. `left` are the direct ones.
pub(super) async fn ways(
    server: &mut PgConnection,
    role: &Role,
    account: &Role,
    left: &[Membership],
) -> Result<Vec<String>, sqlx::Error> {
    let mut ways: Vec<String> = left
        .iter()
        .map(|m| format!("{} granted by {}", role.name, m.grantor))
        .collect();
    let found: Option<(bool, bool)> = sqlx::query_as(
        "SELECT pg_has_role(oid, $1::oid, 'MEMBER'), rolsuper FROM pg_catalog.pg_roles WHERE oid = $2::oid",
    )
    .bind(role.oid)
    .bind(account.oid)
    .fetch_optional(&mut *server)
    .await?;
    let (effective, superuser) = found.unwrap_or_default();
    if superuser {
        ways.push(format!("{} is a superuser", account.name));
        return Ok(ways);
    }
    let nested = nested(server, role, account).await?;
    ways.extend(
        nested
            .iter()
            .map(|via| format!("membership of {via}, which has {}", role.name)),
    );
    if effective && ways.is_empty() {
        ways.push(format!(
            "the server still says that {} has {}",
            account.name, role.name
        ));
    }
    Ok(ways)
}

/// The other roles that the account is a direct member of and that have the role.
async fn nested(
    server: &mut PgConnection,
    role: &Role,
    account: &Role,
) -> Result<Vec<String>, sqlx::Error> {
    let found = sqlx::query_scalar(
        "SELECT DISTINCT via.rolname::text FROM pg_catalog.pg_auth_members m \
         JOIN pg_catalog.pg_roles via ON via.oid = m.roleid \
         WHERE m.member = $2::oid AND m.roleid <> $1::oid AND pg_has_role(m.roleid, $1::oid, 'MEMBER') ORDER BY 1 LIMIT $3",
    )
    .bind(role.oid)
    .bind(account.oid)
    .bind(MOST_AND_ONE)
    .fetch_all(server)
    .await?;
    whole(found)
}

/// Whoever is a direct member, but for ourselves: name and `oid`.
pub(super) async fn members(
    server: &mut PgConnection,
    role: &Role,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let found = sqlx::query_as(
        "SELECT DISTINCT r.rolname::text, r.oid::int8 FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.member \
         WHERE m.roleid = $1::oid AND r.rolname NOT IN (current_user, session_user) ORDER BY 1 LIMIT $2",
    )
    .bind(role.oid)
    .bind(MOST_AND_ONE)
    .fetch_all(server)
    .await?;
    whole(found)
}

/// Whether the account is the only direct member, but for ourselves.
pub(super) async fn is_alone(
    server: &mut PgConnection,
    role: &Role,
    account: &Role,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT coalesce(bool_and(r.oid = $2::oid), false) FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.member \
         WHERE m.roleid = $1::oid AND r.rolname NOT IN (current_user, session_user)",
    )
    .bind(role.oid)
    .bind(account.oid)
    .fetch_one(server)
    .await
}
