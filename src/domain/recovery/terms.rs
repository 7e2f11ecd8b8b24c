//! The terms of a grant, from the record that says that it was given.

use super::super::approval::{Approval, Basis};
use super::super::evidence::{Record, Vote};
use super::super::ledger::Terms;
use super::super::model::{
    Access, Account, Actor, ActorKind, BlobId, CommitId, ConnectionName, Login, Owner, RepoPath,
    RoleRef, ServiceName, Subject, UserId,
};

/// The terms. Why it was asked for is not in the evidence: that stands in the file.
///
/// # Errors
/// What the record does not tell.
pub(super) fn of(record: &Record) -> Result<Terms, &'static str> {
    let base = record.policy_base.as_deref();
    let votes = record.approvals.iter().flatten();
    Ok(Terms {
        subject: subject(record).ok_or("who it is for")?,
        role: role(record).ok_or("which role it gives")?,
        access: access(record).ok_or("what the target system gives")?,
        starts: record.starts.ok_or("when it begins")?,
        ends: record.expires.ok_or("when it ends")?,
        reason: String::new(),
        ticket: record.ticket.clone(),
        base: base
            .and_then(|base| CommitId::new(base).ok())
            .ok_or("which commit judged")?,
        basis: basis(record),
        approvals: votes.filter_map(approval).collect(),
        since: record.since,
        review_by: record.review_by,
        taken_over: record.taken_over.is_some(),
    })
}

/// What is given. Records of before it was written down whole name it in words, which may be cut.
fn access(record: &Record) -> Option<Access> {
    if let Some(access) = &record.access {
        return Some(access.clone());
    }
    Some(Access {
        connection: ConnectionName::new(record.connection.as_deref()?).ok()?,
        account: Account {
            name: record.account.clone()?,
            github_id: record.subject_id.map(UserId),
            id: record.account_id.clone(),
        },
        entitlement: serde_json::from_str(record.entitlement.as_deref()?).ok()?,
        entitlement_id: record.entitlement_id.clone(),
    })
}

pub(super) fn subject(record: &Record) -> Option<Subject> {
    match record.subject.as_deref()?.split_once(' ')? {
        ("person", login) => Login::new(login).ok().map(Subject::Person),
        ("service", name) => ServiceName::new(name).ok().map(Subject::Service),
        _ => None,
    }
}

pub(super) fn role(record: &Record) -> Option<RoleRef> {
    RoleRef::try_from(record.role.clone()?).ok()
}

fn basis(record: &Record) -> Basis {
    let policy = || {
        let mut words = record.approved_by_policy.as_deref()?.split(' ');
        Some(Basis::Policy {
            id: words.next()?.to_owned(),
            file: RepoPath::new(words.next()?).ok()?,
            blob: BlobId::new(words.next()?).ok()?,
        })
    };
    match record.basis.as_deref() {
        Some("emergency") => Basis::Emergency,
        _ => policy().unwrap_or_default(),
    }
}

/// A review that counted, as the ledger keeps it.
pub(super) fn approval(vote: &Vote) -> Option<Approval> {
    Some(Approval {
        review: vote.review,
        reviewer: Actor {
            id: UserId(vote.reviewer.id),
            login: Login::new(&vote.reviewer.login).ok()?,
            // No other's counts.
            kind: ActorKind::User,
        },
        commit: vote.commit.clone(),
        blob: vote.blob.clone(),
        at: vote.at,
        through: owner(&vote.through)?,
        line: vote.line,
    })
}

fn owner(text: &str) -> Option<Owner> {
    let Some(name) = text.strip_prefix('@') else {
        return Some(Owner::Email(text.to_owned()));
    };
    Some(match name.split_once('/') {
        Some((organisation, slug)) => Owner::Team {
            organisation: Login::new(organisation).ok()?,
            slug: slug.to_owned(),
        },
        None => Owner::User(Login::new(name).ok()?),
    })
}
