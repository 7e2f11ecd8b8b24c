//! Every metric there is: one table, from which the program takes the words of a scrape and a test those of the documentation.

use Shape::{Counter, Gauge, Histogram};

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Only rises, from 0 at each start. Its samples end in `_total`.
    Counter,
    /// What is now.
    Gauge,
    /// How long things took: `_bucket`, `_sum` and `_count`.
    Histogram,
}

impl Shape {
    /// The word in `# TYPE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug)]
pub struct Described {
    /// Its name in `# TYPE`.
    pub name: &'static str,
    /// What it is.
    pub shape: Shape,
    /// The labels of its samples, in order.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
}

/// Every label there is, and what it can hold. None names a person, an account, a repository or a grant.
pub const LABELS: [(&str, &str); 15] = [
    (
        "call",
        "`grant`, `revoke`, `holders`, `account` or `last-use`",
    ),
    ("channel", "`slack`, `http` or `mail`"),
    ("connection", "a name under `[providers]`"),
    (
        "difference",
        "`given-outside`, `removed-outside`, `subject-vanished` or `account-recreated`",
    ),
    (
        "from",
        "from what removals were inferred: `withdrawn`, `left` or `outside`",
    ),
    ("installation", "the number of an installation of the App"),
    ("le", "the upper edge of a bucket, in seconds"),
    (
        "limit",
        "which of GitHub's limits: `core`, `search`, `graphql` or `other`",
    ),
    (
        "outcome",
        "how it ended: the words of each metric stand with it",
    ),
    ("place", "a name under `[evidence.anchor]`"),
    (
        "resource",
        "a file under `access/resources`; empty where no resource names it any more",
    ),
    ("state", "`scheduled`, `granting`, `active` or `revoking`"),
    ("status", "the HTTP status of the answer"),
    ("version", "the version of Hallpass"),
    (
        "wake",
        "`pull`, `main`, `all`, `deployments`, `members` or `remarks`",
    ),
];

const fn of(
    shape: Shape,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Described {
    Described {
        name,
        shape,
        labels,
        help,
    }
}

/// Every metric, in the order of the page that explains them.
pub const ALL: [Described; 31] = [
    of(
        Gauge,
        "hallpass_build",
        &["version"],
        "Always 1; the label says which version runs.",
    ),
    of(
        Gauge,
        "hallpass_store_up",
        &[],
        "Whether the database answered this scrape; while it is 0, everything that is read from it is missing.",
    ),
    of(
        Gauge,
        "hallpass_main_seen",
        &[],
        "Whether the protected branch was ever read; nothing is granted before.",
    ),
    of(
        Gauge,
        "hallpass_last_pass_seconds",
        &[],
        "How long ago the worker last looked at its queue.",
    ),
    of(
        Gauge,
        "hallpass_grants",
        &["connection", "state"],
        "Grants that are not over, by what becomes of them now.",
    ),
    of(
        Gauge,
        "hallpass_arrivals_waiting",
        &[],
        "Merged grants whose proof is not weighed yet.",
    ),
    of(
        Gauge,
        "hallpass_requests_waiting",
        &[],
        "Open pull requests that ask for access.",
    ),
    of(
        Gauge,
        "hallpass_removals_overdue",
        &["connection"],
        "Grants whose end has come and that may be held still.",
    ),
    of(
        Gauge,
        "hallpass_removal_overdue_seconds",
        &["connection"],
        "How long the oldest overdue removal is overdue.",
    ),
    of(
        Gauge,
        "hallpass_removals_held",
        &["from", "connection", "resource"],
        "Removals that the brake holds until two owners release them.",
    ),
    of(
        Gauge,
        "hallpass_drift",
        &["connection", "resource", "difference"],
        "Differences between a target system and the ledger, as last seen.",
    ),
    of(
        Gauge,
        "hallpass_emergencies_unreviewed",
        &[],
        "Grants given in an emergency that no owner has reviewed yet.",
    ),
    of(
        Gauge,
        "hallpass_deployments_waiting",
        &[],
        "Deployments that wait for an answer.",
    ),
    of(
        Gauge,
        "hallpass_evidence_waiting",
        &[],
        "Events that are not on the evidence branch yet.",
    ),
    of(
        Gauge,
        "hallpass_evidence_oldest_seconds",
        &[],
        "How long the oldest of them waits.",
    ),
    of(
        Gauge,
        "hallpass_anchor_overdue_seconds",
        &["place"],
        "How long an anchor of the evidence is overdue at a place outside.",
    ),
    of(
        Gauge,
        "hallpass_anchor_trouble",
        &["place"],
        "Whether a place outside lost or changed an anchor that was written there.",
    ),
    of(
        Gauge,
        "hallpass_safe_mode",
        &[],
        "Whether nothing is granted because something contradicts what was known.",
    ),
    of(
        Gauge,
        "hallpass_messages_waiting",
        &["channel"],
        "Messages that a channel has not taken yet.",
    ),
    of(
        Gauge,
        "hallpass_wakes_waiting",
        &[],
        "What is still to be looked at.",
    ),
    of(
        Histogram,
        "hallpass_decision_seconds",
        &[],
        "From the moment a look at a pull request is asked for until its check says what is decided.",
    ),
    of(
        Histogram,
        "hallpass_grant_seconds",
        &["connection"],
        "From the moment access should begin until it was given and read back.",
    ),
    of(
        Histogram,
        "hallpass_revoke_seconds",
        &["connection"],
        "From the moment access should end until it was taken and read back.",
    ),
    of(
        Histogram,
        "hallpass_provider_call_seconds",
        &["connection", "call"],
        "How long calls at target systems took.",
    ),
    of(
        Counter,
        "hallpass_provider_calls",
        &["connection", "call", "outcome"],
        "Calls at target systems: done, unavailable, refused, unknown-subject, or abandoned because no answer came.",
    ),
    of(
        Counter,
        "hallpass_wakes",
        &["wake", "outcome"],
        "Looks: done, or put off to be tried again.",
    ),
    of(
        Counter,
        "hallpass_webhooks",
        &["status"],
        "Webhooks, by how they were answered.",
    ),
    of(
        Counter,
        "hallpass_messages",
        &["channel", "outcome"],
        "Attempts to tell people: told, put-off to be tried again, sent-on to where everybody reads, or given-up.",
    ),
    of(
        Counter,
        "hallpass_forge_calls",
        &["outcome"],
        "Calls at the forge: ok, client-error, server-error, limited, or lost without an answer.",
    ),
    of(
        Gauge,
        "hallpass_forge_calls_remaining",
        &["installation", "limit"],
        "How many more calls the forge said it allows.",
    ),
    of(
        Counter,
        "hallpass_unproved_merges",
        &[],
        "Grants that were merged without proof and so were not given.",
    ),
];
