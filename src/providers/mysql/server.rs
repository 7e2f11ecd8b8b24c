//! The tables of accounts and roles, in the two dialects.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Executor, MySql, Row};

use super::names::Name;
use crate::providers::limits::{MOST, MOST_AND_ONE, whole};

/// Whose tables and statements they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// Roles have no host, and an account one default role.
    MariaDb,
    /// Roles are accounts that are locked, and an account has any number of default roles. From 8.0 on.
    MySql,
}

/// Settings of each connection. MariaDB would make an account without a password for a name that is not there any more, unless told
/// not to; what stands in `/*M! */` is a comment to MySQL.
pub(super) const SETTINGS: &str = "SET SESSION lock_wait_timeout = 3, SESSION sql_quote_show_create = 1, \
     SESSION sql_mode = CONCAT('STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION' /*M!100000 , ',NO_AUTO_CREATE_USER' */) \
     /*M!100000 , SESSION max_statement_time = 10 */";

/// An account or a role as it was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub name: Name,
    /// Whether it is a role; on MySQL, whether nobody can log in with it.
    pub role: bool,
}

/// One row of memberships.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub name: Name,
    pub admin: bool,
}

/// A connection for one call.
pub(super) struct Server {
    connection: PoolConnection<MySql>,
    dialect: Dialect,
    /// Whom we connect as.
    pub own: Name,
    /// The role that is ours in this session.
    own_role: Option<String>,
}

impl Server {
    pub async fn new(mut connection: PoolConnection<MySql>) -> Result<Self, sqlx::Error> {
        let (version, own): (String, String) =
            sqlx::query_as("SELECT VERSION(), CAST(CURRENT_USER() AS CHAR)")
                .fetch_one(&mut *connection)
                .await?;
        let dialect = if version.to_ascii_lowercase().contains("mariadb") {
            Dialect::MariaDb
        } else {
            Dialect::MySql
        };
        let own_role = match dialect {
            Dialect::MariaDb => {
                sqlx::query_scalar("SELECT CAST(CURRENT_ROLE() AS CHAR)")
                    .fetch_one(&mut *connection)
                    .await?
            }
            Dialect::MySql => None,
        };
        let (user, host) = own.rsplit_once('@').unwrap_or((own.as_str(), ""));
        Ok(Self {
            connection,
            dialect,
            own: Name::new(user, host),
            own_role,
        })
    }

    /// What a role of this name is called to the server, whether or not there is one. `None` for what no role can be called.
    pub fn role_called(&self, name: &str) -> Option<Name> {
        let reserved = name.eq_ignore_ascii_case("PUBLIC") || name.eq_ignore_ascii_case("NONE");
        if reserved || Name::account(&format!("{name}@%")).is_none() {
            return None;
        }
        let host = match self.dialect {
            Dialect::MariaDb => "",
            Dialect::MySql => "%",
        };
        Some(Name::new(name, host))
    }

    /// The role that is listed so among holders, or everybody: without its host where that is anywhere.
    pub fn role_listed(&self, listed: &str) -> Option<Name> {
        let name = Name::account(listed)?;
        match self.dialect {
            Dialect::MariaDb => Some(Name::new(listed, "")),
            Dialect::MySql => Some(name),
        }
    }

    /// Whether nobody can log in with what a role is granted to.
    pub async fn is_role(&mut self, member: &Name) -> Result<bool, sqlx::Error> {
        if self.dialect == Dialect::MariaDb {
            return Ok(member.host.is_empty());
        }
        let found = self.find(member).await?;
        Ok(found.is_some_and(|found| found.role))
    }

    /// The account or the role of exactly this name: to the server, spaces at the end and some letters are the same.
    pub async fn find(&mut self, name: &Name) -> Result<Option<Found>, sqlx::Error> {
        let query = match self.dialect {
            Dialect::MariaDb => {
                "SELECT User, Host, is_role = 'Y' FROM mysql.user WHERE User = ? AND Host = ?"
            }
            Dialect::MySql => {
                "SELECT User, Host, account_locked = 'Y' FROM mysql.user WHERE User = ? AND Host = ?"
            }
        };
        let rows: Vec<(String, String, i64)> = sqlx::query_as(query)
            .bind(&name.user)
            .bind(&name.host)
            .fetch_all(&mut *self.connection)
            .await?;
        let mut found = rows.into_iter().map(|(user, host, role)| Found {
            name: Name::new(user, host),
            role: role != 0,
        });
        Ok(found.find(|found| found.name == *name))
    }

    /// The other accounts with the same user name.
    pub async fn siblings(&mut self, account: &Name) -> Result<Vec<Name>, sqlx::Error> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT User, Host FROM mysql.user WHERE User = ? AND Host <> '' LIMIT ?",
        )
        .bind(&account.user)
        .bind(MOST_AND_ONE)
        .fetch_all(&mut *self.connection)
        .await?;
        let names = whole(rows)?
            .into_iter()
            .map(|(user, host)| Name::new(user, host));
        Ok(names
            .filter(|name| name.user == account.user && name != account)
            .collect())
    }

    /// Whoever has the role directly: accounts, roles, and on MariaDB everybody (`PUBLIC`).
    pub async fn members(&mut self, role: &Name) -> Result<Vec<Member>, sqlx::Error> {
        whole(self.some_members(role, None).await?)
    }

    /// The same, but at most one more than [`MOST`](crate::providers::limits::MOST).
    pub async fn most_members(&mut self, role: &Name) -> Result<Vec<Member>, sqlx::Error> {
        self.some_members(role, None).await
    }

    /// What `holder` has of the role directly.
    pub async fn member(
        &mut self,
        role: &Name,
        holder: &Name,
    ) -> Result<Option<Member>, sqlx::Error> {
        let members = self.some_members(role, Some(holder)).await?;
        Ok(members.into_iter().find(|member| member.name == *holder))
    }

    async fn some_members(
        &mut self,
        role: &Name,
        only: Option<&Name>,
    ) -> Result<Vec<Member>, sqlx::Error> {
        let query = match self.dialect {
            Dialect::MariaDb => {
                "SELECT User, Host, Admin_option = 'Y', Role FROM mysql.roles_mapping \
                 WHERE Role = ? AND ? = '' AND (? IS NULL OR User = ? AND Host = ?) ORDER BY 1, 2 LIMIT ?"
            }
            Dialect::MySql => {
                "SELECT TO_USER, TO_HOST, WITH_ADMIN_OPTION = 'Y', FROM_USER FROM mysql.role_edges \
                 WHERE FROM_USER = ? AND FROM_HOST = ? AND (? IS NULL OR TO_USER = ? AND TO_HOST = ?) ORDER BY 1, 2 LIMIT ?"
            }
        };
        let user = only.map(|name| name.user.as_str());
        let rows: Vec<(String, String, i64, String)> = sqlx::query_as(query)
            .bind(&role.user)
            .bind(&role.host)
            .bind(user)
            .bind(user)
            .bind(only.map(|name| name.host.as_str()))
            .bind(MOST_AND_ONE)
            .fetch_all(&mut *self.connection)
            .await?;
        let exact = rows.into_iter().filter(|row| row.3 == role.user);
        let member = |(user, host, admin, _): (String, String, i64, String)| Member {
            name: Name::new(user, host),
            admin: admin != 0,
        };
        Ok(exact.map(member).collect())
    }

    /// The roles that somebody (or a role) has directly.
    pub async fn roles_of(&mut self, holder: &Name) -> Result<Vec<Name>, sqlx::Error> {
        let query = match self.dialect {
            Dialect::MariaDb => {
                "SELECT Role, '', User, Host FROM mysql.roles_mapping WHERE User = ? AND Host = ? ORDER BY 1 LIMIT ?"
            }
            Dialect::MySql => {
                "SELECT FROM_USER, FROM_HOST, TO_USER, TO_HOST FROM mysql.role_edges \
                 WHERE TO_USER = ? AND TO_HOST = ? ORDER BY 1, 2 LIMIT ?"
            }
        };
        let rows: Vec<(String, String, String, String)> = sqlx::query_as(query)
            .bind(&holder.user)
            .bind(&holder.host)
            .bind(MOST_AND_ONE)
            .fetch_all(&mut *self.connection)
            .await?;
        let exact = whole(rows)?
            .into_iter()
            .filter(|row| row.2 == holder.user && row.3 == holder.host);
        Ok(exact.map(|row| Name::new(row.0, row.1)).collect())
    }

    /// `role`, and every role that whoever has it has with it.
    pub async fn closure(&mut self, role: &Name) -> Result<BTreeSet<Name>, sqlx::Error> {
        let mut seen = BTreeSet::from([role.clone()]);
        let mut open = vec![role.clone()];
        while let Some(next) = open.pop() {
            for inner in self.roles_of(&next).await? {
                if seen.insert(inner.clone()) {
                    open.push(inner);
                }
            }
        }
        Ok(seen)
    }

    /// Roles that everybody has, whatever was granted to whom.
    pub async fn everybodys(&mut self) -> Result<Vec<Name>, sqlx::Error> {
        if self.dialect == Dialect::MariaDb {
            return self.roles_of(&Name::new("PUBLIC", "")).await;
        }
        let listed: Option<String> =
            sqlx::query_scalar("SELECT CAST(@@GLOBAL.mandatory_roles AS CHAR)")
                .fetch_one(&mut *self.connection)
                .await?;
        let listed = listed.unwrap_or_default();
        let bare = |text: &str| text.trim().trim_matches(['`', '\'', '"']).to_owned();
        let names = listed.split(',').filter(|name| !name.trim().is_empty());
        Ok(names
            .map(|name| name.rsplit_once('@').unwrap_or((name, "%")))
            .map(|(user, host)| Name::new(bare(user), bare(host)))
            .collect())
    }

    /// What whoever has the role may do: the lines of `SHOW GRANTS` for it and all roles within.
    pub async fn grants_of(&mut self, role: &Name) -> Result<Vec<String>, sqlx::Error> {
        if self.dialect == Dialect::MariaDb {
            // Reading another role's grants needs SELECT on all of `mysql`, password hashes included; our own role's needs nothing.
            self.run(format!("SET ROLE {}", role.quoted())).await?;
            let lines = self.lines("SHOW GRANTS FOR CURRENT_ROLE".to_owned()).await;
            let back = self
                .own_role
                .as_ref()
                .map_or("NONE".to_owned(), |own| Name::new(own, "").quoted());
            self.run(format!("SET ROLE {back}")).await?;
            return lines;
        }
        let mut lines = Vec::new();
        for role in self.closure(role).await? {
            lines.extend(
                self.lines(format!("SHOW GRANTS FOR {}", role.quoted()))
                    .await?,
            );
        }
        Ok(lines)
    }

    /// What we may do ourselves.
    pub async fn own_grants(&mut self) -> Result<Vec<String>, sqlx::Error> {
        self.lines("SHOW GRANTS".to_owned()).await
    }

    async fn lines(&mut self, statement: String) -> Result<Vec<String>, sqlx::Error> {
        let mut rows = self.connection.fetch(AssertSqlSafe(statement));
        let mut lines = Vec::new();
        while let (Some(row), ..=MOST) = (rows.try_next().await?, lines.len()) {
            lines.push(row.try_get(0)?);
        }
        whole(lines)
    }

    pub async fn grant(&mut self, role: &Name, account: &Name) -> Result<(), sqlx::Error> {
        self.run(format!("GRANT {} TO {}", role.quoted(), account.quoted()))
            .await
    }

    pub async fn revoke(&mut self, role: &Name, account: &Name) -> Result<(), sqlx::Error> {
        self.run(format!(
            "REVOKE {} FROM {}",
            role.quoted(),
            account.quoted()
        ))
        .await
    }

    /// The roles that are in effect as soon as the account connects, whether or not it still has them.
    pub async fn defaults(&mut self, account: &Name) -> Result<Vec<Name>, sqlx::Error> {
        let query = match self.dialect {
            Dialect::MariaDb => {
                "SELECT COALESCE(default_role, ''), '', User, Host FROM mysql.user WHERE User = ? AND Host = ?"
            }
            Dialect::MySql => {
                "SELECT DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST, USER, HOST FROM mysql.default_roles \
                 WHERE USER = ? AND HOST = ? ORDER BY 1, 2"
            }
        };
        let rows: Vec<(String, String, String, String)> = sqlx::query_as(query)
            .bind(&account.user)
            .bind(&account.host)
            .fetch_all(&mut *self.connection)
            .await?;
        let exact = rows
            .into_iter()
            .filter(|row| row.2 == account.user && row.3 == account.host);
        let names = exact.map(|row| Name::new(row.0, row.1));
        Ok(names.filter(|name| !name.user.is_empty()).collect())
    }

    /// Makes `role` a default role of the account, which has it, and leaves other default roles alone: where there can be only one
    /// and another that the account has is it, nothing is done.
    pub async fn make_default(&mut self, account: &Name, role: &Name) -> Result<(), sqlx::Error> {
        let mut defaults = self.defaults(account).await?;
        if defaults.contains(role) {
            return Ok(());
        }
        // One that was revoked stays the default role, without effect.
        let held = self.roles_of(account).await?;
        defaults.retain(|name| held.contains(name));
        if self.dialect == Dialect::MariaDb && !defaults.is_empty() {
            return Ok(());
        }
        defaults.push(role.clone());
        self.set_defaults(account, &defaults).await
    }

    /// Leaves `role` out of the account's default roles, where it would be in effect again as soon as somebody grants it.
    pub async fn unmake_default(&mut self, account: &Name, role: &Name) -> Result<(), sqlx::Error> {
        let mut defaults = self.defaults(account).await?;
        if !defaults.contains(role) {
            return Ok(());
        }
        let held = self.roles_of(account).await?;
        defaults.retain(|name| name != role && held.contains(name));
        self.set_defaults(account, &defaults).await
    }

    async fn set_defaults(&mut self, account: &Name, roles: &[Name]) -> Result<(), sqlx::Error> {
        let names: Vec<String> = roles.iter().map(Name::quoted).collect();
        let names = match names.as_slice() {
            [] => "NONE".to_owned(),
            names => names.join(", "),
        };
        let whose = match self.dialect {
            Dialect::MariaDb => "FOR",
            Dialect::MySql => "TO",
        };
        let account = account.quoted();
        self.run(format!("SET DEFAULT ROLE {names} {whose} {account}"))
            .await
    }

    /// The sessions of everybody with this user name: number, user, client's address, database.
    pub async fn sessions(
        &mut self,
        user: &str,
    ) -> Result<Vec<(u64, String, String, Option<String>)>, sqlx::Error> {
        let found = sqlx::query_as(
            "SELECT CAST(ID AS UNSIGNED), CAST(USER AS CHAR), CAST(HOST AS CHAR), CAST(DB AS CHAR) \
             FROM information_schema.PROCESSLIST WHERE USER = ? ORDER BY ID LIMIT ?",
        )
        .bind(user)
        .bind(MOST_AND_ONE)
        .fetch_all(&mut *self.connection)
        .await?;
        whole(found)
    }

    pub async fn kill(&mut self, session: u64) -> Result<(), sqlx::Error> {
        self.run(format!("KILL {session}")).await
    }

    /// Runs a statement whose names are quoted.
    async fn run(&mut self, statement: String) -> Result<(), sqlx::Error> {
        self.connection
            .execute(AssertSqlSafe(statement))
            .await
            .map(drop)
    }
}
