//! What the page shows: a few rows at a time, however many there are.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::fault::{instant, natural, number, text};
use super::ledger::{in_order, subject_key};
use super::{Store, StoreError, asks, outbox};
use crate::domain::decision::Pending;
use crate::domain::drift::Known;
use crate::domain::evidence::Event;
use crate::domain::ledger::Entry;
use crate::domain::model::{
    CommitId, GrantId, GrantPath, Instant, Login, PullNumber, ResourceName, Subject,
};

/// Whose grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'a> {
    /// Everybody's.
    All,
    /// Those of one person or service.
    Of(&'a Subject),
    /// Those of one resource.
    On(&'a ResourceName),
}

/// Which grants, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List<'a> {
    /// Admitted and not over, what ends first first.
    Live(Whose<'a>),
    /// Over or denied, the last first.
    Over(Whose<'a>),
    /// Perhaps held although their end was before the instant, the longest overdue first.
    Overdue(Instant),
    /// Begun to be given or taken, and not known to be.
    Unsettled,
    /// Given in an emergency that no owner has reviewed.
    Unreviewed,
}

/// Where a page of a list ends: what follows comes after this. Its text is for an address, and says nothing that is not on the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(String, String);

impl Mark {
    /// After `entry` in `list`.
    pub fn after(list: &List<'_>, entry: &Entry) -> Option<Self> {
        let at = match list {
            List::Over(_) => entry.settled_at?,
            _ => entry.terms.as_ref()?.ends,
        };
        Some(Self(text(at), entry.id.to_string()))
    }

    /// What [`Mark::word`] wrote.
    pub fn parse(word: &str) -> Option<Self> {
        let (at, id) = word.split_once('~')?;
        let at = instant("a mark", at).ok()?;
        let id = GrantId::new(id).ok()?;
        Some(Self(text(at), id.to_string()))
    }

    /// As text.
    pub fn word(&self) -> String {
        format!("{}~{}", self.0, self.1)
    }
}

/// An open pull request, as it was last judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Which.
    pub pull: PullNumber,
    /// Who opened it; `None` for a deleted account.
    pub author: Option<Login>,
    /// What is to become of it, in a word.
    pub outcome: String,
    /// The title of its check: whom it waits for. Trusted text.
    pub says: String,
    /// Since when it says so.
    pub since: Instant,
}

/// An open pull request with what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The pull request.
    pub judged: Judged,
    /// For whom, and which roles; empty for one that asks for no access.
    pub asks: Vec<Pending>,
}

impl Store {
    /// At most `most` entries of a list, after `mark` where there is one.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn listed(
        &self,
        list: &List<'_>,
        mark: Option<&Mark>,
        most: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let readers = &self.inner.readers;
        let (filter, mut values) = match list {
            List::Live(whose) => of(whose, "live = 1 AND connection IS NOT NULL"),
            List::Over(whose) => of(whose, "live = 0"),
            List::Overdue(now) => (
                "live = 1 AND state NOT IN ('arrived', 'scheduled') AND ends_at <= $1".to_owned(),
                vec![text(*now)],
            ),
            List::Unsettled => (
                "live = 1 AND state IN ('granting', 'revoking') AND $1 = ''".to_owned(),
                vec![String::new()],
            ),
            List::Unreviewed => (
                "unreviewed IS NOT NULL AND $1 = ''".to_owned(),
                vec![String::new()],
            ),
        };
        let backwards = matches!(list, List::Over(_));
        let first = if backwards { "9999" } else { "" };
        let Mark(at, id) = mark
            .cloned()
            .unwrap_or(Mark(first.to_owned(), String::new()));
        values.extend([at, id]);
        let order = match list {
            List::Over(_) => "(settled_at, id) < ($2, $3) ORDER BY settled_at DESC, id DESC",
            _ => "(ends_at, id) > ($2, $3) ORDER BY ends_at, id",
        };
        in_order(
            readers,
            &format!("{filter} AND {order} LIMIT {most}"),
            values,
        )
        .await
    }

    /// How many grants are admitted and not over: in all, and of these the ones that have not begun.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn count_live(&self) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT COUNT(*), COUNT(CASE WHEN state = 'scheduled' THEN 1 END) FROM ledger \
                   WHERE live = 1 AND connection IS NOT NULL";
        let counts = sqlx::query_as(sql).fetch_one(&self.inner.readers);
        let (all, scheduled): (i64, i64) = counts.await?;
        Ok((natural("a count", all)?, natural("a count", scheduled)?))
    }

    /// One entry.
    ///
    /// # Errors
    /// [`StoreError::Broken`] says that the row cannot be understood.
    pub async fn entry(&self, id: &GrantId) -> Result<Option<Entry>, StoreError> {
        let found = in_order(&self.inner.readers, "id = $1", vec![id.to_string()]).await?;
        Ok(found.into_iter().next())
    }

    /// The newest entries, at most `most`, whose file or subject holds `words`, what is not over first. `words` are not a pattern.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn found(&self, words: &str, most: u32) -> Result<Vec<Entry>, StoreError> {
        let mut like = String::from("%");
        for c in words.to_ascii_lowercase().chars() {
            if matches!(c, '%' | '_' | '!') {
                like.push('!');
            }
            like.push(c);
        }
        like.push('%');
        let sql = format!(
            "id IN (SELECT id FROM ledger WHERE (path LIKE $1 ESCAPE '!' OR subject LIKE $1 ESCAPE '!') \
             ORDER BY live DESC, path LIMIT {most}) ORDER BY live DESC, ends_at DESC, id"
        );
        in_order(&self.inner.readers, &sql, vec![like]).await
    }

    /// The entries that a pull request brought, at most `most`.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn brought_by(&self, pull: PullNumber, most: u32) -> Result<Vec<Entry>, StoreError> {
        // As a part of the text: it is a number, and the parameters of `in_order` are texts.
        let sql = format!(
            "pull = {} ORDER BY id LIMIT {most}",
            number("pull request", pull.0)?
        );
        in_order(&self.inner.readers, &sql, Vec::new()).await
    }

    /// What was written down of the file at `path` and the pull request that brought it there, oldest first, at most `most`; with the
    /// commit of the evidence branch where it is published.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn told_of(
        &self,
        path: &GrantPath,
        pull: Option<PullNumber>,
        most: u32,
    ) -> Result<Vec<(Event, Option<CommitId>)>, StoreError> {
        outbox::told_of(&self.inner.readers, (path, pull), most).await
    }

    /// The differences that were seen first, at most `most`.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn first_drift(&self, most: u32) -> Result<Vec<Known>, StoreError> {
        super::drift::first(&self.inner.readers, most).await
    }

    /// Remembers what is to become of an open pull request, in place of what was remembered of it. Nothing is written where that is
    /// the same but for the instant.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn remember_judged(&self, judged: &Judged) -> Result<(), StoreError> {
        let known =
            sqlx::query("SELECT pull, author, outcome, says, since FROM judged WHERE pull = $1")
                .bind(number("pull request", judged.pull.0)?)
                .fetch_optional(&self.inner.readers)
                .await?;
        let known = known.as_ref().map(read).transpose()?;
        let same = |known: &Judged| {
            *known
                == Judged {
                    since: known.since,
                    ..judged.clone()
                }
        };
        if known.as_ref().is_some_and(same) {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO judged (pull, author, outcome, says, since) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (pull) DO UPDATE \
             SET author = excluded.author, outcome = excluded.outcome, says = excluded.says, since = excluded.since",
        )
        .bind(number("pull request", judged.pull.0)?)
        .bind(judged.author.as_ref().map(Login::as_str))
        .bind(judged.outcome.as_str())
        .bind(judged.says.as_str())
        .bind(text(judged.since))
        .execute(&self.inner.writer.pool)
        .await?;
        Ok(())
    }

    /// Forgets what was remembered of a pull request that asks for nothing here any more.
    ///
    /// # Errors
    /// When it was not written.
    pub async fn forget_judged(&self, pull: PullNumber) -> Result<(), StoreError> {
        let number = number("pull request", pull.0)?;
        let known: Option<i64> = sqlx::query_scalar("SELECT pull FROM judged WHERE pull = $1")
            .bind(number)
            .fetch_optional(&self.inner.readers)
            .await?;
        if known.is_some() {
            sqlx::query("DELETE FROM judged WHERE pull = $1")
                .bind(number)
                .execute(&self.inner.writer.pool)
                .await?;
        }
        Ok(())
    }

    /// The open pull requests of `author` after `after` that were denied when they were last judged, or of which it was not known: the
    /// oldest, at most `most`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn denied_of(
        &self,
        author: &Login,
        after: PullNumber,
        most: u32,
    ) -> Result<BTreeSet<PullNumber>, StoreError> {
        let pulls: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT pull FROM judged WHERE author = $1 AND pull > $2 AND outcome IN ('denied', 'uncertain') ORDER BY pull LIMIT {most}"
        )))
        .bind(author.as_str())
        .bind(number("pull request", after.0)?)
        .fetch_all(&self.inner.readers)
        .await?;
        let pull = |number| Ok(PullNumber(natural("a pull request", number)?));
        pulls.into_iter().map(pull).collect()
    }

    /// What open pull requests wait for, the oldest first, at most `most` after pull request `after`.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names a row that cannot be understood.
    pub async fn waiting(
        &self,
        whose: Whose<'_>,
        after: PullNumber,
        most: u32,
    ) -> Result<Vec<Waiting>, StoreError> {
        let (filter, value) = match whose {
            Whose::All => ("$2 = ''", String::new()),
            Whose::Of(subject) => (
                "pull IN (SELECT pull FROM asks WHERE subject = $2)",
                subject_key(subject),
            ),
            // A resource's name has no character that means anything in a pattern.
            Whose::On(resource) => (
                "pull IN (SELECT pull FROM asks WHERE role LIKE $2)",
                format!("{resource}/%"),
            ),
        };
        let sql = format!(
            "SELECT pull, author, outcome, says, since FROM judged WHERE pull > $1 AND {filter} ORDER BY pull LIMIT {most}"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(number("pull request", after.0)?)
            .bind(value)
            .fetch_all(&self.inner.readers)
            .await?;
        let judged: Vec<Judged> = rows.iter().map(read).collect::<Result<_, _>>()?;
        let pulls: Vec<PullNumber> = judged.iter().map(|j| j.pull).collect();
        let mut asks: BTreeMap<PullNumber, Vec<Pending>> = BTreeMap::new();
        for one in asks::by(&self.inner.readers, &pulls).await? {
            asks.entry(one.pull).or_default().push(one);
        }
        let with_asks = |judged: Judged| Waiting {
            asks: asks.remove(&judged.pull).unwrap_or_default(),
            judged,
        };
        Ok(judged.into_iter().map(with_asks).collect())
    }
}

/// `filter`, for whose grants; `$1` is taken.
fn of(whose: &Whose<'_>, filter: &str) -> (String, Vec<String>) {
    match whose {
        Whose::All => (format!("{filter} AND $1 = ''"), vec![String::new()]),
        Whose::Of(subject) => (
            format!("{filter} AND subject = $1"),
            vec![subject_key(subject)],
        ),
        Whose::On(resource) => (
            format!("{filter} AND resource = $1"),
            vec![resource.to_string()],
        ),
    }
}

fn read(row: &AnyRow) -> Result<Judged, StoreError> {
    let (author, since): (Option<String>, String) = (row.try_get(1)?, row.try_get(4)?);
    let what = "what a pull request waits for";
    let author = author
        .map(|login| Login::new(&login))
        .transpose()
        .map_err(|e| StoreError::broken(format!("{what} cannot be read: {e}")))?;
    Ok(Judged {
        pull: PullNumber(natural(what, row.try_get(0)?)?),
        author,
        outcome: row.try_get(2)?,
        says: row.try_get(3)?,
        since: instant(what, &since)?,
    })
}
