//! Who is signed in to the page: in the database, so that every replica knows, and as digests, so that nobody can sign in with what
//! stands there.

use sqlx::Row;

use super::fault::{instant, natural, number, text};
use super::{Store, StoreError};
use crate::domain::model::{Instant, Login, UserId};

/// A session of the page, as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// GitHub's number of the account.
    pub account: UserId,
    /// Its login at sign-in.
    pub login: Login,
    /// When it is over, used or not.
    pub ends: Instant,
    /// When GitHub last said that this account may see the page.
    pub asked: Instant,
}

/// What names a session: digests of what its browser keeps.
#[derive(Debug, Clone, Copy)]
pub struct SessionKey<'a> {
    /// Of the session's id.
    pub key: &'a str,
    /// Of the state that the sign-in began with.
    pub sign_in: &'a str,
}

impl Store {
    /// Keeps a session, and forgets those whose time was over at `now`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the sign-in has made a session already.
    pub async fn begin_session(
        &self,
        key: SessionKey<'_>,
        session: &Session,
        now: Instant,
    ) -> Result<(), StoreError> {
        let mut tx = self.inner.writer.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE ends_at <= $1")
            .bind(text(now))
            .execute(&mut *tx)
            .await?;
        let done = sqlx::query(
            "INSERT INTO sessions (key, sign_in, account, login, ends_at, asked_at, over) VALUES ($1, $2, $3, $4, $5, $6, 0) \
             ON CONFLICT DO NOTHING",
        )
        .bind(key.key)
        .bind(key.sign_in)
        .bind(number("account", session.account.0)?)
        .bind(session.login.as_str())
        .bind(text(session.ends))
        .bind(text(session.asked))
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() != 1 {
            return Err(StoreError::Conflict("a sign-in".to_owned()));
        }
        Ok(tx.commit().await?)
    }

    /// The session of this key, if it is not over at `now`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn session(&self, key: &str, now: Instant) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query(
            "SELECT account, login, ends_at, asked_at FROM sessions WHERE key = $1 AND over = 0 AND ends_at > $2",
        )
        .bind(key)
        .bind(text(now))
        .fetch_optional(&self.inner.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (login, ends, asked): (String, String, String) =
            (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let login = Login::new(&login)
            .map_err(|e| StoreError::broken(format!("a session cannot be read: {e}")))?;
        Ok(Some(Session {
            account: UserId(natural("a session", row.try_get(0)?)?),
            login,
            ends: instant("a session", &ends)?,
            asked: instant("a session", &asked)?,
        }))
    }

    /// Notes that GitHub said at `asked` that the account of a session may see the page.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn vouch_for_session(&self, key: &str, asked: Instant) -> Result<(), StoreError> {
        sqlx::query("UPDATE sessions SET asked_at = $2 WHERE key = $1 AND asked_at < $2")
            .bind(key)
            .bind(text(asked))
            .execute(&self.inner.writer.pool)
            .await?;
        Ok(())
    }

    /// Ends a session, on every replica.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn end_session(&self, key: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE sessions SET over = 1 WHERE key = $1")
            .bind(key)
            .execute(&self.inner.writer.pool)
            .await?;
        Ok(())
    }
}
