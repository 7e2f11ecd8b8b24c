//! The rules of a branch, as GitHub enforces them. Hallpass decides by itself whatever they are; they keep a mistake from being merged
//! at all, and nobody but Hallpass from saying that it agreed.

use super::{Area, Line};

/// A rule that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Changes come by pull requests.
    PullRequest {
        /// How many approvals they need.
        approvals: u32,
        /// Whether owners of every changed path must have approved.
        code_owners: bool,
    },
    /// A check must have passed: its name, and the App that must have said so.
    Check {
        /// Its name.
        name: String,
        /// The App; `None`: anybody who can write.
        app: Option<u64>,
    },
    /// History is not rewritten.
    NoForcePush,
    /// The branch stays.
    NoDeletion,
    /// Nobody pushes but who may pass by the rules.
    NoUpdate,
}

/// Who may pass by the rules of a ruleset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bypass {
    /// What kind of actor, in GitHub's word: `Integration`, `OrganizationAdmin`, `RepositoryRole`, `Team`.
    pub kind: String,
    /// Its number, where it has one.
    pub id: Option<u64>,
    /// When.
    pub mode: BypassMode,
}

/// When somebody may pass by the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BypassMode {
    /// At any time, or without even being asked.
    Always,
    /// In pull requests only.
    PullRequests,
}

/// A set of rules, and who may pass by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruleset {
    /// Its name.
    pub name: String,
    /// Who may pass by it; `None` where GitHub does not tell us.
    pub bypass: Option<Vec<Bypass>>,
    /// Whether Hallpass may; `None` where GitHub does not tell us.
    pub ours: Option<bool>,
}

/// A branch with the rules that are in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its name.
    pub name: String,
    /// The rules, of all rulesets together.
    pub rules: Vec<Rule>,
    /// The rulesets that they come from.
    pub rulesets: Vec<Ruleset>,
}

/// A ruleset as Hallpass needs it: what is looked for in a repository, and what is written for one that is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// The branches that it is for.
    pub branches: Vec<String>,
    /// The rules.
    pub rules: Vec<Rule>,
    /// Who may pass by them.
    pub bypass: Vec<Bypass>,
}

impl Wanted {
    /// The rules of the branch whose files are the grants. `app` is the App's number, `check` the name of its check.
    pub fn of_protected(branch: &str, app: u64, check: &str, tidying: Tidying) -> Self {
        Self {
            name: format!("Hallpass: {branch}"),
            branches: vec![branch.to_owned()],
            rules: vec![
                Rule::PullRequest {
                    approvals: 1,
                    code_owners: true,
                },
                Rule::Check {
                    name: check.to_owned(),
                    app: Some(app),
                },
                Rule::NoForcePush,
                Rule::NoDeletion,
            ],
            bypass: match tidying {
                Tidying::ByUs => vec![Bypass::always(app)],
                Tidying::ByPeople => Vec::new(),
            },
        }
    }

    /// The rules of the branches that only Hallpass writes to.
    pub fn of_evidence(branches: &[&str], app: u64) -> Self {
        Self {
            name: "Hallpass: evidence".to_owned(),
            branches: branches.iter().map(ToString::to_string).collect(),
            rules: vec![Rule::NoUpdate, Rule::NoForcePush, Rule::NoDeletion],
            bypass: vec![Bypass::always(app)],
        }
    }
}

impl Bypass {
    /// The App, at any time.
    fn always(app: u64) -> Self {
        Self {
            kind: INTEGRATION.to_owned(),
            id: Some(app),
            mode: BypassMode::Always,
        }
    }
}

/// GitHub's word for an App on a bypass list.
const INTEGRATION: &str = "Integration";

/// Who merges the pull requests that remove the files of ended grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tidying {
    /// Hallpass.
    ByUs,
    /// People.
    ByPeople,
}

const WHERE: &str = "in Settings > Rules > Rulesets";

/// The rules of the branch whose files are the grants. `app` is the App's number, `check` the name of its check.
pub fn protected(branch: &Branch, app: u64, check: &str, tidying: Tidying) -> Vec<Line> {
    let name = &branch.name;
    let wanted = Wanted::of_protected(name, app, check, tidying);
    let rules = wanted.rules.iter();
    let mut lines: Vec<Line> = rules.filter_map(|rule| demanded(rule, branch)).collect();
    lines.extend(history(branch, &wanted));
    if !wanted.bypass.is_empty() {
        lines.push(ours(
            branch,
            &format!(
                "the pull requests that tidy `{name}` need no owner's review when Hallpass merges them"
            ),
            &format!(
                "Add the App to the bypass list of the ruleset of `{name}` {WHERE}, or set `[github] merge_reverts = false`."
            ),
        ));
    }
    lines.extend(others(branch, app));
    lines
}

/// The rules of the branch that evidence is written to.
pub fn evidence(branch: &Branch, app: u64) -> Vec<Line> {
    let wanted = Wanted::of_evidence(&[&branch.name], app);
    let mut lines = history(branch, &wanted);
    let rules = wanted.rules.iter();
    lines.extend(rules.filter_map(|rule| demanded(rule, branch)));
    lines.extend(others(branch, app));
    lines
}

/// Whether a rule that is wanted is in force. Those that keep what was written are told of together, by [`history`].
fn demanded(rule: &Rule, branch: &Branch) -> Option<Line> {
    match rule {
        Rule::PullRequest { .. } => Some(reviews(branch, rule)),
        Rule::Check { name, app } => app.map(|app| pinned(branch, app, name)),
        Rule::NoUpdate => Some(closed(branch)),
        Rule::NoForcePush | Rule::NoDeletion => None,
    }
}

fn closed(branch: &Branch) -> Line {
    let name = &branch.name;
    if branch.rules.contains(&Rule::NoUpdate) {
        return ours(
            branch,
            &format!("nobody but Hallpass pushes to `{name}`"),
            &format!(
                "Add the App to the bypass list of the ruleset of `{name}` {WHERE}: it cannot write evidence."
            ),
        );
    }
    Line::warning(
        Area::Branches,
        format!(
            "everybody who can write may push to `{name}`; what they push is found, and is in the way"
        ),
        format!("Restrict updates of `{name}` {WHERE}, with the App alone on its bypass list."),
    )
}

fn reviews(branch: &Branch, wanted: &Rule) -> Line {
    let name = &branch.name;
    let asks = |rule: &Rule| match rule {
        Rule::PullRequest {
            approvals,
            code_owners,
        } => Some((*approvals, *code_owners)),
        _ => None,
    };
    // `false` comes before `true`.
    let enough = |(approvals, owners)| {
        asks(wanted).is_none_or(|(least, by_owners)| approvals >= least && owners >= by_owners)
    };
    match branch.rules.iter().find_map(asks) {
        Some(found) if enough(found) => Line::pass(
            Area::Branches,
            format!("changes of `{name}` need the review of code owners"),
        ),
        Some(_) => Line::failure(
            Area::Branches,
            format!("pull requests to `{name}` can be merged without the review of code owners"),
            format!(
                "Require one approval and the review of code owners for `{name}` {WHERE}: Hallpass gives nothing without them, but it is merged."
            ),
        ),
        None => Line::failure(
            Area::Branches,
            format!("`{name}` can be pushed to without a pull request"),
            format!(
                "Require pull requests with one approval and the review of code owners for `{name}` {WHERE}. (A classic branch protection cannot be read by Hallpass.)"
            ),
        ),
    }
}

fn pinned(branch: &Branch, app: u64, check: &str) -> Line {
    let name = &branch.name;
    let by = branch.rules.iter().filter_map(|rule| match rule {
        Rule::Check { name, app } if name == check => Some(*app),
        _ => None,
    });
    let by: Vec<Option<u64>> = by.collect();
    if by.contains(&Some(app)) {
        return Line::pass(
            Area::Branches,
            format!("the check `{check}` is required for `{name}`, and only the App can pass it"),
        );
    }
    let says = match by.as_slice() {
        [] => format!("the check `{check}` is not required for `{name}`"),
        [Some(other), ..] => {
            format!(
                "the check `{check}` of `{name}` is expected from App {other}, not from App {app}"
            )
        }
        [None, ..] => {
            format!(
                "the check `{check}` is required for `{name}`, but everybody who can write may pass it"
            )
        }
    };
    Line::failure(
        Area::Branches,
        says,
        format!(
            "Require the check `{check}` for `{name}` {WHERE}, and choose the App as its source."
        ),
    )
}

/// That what was merged, or written down, stays.
fn history(branch: &Branch, wanted: &Wanted) -> Vec<Line> {
    let name = &branch.name;
    let missing = wanted.rules.iter().filter(|r| !branch.rules.contains(r));
    let open: Vec<&str> = missing
        .filter_map(|rule| match rule {
            Rule::NoForcePush => Some("be rewritten by a force-push"),
            Rule::NoDeletion => Some("be deleted"),
            Rule::PullRequest { .. } | Rule::Check { .. } | Rule::NoUpdate => None,
        })
        .collect();
    vec![match open.as_slice() {
        [] => Line::pass(
            Area::Branches,
            format!("`{name}` can neither be rewritten nor deleted"),
        ),
        open => Line::failure(
            Area::Branches,
            format!("`{name}` can {}", open.join(" and ")),
            format!("Block force pushes and restrict deletions of `{name}` {WHERE}."),
        ),
    }]
}

fn ours(branch: &Branch, says: &str, remedy: &str) -> Line {
    let may: Vec<Option<bool>> = branch.rulesets.iter().map(|set| set.ours).collect();
    if may.contains(&Some(false)) {
        return Line::failure(Area::Branches, format!("not so: {says}"), remedy);
    }
    if may.contains(&None) {
        return Line::unknown(
            Area::Branches,
            format!("GitHub does not tell whether {says}"),
            format!("See for yourself. {remedy}"),
        );
    }
    Line::pass(Area::Branches, says)
}

/// Who else passes by the rules.
fn others(branch: &Branch, app: u64) -> Vec<Line> {
    let foreign = |set: &Ruleset| -> Vec<String> {
        let bypass = set.bypass.iter().flatten();
        let bypass = bypass.filter(|b| !(b.kind == INTEGRATION && b.id == Some(app)));
        bypass
            .map(|b| {
                let id = b.id.map(|id| format!(" {id}")).unwrap_or_default();
                let mode = match b.mode {
                    BypassMode::Always => "",
                    BypassMode::PullRequests => " (in pull requests)",
                };
                format!("{}{id}{mode}", b.kind)
            })
            .collect()
    };
    let sets = branch.rulesets.iter().map(|set| (set, foreign(set)));
    sets.filter(|(_, foreign)| !foreign.is_empty())
        .map(|(set, foreign)| {
            Line::warning(
                Area::Branches,
                format!(
                    "may pass by the ruleset {:?} of `{}`: {}",
                    set.name,
                    branch.name,
                    foreign.join(", ")
                ),
                "Take off the list who is not needed there; what is merged that way is not granted, and is reported.",
            )
        })
        .collect()
}
