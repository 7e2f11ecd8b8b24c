//! Pages that list: what is live, what waits, what ended, what is found, what can be asked for.

use askama::Template;

use super::super::super::catalogue::Catalogue;
use super::super::super::drift::Known;
use super::super::super::ledger::Entry;
use super::super::super::model::{Instant, Login, PullNumber, Resource, RoleRef, Subject};
use super::super::human::visible;
use super::Frame;
use super::offers::{Offered, offered};
use super::rows::{Row, resource_href, subject_href};

/// What needs somebody to act.
#[derive(Debug, Clone, Copy)]
pub struct Trouble<'a> {
    /// Perhaps held although it is over.
    pub overdue: &'a [Entry],
    /// Begun, and not known to be done.
    pub unsettled: &'a [Entry],
    /// How target systems differ from the ledger.
    pub drift: &'a [Known],
    /// Given in an emergency, and reviewed by nobody.
    pub unreviewed: &'a [Entry],
    /// Removals that are held back: what, and the pull request in which owners are asked.
    pub held: &'a [(String, Option<PullNumber>)],
}

impl Trouble<'_> {
    fn is_empty(&self) -> bool {
        self.count() == 0
    }

    fn count(&self) -> usize {
        self.overdue.len()
            + self.unsettled.len()
            + self.drift.len()
            + self.unreviewed.len()
            + self.held.len()
    }
}

/// An open pull request, as the page shows it.
#[derive(Debug, Clone)]
pub struct Asking {
    /// Which.
    pub pull: PullNumber,
    /// Who opened it.
    pub author: Option<Login>,
    /// What is to become of it, in a word.
    pub outcome: String,
    /// Whom it waits for.
    pub says: String,
    /// Since when.
    pub since: Instant,
    /// For whom, and which roles.
    pub asks: Vec<(Subject, RoleRef)>,
}

/// One ask in a row.
struct AskedFor {
    who: String,
    who_href: String,
    role: String,
    role_href: String,
}

impl Asking {
    fn class(&self) -> &'static str {
        match self.outcome.as_str() {
            "denied" => "bad",
            "approved" => "good",
            "uncertain" => "warn",
            _ => "none",
        }
    }

    fn word(&self) -> &str {
        match self.outcome.as_str() {
            "denied" => "denied as it is",
            "approved" => "approved",
            "uncertain" => "cannot tell yet",
            _ => "waiting",
        }
    }

    fn number(&self) -> u64 {
        self.pull.0
    }

    fn rows(&self) -> Vec<AskedFor> {
        let one = |(who, role): &(Subject, RoleRef)| AskedFor {
            who: who.to_string(),
            who_href: subject_href(who),
            role: role.to_string(),
            role_href: resource_href(role),
        };
        self.asks.iter().map(one).collect()
    }
}

/// A difference, as a row.
struct Differs {
    account: String,
    clause: &'static str,
    what: String,
    connection: String,
    roles: Vec<(String, String)>,
    since: Instant,
}

impl Differs {
    fn of(known: &Known) -> Self {
        let drift = &known.drift;
        Self {
            account: visible(&drift.account),
            clause: drift.difference.clause(),
            what: visible(&drift.entitlement),
            connection: drift.connection.to_string(),
            roles: drift
                .roles
                .iter()
                .map(|role| (role.to_string(), resource_href(role)))
                .collect(),
            since: known.first_seen,
        }
    }
}

/// The first page.
#[derive(Debug, Clone, Copy)]
pub struct Overview<'a> {
    /// What needs somebody to act.
    pub trouble: Trouble<'a>,
    /// What ends next.
    pub live: &'a [Entry],
    /// How many are live in all, and of these the ones that have not begun.
    pub count: (u64, u64),
    /// What waits.
    pub waiting: &'a [Asking],
    /// What ended last.
    pub over: &'a [Entry],
}

#[derive(Template)]
#[template(path = "overview.html", config = "src/domain/render/page/askama.toml")]
struct OverviewPage<'a> {
    frame: Frame<'a>,
    here: &'static str,
    trouble: Trouble<'a>,
    overdue: Vec<Row>,
    unsettled: Vec<Row>,
    unreviewed: Vec<Row>,
    drift: Vec<Differs>,
    live: Vec<Row>,
    count: u64,
    held: u64,
    scheduled: u64,
    waiting: &'a [Asking],
    over: Vec<Row>,
}

/// The first page.
///
/// # Errors
/// None that could be met: templates fail where what they show does, and text does not.
pub fn overview(frame: Frame<'_>, of: Overview<'_>) -> Result<String, askama::Error> {
    let rows = |entries| Row::all(entries, frame.now);
    OverviewPage {
        here: "now",
        trouble: of.trouble,
        overdue: rows(of.trouble.overdue),
        unsettled: rows(of.trouble.unsettled),
        unreviewed: rows(of.trouble.unreviewed),
        drift: of.trouble.drift.iter().map(Differs::of).collect(),
        live: rows(of.live),
        count: of.count.0,
        held: of.count.0.saturating_sub(of.count.1),
        scheduled: of.count.1,
        waiting: of.waiting,
        over: rows(of.over),
        frame,
    }
    .render()
}

/// A list of grants, or the page of a person, a service or a resource.
#[derive(Debug, Clone, Copy, Default)]
pub struct Listing<'a> {
    /// Which part of the navigation it belongs to.
    pub here: &'static str,
    /// Its heading.
    pub title: &'a str,
    /// What is said below that. Untrusted.
    pub about: Option<&'a str>,
    /// What can be asked for there.
    pub resource: Option<&'a Resource>,
    /// What is live.
    pub live: &'a [Entry],
    /// What waits.
    pub waiting: &'a [Asking],
    /// What is over.
    pub over: &'a [Entry],
    /// What is shown in any case, though there be nothing of it.
    pub empty: &'a str,
    /// Where the next grants are.
    pub next: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "listing.html", config = "src/domain/render/page/askama.toml")]
struct ListingPage<'a> {
    frame: Frame<'a>,
    here: &'static str,
    of: Listing<'a>,
    offers: Vec<Offered>,
    live: Vec<Row>,
    over: Vec<Row>,
}

/// A list of grants.
///
/// # Errors
/// As [`overview`].
pub fn listing(frame: Frame<'_>, of: Listing<'_>) -> Result<String, askama::Error> {
    let offers = of.resource.map(|r| offered(&frame, r)).unwrap_or_default();
    ListingPage {
        here: of.here,
        offers,
        live: Row::all(of.live, frame.now),
        over: Row::all(of.over, frame.now),
        of,
        frame,
    }
    .render()
}

#[derive(Template)]
#[template(path = "waiting.html", config = "src/domain/render/page/askama.toml")]
struct WaitingPage<'a> {
    frame: Frame<'a>,
    here: &'static str,
    waiting: &'a [Asking],
    next: Option<&'a str>,
}

/// Every open pull request.
///
/// # Errors
/// As [`overview`].
pub fn waiting(
    frame: Frame<'_>,
    waiting: &[Asking],
    next: Option<&str>,
) -> Result<String, askama::Error> {
    WaitingPage {
        here: "waiting",
        waiting,
        next,
        frame,
    }
    .render()
}

/// What was looked for, and found.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// What was typed. Untrusted.
    pub words: &'a str,
    /// Grants.
    pub found: &'a [Entry],
    /// How many are shown at most.
    pub most: usize,
    /// What the protected branch declares, where it was read.
    pub declared: Option<&'a Catalogue>,
}

#[derive(Template)]
#[template(path = "search.html", config = "src/domain/render/page/askama.toml")]
struct SearchPage<'a> {
    frame: Frame<'a>,
    here: &'static str,
    words: String,
    asked: bool,
    rows: Vec<Row>,
    more: bool,
    resources: Vec<(String, String, String)>,
    people: Vec<(String, String)>,
}

/// How many people and resources are offered by their names.
const NAMED: usize = 20;

/// What was found.
///
/// # Errors
/// As [`overview`].
pub fn search(frame: Frame<'_>, of: Search<'_>) -> Result<String, askama::Error> {
    let word = of.words.trim().trim_start_matches('@').to_ascii_lowercase();
    let asked = !word.is_empty();
    let (mut resources, mut people) = (Vec::new(), Vec::new());
    if let Some(declared) = of.declared.filter(|_| asked) {
        let hits = declared.resources.values().filter(|r| {
            r.name.as_str().contains(&word) || r.description.to_lowercase().contains(&word)
        });
        let one = |r: &Resource| {
            let href = format!("/resource/{}", r.name);
            (r.name.to_string(), href, visible(&r.description))
        };
        resources.extend(hits.take(NAMED).map(one));
        let logins = declared.people.keys().cloned().map(Subject::Person);
        let services = declared.services.keys().cloned().map(Subject::Service);
        let hits = logins.chain(services).filter(|s| match s {
            Subject::Person(login) => login.as_str().contains(&word),
            Subject::Service(name) => name.as_str().contains(&word),
        });
        people.extend(hits.take(NAMED).map(|s| (s.to_string(), subject_href(&s))));
    }
    SearchPage {
        here: "search",
        words: visible(of.words),
        asked,
        more: of.found.len() >= of.most,
        rows: Row::all(of.found, frame.now),
        resources,
        people,
        frame,
    }
    .render()
}
