//! Which records show which control.
//!
//! A record shows that something was done. Whether a control is met as a whole, an auditor says: the report never does.

use serde::Serialize;

use super::super::super::evidence::Kind;
use super::super::{Rule, Verified};
use super::told::{Entry, Told};
use super::{Cited, Exceptions, Listed};

/// A control of a standard.
struct Control {
    standard: &'static str,
    id: &'static str,
    /// What is asked, in our words.
    asks: &'static str,
    records: &'static [Source],
    /// What `verify` checks of it.
    rules: &'static [Rule],
    /// The exceptions that speak against it while they are open.
    exceptions: &'static [&'static str],
    /// What the evidence does not show.
    elsewhere: &'static str,
}

/// Some records.
struct Source {
    what: &'static str,
    kinds: &'static [Kind],
    only: Only,
}

/// Which of the records.
#[derive(Clone, Copy)]
enum Only {
    All,
    /// Of grants that ended for one of these reasons.
    Cause(&'static [&'static str]),
    /// Of grants by break-glass.
    Emergency,
    /// Of changes below one of these paths.
    Below(&'static [&'static str]),
}

const fn all(what: &'static str, kinds: &'static [Kind]) -> Source {
    Source {
        what,
        kinds,
        only: Only::All,
    }
}

const REQUESTS: Source = all("requests", &[Kind::Requested]);
const REFUSED: Source = all(
    "requests refused, with the rules they broke",
    &[Kind::Denied],
);
const APPROVALS: Source = all(
    "approvals, with why each reviewer was independent",
    &[Kind::Approved],
);
const GRANTS: Source = all(
    "grants, with the read-back of the target system",
    &[Kind::Granted],
);
const RENEWALS: Source = all("renewals", &[Kind::Renewed]);
const AT_ONCE: Source = all(
    "access that its owner or holder ended at once",
    &[Kind::CalledOff],
);
const ENDS: Source = all("removals, with when they were due", &[Kind::Revoked]);
const UNPROVED: Source = all(
    "merged without proof, and not given",
    &[Kind::MergedWithoutProof],
);
const REVIEWS: Source = all(
    "reviews of break-glass, signed or overdue",
    &[Kind::Reviewed, Kind::ReviewUnsigned, Kind::ReviewOverdue],
);
const ROUNDS: Source = all(
    "periodic access reviews: begun, asked of owners, answered by them, or unanswered",
    &[
        Kind::AccessReviewOpened,
        Kind::AccessReviewAsked,
        Kind::AccessReviewCompleted,
        Kind::AccessReviewLapsed,
        Kind::AccessReviewUnsigned,
    ],
);
const SERVICE: Source = all(
    "starts and ends of the service, and when it gave nothing because something was in doubt",
    &[Kind::Started, Kind::Stopped, Kind::SafeMode],
);
const DRIFT: Source = all(
    "differences between the target systems and the ledger, and their ends",
    &[Kind::Drifted, Kind::DriftOver, Kind::DriftRemoved],
);
const DEPLOYMENTS: Source = all(
    "deployments let through, or told to ask",
    &[Kind::DeploymentApproved, Kind::DeploymentWaiting],
);
const HELD: Source = all(
    "large removals held back, released by two owners, or over by themselves",
    &[
        Kind::Held,
        Kind::Released,
        Kind::ReleaseUnsigned,
        Kind::HoldOver,
    ],
);
const KEYS: Source = all("changes of the signing key", &[Kind::KeyChanged]);
const ANCHORS: Source = all(
    "anchors of the evidence written outside, with what the place answered",
    &[Kind::Anchored],
);
const EXPIRED: Source = Source {
    what: "removals because the term was over",
    kinds: &[Kind::Revoked],
    only: Only::Cause(&["expired"]),
};
const LEAVERS: Source = Source {
    what: "removals because somebody left",
    kinds: &[Kind::Revoked, Kind::Cancelled],
    only: Only::Cause(&["subject-gone", "owner-gone"]),
};
const SERVICES: Source = all(
    "service accounts that lost their owner, or found one",
    &[Kind::Orphaned, Kind::Adopted],
);
const RULES: Source = Source {
    what: "changes of what decides: owners, resources, policies",
    kinds: &[Kind::Landed],
    only: Only::Below(&[
        ".github/CODEOWNERS",
        "CODEOWNERS",
        "docs/CODEOWNERS",
        "access/policies/",
        "access/resources/",
    ]),
};
const ROLES: Source = Source {
    what: "changes of the catalogue of roles",
    kinds: &[Kind::Landed],
    only: Only::Below(&["access/resources/"]),
};
const IDENTITIES: Source = Source {
    what: "changes of people and service accounts",
    kinds: &[Kind::Landed],
    only: Only::Below(&["access/people/", "access/services/"]),
};
const GLASS: Source = Source {
    what: "grants by break-glass",
    kinds: &[Kind::Granted],
    only: Only::Emergency,
};

const APPROVED: &[Rule] = &[
    Rule::NotApproved,
    Rule::ApprovedLate,
    Rule::TooFewApprovals,
    Rule::NotAnOwner,
];
const ENDED: &[Rule] = &[Rule::RemovedLate, Rule::NotRemoved];
const APART: &[Rule] = &[Rule::NotIndependent, Rule::NotAnOwner];
const EXPLAINED: &[Rule] = &[Rule::CommitUnexplained, Rule::CommitGone, Rule::RulesDiffer];
const WHOLE: &[Rule] = &[
    Rule::Unsigned,
    Rule::BadSignature,
    Rule::UnknownKey,
    Rule::Parents,
    Rule::NoRecord,
    Rule::NotCanonical,
    Rule::MessageDiffers,
    Rule::Sequence,
    Rule::ChainBroken,
    Rule::KeyTwice,
    Rule::AnchorMissing,
    Rule::AnchorForged,
];
const LATE: &[&str] = &["not-removed"];
const OUTSIDE: &[&str] = &["drift"];
const UNREVIEWED: &[&str] = &[
    "break-glass-unreviewed",
    "review-overdue",
    "review-unsigned",
    "access-review-lapsed",
    "access-review-unsigned",
];

const ISO: &str = "ISO 27001:2022";
const SOC: &str = "SOC 2";
const CIS: &str = "CIS Controls v8";
const NIST: &str = "NIST SP 800-53";

macro_rules! control {
    ($standard:ident $id:literal: $asks:literal; records $records:expr; rules $rules:expr; open $open:expr; elsewhere $elsewhere:literal) => {
        Control {
            standard: $standard,
            id: $id,
            asks: $asks,
            records: $records,
            rules: $rules,
            exceptions: $open,
            elsewhere: $elsewhere,
        }
    };
}

const CONTROLS: &[Control] = &[
    control!(ISO "A.5.15": "Rules for access exist, are approved and are applied.";
        records &[RULES, REFUSED, APPROVALS]; rules EXPLAINED; open &["merged-without-proof"];
        elsewhere "The rules themselves are files of the repository: access/resources, access/policies, CODEOWNERS."),
    control!(ISO "A.5.16": "Identities have a life of their own, and one person each.";
        records &[IDENTITIES, LEAVERS, SERVICES]; rules &[]; open &["orphaned"];
        elsewhere "How people join and leave the organisation itself."),
    control!(ISO "A.5.17": "Secrets that authenticate are handled by rule.";
        records &[KEYS]; rules &[Rule::UnknownKey]; open &["key-changed"];
        elsewhere "Passwords and tokens: records hold none, so this evidence tells of the signing key alone."),
    control!(ISO "A.5.18": "Access is provided, reviewed, changed and removed; the owner of the asset authorises.";
        records &[REQUESTS, APPROVALS, GRANTS, RENEWALS, ENDS, ROUNDS]; rules APPROVED;
        open &["merged-without-proof", "not-removed", "access-review-lapsed", "access-review-unsigned"];
        elsewhere "Periodic reviews that were held outside of the repository."),
    control!(ISO "A.8.2": "Privileged access is restricted, limited in time and reviewed.";
        records &[GRANTS, EXPIRED, GLASS, REVIEWS, ROUNDS]; rules &[Rule::TermTooLong, Rule::RemovedLate, Rule::NotRemoved]; open UNREVIEWED;
        elsewhere "Which roles are privileged: `risk` in access/resources says it."),
    control!(SOC "CC6.1": "Access is restricted to whoever is authorised.";
        records &[GRANTS, UNPROVED, DRIFT, DEPLOYMENTS]; rules APPROVED; open OUTSIDE;
        elsewhere "Systems that Hallpass does not manage."),
    control!(SOC "CC6.2": "Access is authorised before it is given, and removed when it is no longer authorised.";
        records &[APPROVALS, GRANTS, ENDS, LEAVERS]; rules &[Rule::NotApproved, Rule::ApprovedLate, Rule::RemovedLate, Rule::NotRemoved]; open LATE;
        elsewhere "When somebody left by the books of the organisation, to compare with the removal."),
    control!(SOC "CC6.3": "Access follows roles, least privilege and the separation of duties, and is changed under control.";
        records &[APPROVALS, REFUSED, RENEWALS, ROLES, ROUNDS]; rules APART; open &["merged-without-proof"];
        elsewhere "Whether a role gives no more than its holders need."),
    control!(CIS "5.1": "There is an inventory of accounts.";
        records &[GRANTS, IDENTITIES, DRIFT]; rules &[]; open OUTSIDE;
        elsewhere "Accounts of systems that Hallpass does not manage."),
    control!(CIS "5.3": "Accounts that are not used any more are disabled.";
        records &[EXPIRED, LEAVERS]; rules ENDED; open LATE;
        elsewhere "Whether an account is used: access ends by its term, used or not."),
    control!(CIS "5.4": "Privileges of administrators are kept to accounts and times that need them.";
        records &[GRANTS, GLASS, EXPIRED]; rules &[Rule::TermTooLong]; open UNREVIEWED;
        elsewhere "Whether people use a second account for such work."),
    control!(CIS "6.1": "Granting access is a process, preferably automatic.";
        records &[REQUESTS, APPROVALS, GRANTS]; rules APPROVED; open &["merged-without-proof", "blocked"];
        elsewhere "Access that was given outside of Hallpass, as far as no difference was seen."),
    control!(CIS "6.2": "Revoking access is a process, preferably automatic.";
        records &[ENDS, AT_ONCE, LEAVERS, HELD]; rules ENDED; open &["not-removed", "held"];
        elsewhere "Sessions that outlast a removal: `residual` in the record says how long they may."),
    control!(CIS "6.6": "There is an inventory of the systems that authorise.";
        records &[ROLES]; rules &[]; open &[];
        elsewhere "The inventory is access/resources on the protected branch; systems that are not in it."),
    control!(CIS "6.7": "Access is controlled centrally.";
        records &[GRANTS, DEPLOYMENTS, DRIFT]; rules EXPLAINED; open OUTSIDE;
        elsewhere "Single sign-on to the systems themselves."),
    control!(CIS "6.8": "Access follows roles that are defined, kept up and reviewed.";
        records &[ROLES, REVIEWS, ROUNDS]; rules &[Rule::RulesDiffer]; open UNREVIEWED;
        elsewhere "Periodic reviews that were held outside of the repository."),
    control!(NIST "AC-2": "Accounts and access are requested, approved, given, watched and removed; temporary access ends by itself (enhancements 1 to 4).";
        records &[REQUESTS, APPROVALS, GRANTS, EXPIRED, LEAVERS, SERVICES]; rules &[Rule::NotApproved, Rule::ApprovedLate, Rule::RemovedLate, Rule::NotRemoved]; open &["not-removed", "orphaned"];
        elsewhere "Notifications: they are comments on the pull requests."),
    control!(NIST "AC-5": "Duties are kept apart.";
        records &[APPROVALS, REFUSED]; rules APART; open &["merged-without-proof"];
        elsewhere "Which duties exclude each other: `conflicts_with` in access/resources says it."),
    control!(NIST "AC-6": "Privilege is the least that is needed, is reviewed and its use is logged (enhancements 7 and 9).";
        records &[GRANTS, EXPIRED, GLASS, REVIEWS, ROUNDS]; rules &[Rule::TermTooLong]; open UNREVIEWED;
        elsewhere "What was done with the access: the log of the target system."),
    control!(NIST "AU-9": "The log is protected.";
        records &[KEYS, SERVICE, ANCHORS]; rules WHOLE; open &["key-changed"];
        elsewhere "Who else can write at the places where anchors are kept, and who holds the signing key."),
    control!(NIST "AU-10": "Nobody can deny what they did.";
        records &[APPROVALS]; rules &[Rule::Unsigned, Rule::BadSignature, Rule::UnknownKey]; open &[];
        elsewhere "How the forge knows who somebody is when they approve."),
];

/// What the check and the records say with regard to a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The check found problems, or exceptions are open.
    Look,
    /// Not everything that bears on it was checked.
    NotAllChecked,
    /// No record of the period shows it.
    NoRecord,
    /// Records show it, and nothing speaks against it.
    Shown,
}

impl Outcome {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Look => "look at this",
            Self::NotAllChecked => "not all checked",
            Self::NoRecord => "no record in the period",
            Self::Shown => "records show it",
        }
    }
}

/// Records that show a control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownBy<'l> {
    /// What they tell.
    pub what: &'static str,
    /// Their kinds.
    pub kinds: &'static [Kind],
    /// How many there are in the period, and the newest.
    pub commits: Listed<Cited<'l>>,
}

/// A control, and the records that show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown<'l> {
    /// The standard.
    pub standard: &'static str,
    /// The control in it.
    pub id: &'static str,
    /// What is asked.
    pub asks: &'static str,
    /// What can be said.
    pub outcome: Outcome,
    /// The records of the period.
    pub records: Vec<ShownBy<'l>>,
    /// What `verify` checks of it, over all of the evidence.
    pub rules: &'static [Rule],
    /// How many problems that found.
    pub problems: u64,
    /// How many exceptions that speak against it are open.
    pub open_exceptions: u64,
    /// What the evidence does not show.
    pub elsewhere: &'static str,
}

/// Every control, and the records that show it.
pub(super) fn controls<'l>(
    told: &Told<'l>,
    check: &Verified,
    exceptions: &Exceptions<'l>,
) -> Vec<Shown<'l>> {
    let shown = |control: &Control| {
        let records: Vec<ShownBy<'l>> = control.records.iter().map(|s| s.find(told)).collect();
        let problems = check.problems.iter();
        let problems = problems.filter(|p| control.rules.contains(&p.rule)).count() as u64;
        let open_exceptions = exceptions.open_of(control.exceptions);
        let outcome = if problems + open_exceptions > 0 {
            Outcome::Look
        } else if !control.rules.iter().all(|rule| check.looked_at(*rule)) {
            Outcome::NotAllChecked
        } else if records.iter().all(|source| source.commits.of == 0) {
            Outcome::NoRecord
        } else {
            Outcome::Shown
        };
        Shown {
            standard: control.standard,
            id: control.id,
            asks: control.asks,
            outcome,
            records,
            rules: control.rules,
            problems,
            open_exceptions,
            elsewhere: control.elsewhere,
        }
    };
    CONTROLS.iter().map(shown).collect()
}

impl Source {
    fn find<'l>(&self, told: &Told<'l>) -> ShownBy<'l> {
        let found = told
            .of_kinds(self.kinds)
            .filter(|entry| self.only.meets(entry));
        let cited: Vec<Cited<'l>> = found.map(|entry| entry.cited).collect();
        ShownBy {
            what: self.what,
            kinds: self.kinds,
            commits: Listed::newest(cited.into_iter()),
        }
    }
}

impl Only {
    fn meets(self, entry: &Entry<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Cause(causes) => {
                let ended = entry.life.and_then(|life| life.ended.as_ref());
                ended.is_some_and(|ended| causes.contains(&ended.cause.as_str()))
            }
            Self::Emergency => entry.life.is_some_and(|life| life.emergency),
            Self::Below(paths) => {
                let changes = entry.record.and_then(|record| record.changes.as_deref());
                let below = |path: &String| paths.iter().any(|below| path.starts_with(below));
                changes.is_some_and(|changes| changes.iter().any(below))
            }
        }
    }
}
