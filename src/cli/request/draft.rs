//! A request in the making: what is known of it so far, and, once nothing is missing, the file and the pull request.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;

use super::Request;
use crate::app::propose::{BranchState, FileChange, Outcome, Proposal};
use crate::cli::clone::View;
use crate::cli::proposed::Proposed;
use crate::domain::asking::{self, Schemas};
use crate::domain::audit;
use crate::domain::catalogue::{ChangedFile, File, REGULAR_FILE};
use crate::domain::changes::Changes;
use crate::domain::finding::{Finding, Severity};
use crate::domain::foresight::{Facts, Foresight, foresee};
use crate::domain::model::{
    Actor, ActorKind, BlobId, Grant, GrantPath, Instant, Login, ResourceName, Role, RoleRef,
    ServiceName, Subject, Term,
};

/// What is known of a request so far.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Draft {
    pub(super) subject: Option<Subject>,
    pub(super) role: Option<RoleRef>,
    pub(super) term: Option<Term>,
    pub(super) starts: Option<Instant>,
    pub(super) reason: Option<String>,
    pub(super) ticket: Option<String>,
    pub(super) risk: Option<String>,
    pub(super) emergency: Emergency,
    pub(super) name: Option<String>,
}

/// Whether the request waits for approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Emergency {
    /// It does, as far as anybody said.
    No,
    /// It does, and that was asked.
    Declined,
    /// Break-glass.
    Yes,
}

impl Draft {
    /// What the flags say.
    pub(super) fn of(flags: &Request, view: &View) -> anyhow::Result<Self> {
        let text = |value: &Option<String>| {
            let tidy = value.as_deref().map(asking::tidy);
            tidy.filter(|text| !text.is_empty())
        };
        Ok(Self {
            subject: subject(flags, view)?,
            role: flags
                .role
                .as_deref()
                .map(|role| role_of(role, view))
                .transpose()?,
            term: flags.how_long.term(),
            starts: flags.starts,
            reason: text(&flags.reason),
            ticket: text(&flags.ticket),
            risk: text(&flags.risk),
            emergency: match flags.emergency {
                true => Emergency::Yes,
                false => Emergency::No,
            },
            name: flags.name.clone(),
        })
    }

    /// The role as the catalogue has it, with everything that binds it: itself, and what it bundles.
    pub(super) fn binding<'a>(&self, view: &'a View) -> Vec<(RoleRef, &'a Role)> {
        let Some(own) = &self.role else {
            return Vec::new();
        };
        let parts = view.base.parts(own).into_iter().flatten().cloned();
        let roles = std::iter::once(own.clone()).chain(parts);
        let declared = roles.filter_map(|name| {
            let (_, role) = view.base.role(&name.resource, &name.role)?;
            Some((name, role))
        });
        declared.collect()
    }

    /// The request, if nothing that every request has is missing.
    pub(super) fn ready(&self, view: &View) -> Option<Ready> {
        let role = self.role.clone()?;
        let grant = Grant {
            subject: self.subject.clone()?,
            role: role.role.clone(),
            term: self.term?,
            starts: self.starts,
            reason: self.reason.clone()?,
            ticket: self.ticket.clone(),
            risk: self.risk.clone(),
            emergency: self.emergency == Emergency::Yes,
            adopt: false,
        };
        let text = asking::write(&grant, schemas(view));
        let path = self.path(view, &role.resource, &grant, &text)?;
        let short = path.short().replace('/', "-");
        Some(Ready {
            branch: format!("request/{short}"),
            title: format!("Request access: {role} for {}", grant.subject),
            body: format!(
                "`{}` asks for `{role}`, {}.",
                grant.subject,
                term_in_words(&grant)
            ),
            path,
            grant,
            text,
        })
    }

    /// The file's path: the one that was named, or the first that is free.
    fn path(
        &self,
        view: &View,
        resource: &ResourceName,
        grant: &Grant,
        text: &str,
    ) -> Option<GrantPath> {
        if let Some(name) = &self.name {
            let path = GrantPath::new(format!("access/grants/{resource}/{name}.yaml")).ok();
            // What stands there is renewed, and asked for by nobody else.
            return path.filter(|path| !stands(view, path));
        }
        asking::name(resource, grant, |path| {
            let branch = format!("request/{}", path.short().replace('/', "-"));
            !stands(view, path)
                && view.clone.branch_state(&branch, &change(path, text)) != BranchState::Taken
        })
    }
}

/// Whether something stands at the path on the branch that counts.
fn stands(view: &View, path: &GrantPath) -> bool {
    view.files.iter().any(|file| file.path == path.as_str())
}

/// Whoever the flags name; nobody yet, where they name nobody and it is not known who asks.
fn subject(flags: &Request, view: &View) -> anyhow::Result<Option<Subject>> {
    if let Some(login) = &flags.person {
        return Ok(Some(Subject::Person(Login::new(
            login.trim_start_matches('@'),
        )?)));
    }
    if let Some(name) = &flags.service {
        return Ok(Some(Subject::Service(ServiceName::new(name)?)));
    }
    let me = view.me().map(|me| me.login.clone());
    let declared = me.filter(|login| view.base.people.contains_key(login));
    Ok(declared.map(Subject::Person))
}

/// `orders/readonly`; or the resource alone, where it has one role.
fn role_of(text: &str, view: &View) -> anyhow::Result<RoleRef> {
    let text = text.trim().trim_end_matches('/');
    if !text.contains('/') {
        let resource = ResourceName::new(text)?;
        let roles = view.base.resources.get(&resource).map(|r| &r.roles);
        let mut names = roles.into_iter().flat_map(|roles| roles.keys());
        return match (names.next(), names.next()) {
            (Some(only), None) => Ok(RoleRef {
                resource,
                role: only.clone(),
            }),
            (Some(_), Some(_)) => bail!(
                "{resource} has several roles; name one of {}",
                listed(view, Some(&resource)).join(", ")
            ),
            _ => bail!(
                "there is no resource {resource}; there are {}",
                listed(view, None).join(", ")
            ),
        };
    }
    Ok(RoleRef::try_from(text.to_owned())?)
}

/// The roles of a resource, or of all.
pub(super) fn listed(view: &View, of: Option<&ResourceName>) -> Vec<String> {
    let resources = view.base.resources.values();
    let resources = resources.filter(|resource| of.is_none_or(|of| *of == resource.name));
    let roles = |resource: &crate::domain::model::Resource| -> Vec<String> {
        let names = resource.roles.keys();
        names
            .map(|role| format!("{}/{role}", resource.name))
            .collect()
    };
    resources.flat_map(roles).collect()
}

/// Whether the repository has the schema that editors look for.
pub(in crate::cli) fn schemas(view: &View) -> Schemas {
    match view.clone.holds(asking::SCHEMA) {
        true => Schemas::There,
        false => Schemas::Absent,
    }
}

fn change(path: &GrantPath, text: &str) -> FileChange {
    FileChange {
        path: path.as_repo_path(),
        content: Some(text.as_bytes().to_vec()),
    }
}

/// `for 2h`, `until 2026-11-30T18:00:00Z`, with the start where there is one.
pub(in crate::cli) fn term_in_words(grant: &Grant) -> String {
    let at = crate::domain::evidence::instant;
    let length = match grant.term {
        Term::Duration(length) => format!("for {length}"),
        Term::Expires(end) => format!("until {}", at(end)),
    };
    match grant.starts {
        Some(starts) => format!("{length} from {}", at(starts)),
        None => length,
    }
}

/// A request, or a renewal, that can be checked and proposed.
#[derive(Debug)]
pub(in crate::cli) struct Ready {
    pub(in crate::cli) path: GrantPath,
    pub(in crate::cli) grant: Grant,
    /// The text of the file.
    pub(in crate::cli) text: String,
    /// What its branch is to be called.
    pub(in crate::cli) branch: String,
    pub(in crate::cli) title: String,
    pub(in crate::cli) body: String,
}

/// What the check would say.
#[derive(Debug)]
pub(in crate::cli) struct Checked {
    pub(in crate::cli) foresight: Foresight,
}

impl Checked {
    pub(in crate::cli) fn is_refused(&self) -> bool {
        let denies = |finding: &Finding| finding.severity == Severity::Error;
        self.foresight.findings.iter().any(denies)
    }
}

/// What became of the proposal.
#[derive(Debug)]
pub(in crate::cli) struct Done {
    branch: String,
    outcome: Outcome,
    stale: Option<String>,
}

impl Done {
    pub(in crate::cli) fn proposed(&self) -> Proposed<'_> {
        Proposed::of(&self.outcome, &self.branch, self.stale.as_deref())
    }

    pub(in crate::cli) fn code(&self) -> ExitCode {
        ExitCode::from(u8::from(self.proposed().pull.is_none()))
    }
}

impl Ready {
    pub(in crate::cli) fn role(&self) -> RoleRef {
        RoleRef {
            resource: self.path.resource(),
            role: self.grant.role.clone(),
        }
    }

    /// Checks it as its pull request will be.
    pub(in crate::cli) fn check(&self, view: &View) -> Checked {
        let before = view
            .files
            .iter()
            .find(|file| file.path == self.path.as_str());
        let changed = ChangedFile {
            path: self.path.to_string(),
            before: before.map(|file| (file.blob.clone(), file.mode)),
            after: self.file(),
        };
        let lives = view.evidence.lives.as_ref();
        let holdings = lives.map(|lives| audit::holdings(lives, view.now));
        let ended = lives.map(|lives| audit::ended(&view.base, lives, view.now));
        let foresight = foresee(&Facts {
            branch: view.clone.base(),
            base_commit: view.clone.tip(),
            base: &view.base,
            changes: Arc::new(Changes::read(vec![changed])),
            author: author(view),
            holdings: &holdings.unwrap_or_default(),
            ended: &ended.unwrap_or_default(),
            now: view.now,
        });
        Checked { foresight }
    }

    fn file(&self) -> Option<File> {
        let bytes = self.text.as_bytes();
        let id = git2::Oid::hash_object(git2::ObjectType::Blob, bytes).ok()?;
        Some(File {
            path: self.path.to_string(),
            mode: REGULAR_FILE,
            blob: BlobId::new(id.to_string()).ok()?,
            bytes: bytes.into(),
        })
    }

    /// Makes the commit and, as far as that is possible, the pull request.
    pub(in crate::cli) fn propose(&self, view: &View) -> anyhow::Result<Done> {
        let change = change(&self.path, &self.text);
        let branch = view.clone.branch_for(&self.branch, &change);
        let outcome = view.clone.propose(&Proposal {
            branch: &branch,
            title: &self.title,
            body: &self.body,
            files: &[change],
        })?;
        Ok(Done {
            branch,
            outcome,
            stale: view.clone.stale().map(str::to_owned),
        })
    }
}

/// Whoever opens the pull request, by the number that decides who it is.
fn author(view: &View) -> Option<Actor> {
    let me = view.me()?;
    let declared = view
        .base
        .people
        .get(&me.login)
        .map(|person| person.github_id);
    Some(Actor {
        id: me.id.or(declared)?,
        login: me.login.clone(),
        kind: ActorKind::User,
    })
}
