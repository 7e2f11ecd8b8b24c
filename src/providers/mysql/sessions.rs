//! Sessions that were open before a membership ended: a role that is in effect in a session stays so until the session ends.

use std::fmt;
use std::time::Duration;

use super::names::Name;
use super::server::Server;

/// How often, and how long after each other, it is looked whether sessions that were told to end have ended.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// `ER_NO_SUCH_THREAD`: it ended by itself.
const NO_SUCH_SESSION: u16 = 1094;

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    number: u64,
    from: String,
    database: Option<String>,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {} from {}", self.number, self.from)?;
        match &self.database {
            Some(database) => write!(f, " in database {database}"),
            None => Ok(()),
        }
    }
}

/// The sessions that may be the account's. The server tells the user and where the client is, not which `'user'@'host'` let it in: a
/// session is another account's when that one is for exactly where the client is, and this one is not.
pub(super) async fn open(server: &mut Server, account: &Name) -> Result<Vec<Session>, sqlx::Error> {
    let siblings = server.siblings(account).await?;
    let sessions = server.sessions(&account.user).await?;
    let of_user = sessions
        .into_iter()
        .filter(|session| session.1 == account.user);
    let sessions = of_user.map(|(number, _, client, database)| Session {
        number,
        from: client
            .rsplit_once(':')
            .map_or(client.clone(), |(host, _)| host.to_owned()),
        database,
    });
    let anothers = |session: &Session| {
        let is_for = |name: &Name| name.host.eq_ignore_ascii_case(&session.from);
        siblings.iter().any(is_for) && !is_for(account)
    };
    Ok(sessions.filter(|session| !anothers(session)).collect())
}

/// Ends these sessions. Returns those that were still there after a while, and how many are gone.
pub(super) async fn end(
    server: &mut Server,
    account: &Name,
    sessions: &[Session],
) -> Result<(Vec<Session>, u32), sqlx::Error> {
    for session in sessions {
        match server.kill(session.number).await {
            Err(error) if super::fault::number(&error) == Some(NO_SUCH_SESSION) => {}
            outcome => outcome?,
        }
    }
    let mut left = sessions.to_vec();
    for _ in 0..LOOKS {
        let still = open(server, account).await?;
        left.retain(|session| still.iter().any(|other| other.number == session.number));
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let ended = sessions.len() - left.len();
    Ok((left, u32::try_from(ended).unwrap_or(u32::MAX)))
}
