//! A lively sample: what an access repository looks like on a working day.
//!
//! Each line is somebody's request, and what others did about it; the service decides as always. What became of it is read back
//! before the sample counts as there.

use chrono::TimeDelta;

use super::acts::state;
use super::stage::{REPO, Stage};
use super::wait::{Missed, until};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::evidence::instant;
use crate::domain::model::PullNumber;
use crate::sandbox::{Change, Verdict};

/// A team whose members the identity provider decides from now on, so that GitHub refuses to change them.
const MANAGED: &str = "orders-support";

/// What a request comes to.
#[derive(Debug, Clone, Copy)]
enum Becomes {
    /// Its author is in this team.
    Live(&'static str),
    /// It is approved and merged, and begins later.
    Scheduled,
    /// Its check says so.
    Check(&'static str, &'static str),
}

/// When it begins or ends, in seconds from now.
#[derive(Debug, Clone, Copy)]
enum Term {
    /// As its file says.
    Said,
    ExpiresIn(i64),
    StartsIn(i64),
}

impl Term {
    /// The line that the file needs besides.
    fn line(self) -> String {
        let at = |seconds| instant(SystemClock.now() + TimeDelta::seconds(seconds));
        match self {
            Self::Said => String::new(),
            Self::ExpiresIn(seconds) => format!("expires: {}\n", at(seconds)),
            Self::StartsIn(seconds) => format!("starts: {}\n", at(seconds)),
        }
    }
}

/// A request.
struct Request {
    /// Below `access/grants/`, without `.yaml`.
    name: &'static str,
    title: &'static str,
    author: &'static str,
    text: &'static str,
    term: Term,
    /// Who approves it, with which words.
    approvals: &'static [(&'static str, &'static str)],
    becomes: Becomes,
}

/// Everything that is asked for; first what ends first.
const REQUESTS: &[Request] = &[
    // Its end is one that GitHub will refuse to bring about.
    Request {
        name: "orders/grace-sup-140",
        title: "Orders of one customer for grace",
        author: "grace",
        text: include_str!("sample/orders-grace-sup-140.yaml"),
        term: Term::ExpiresIn(90),
        approvals: &[("linus", "Fine.")],
        becomes: Becomes::Live(MANAGED),
    },
    Request {
        name: "orders/octocat-inc-4232",
        title: "Read access to orders for INC-4232",
        author: "octocat",
        text: include_str!("sample/orders-octocat-inc-4232.yaml"),
        term: Term::Said,
        approvals: &[("grace", "The incident is real.")],
        becomes: Becomes::Live("orders-ro"),
    },
    Request {
        name: "orders/ada-second-line",
        title: "Second-line support for ada",
        author: "ada",
        text: include_str!("sample/orders-ada-second-line.yaml"),
        term: Term::Said,
        approvals: &[("grace", "Agreed with the team.")],
        becomes: Becomes::Live("orders-support"),
    },
    Request {
        name: "on-call/octocat-this-week",
        title: "octocat is on call this week",
        author: "octocat",
        text: include_str!("sample/on-call-octocat-this-week.yaml"),
        term: Term::Said,
        approvals: &[("linus", "Agreed with the team.")],
        becomes: Becomes::Live("on-call"),
    },
    Request {
        name: "billing/linus-contract",
        title: "Billing for linus until the contract is renewed",
        author: "linus",
        text: include_str!("sample/billing-linus-contract.yaml"),
        term: Term::Said,
        approvals: &[("mei", "In the budget."), ("grace", "Please do.")],
        becomes: Becomes::Live("billing-admins"),
    },
    // Of low risk and for less than a day: a policy approves it.
    Request {
        name: "dashboards/mei-quarter",
        title: "Dashboards for mei",
        author: "mei",
        text: include_str!("sample/dashboards-mei-quarter.yaml"),
        term: Term::ExpiresIn(45 * 60),
        approvals: &[],
        becomes: Becomes::Live("dashboards"),
    },
    Request {
        name: "dashboards/ada-quick-look",
        title: "A quick look for ada",
        author: "ada",
        text: include_str!("sample/dashboards-ada-quick-look.yaml"),
        term: Term::ExpiresIn(5 * 60),
        approvals: &[],
        becomes: Becomes::Live("dashboards"),
    },
    Request {
        name: "on-call/mei-tomorrow",
        title: "mei is on call tomorrow",
        author: "mei",
        text: include_str!("sample/on-call-mei-tomorrow.yaml"),
        term: Term::StartsIn(18 * 3600),
        approvals: &[("linus", "Thank you.")],
        becomes: Becomes::Scheduled,
    },
    Request {
        name: "billing/ada-refunds",
        title: "Billing for ada until the refunds are paid",
        author: "ada",
        text: include_str!("sample/billing-ada-refunds.yaml"),
        term: Term::Said,
        approvals: &[],
        becomes: Becomes::Check("in_progress", "Waiting for"),
    },
    Request {
        name: "orders/ada-inc-4240",
        title: "Read access to orders for INC-4240",
        author: "ada",
        text: include_str!("sample/orders-ada-inc-4240.yaml"),
        term: Term::Said,
        approvals: &[],
        becomes: Becomes::Check("in_progress", "Waiting for"),
    },
    Request {
        name: "on-call/grace-weekend",
        title: "grace is on call at the weekend",
        author: "grace",
        text: include_str!("sample/on-call-grace-weekend.yaml"),
        term: Term::Said,
        approvals: &[],
        becomes: Becomes::Check("in_progress", "Waiting for"),
    },
    Request {
        name: "orders/mei-export",
        title: "All orders for mei",
        author: "mei",
        text: include_str!("sample/orders-mei-export.yaml"),
        term: Term::Said,
        approvals: &[],
        becomes: Becomes::Check("failure", "Denied"),
    },
    // Given before anybody approved it; waits for its signature.
    Request {
        name: "orders/octocat-inc-4241",
        title: "Emergency: orders for INC-4241",
        author: "octocat",
        text: include_str!("sample/orders-octocat-inc-4241.yaml"),
        term: Term::Said,
        approvals: &[],
        becomes: Becomes::Live("orders-admin"),
    },
];

impl Stage {
    /// Lets everybody ask, decide and act, and waits until all of it became what it should.
    pub async fn enliven(&self) -> anyhow::Result<()> {
        // Not asked for by anybody here: somebody helped out by hand.
        self.sandbox.join_team("mei", "orders-migrator");
        let mut asked = Vec::new();
        for request in REQUESTS {
            asked.push((request, self.ask(request)?));
        }
        for (request, pull) in &asked {
            self.became(request, *pull).await?;
        }
        self.sandbox.manage(MANAGED);
        Ok(())
    }

    /// Opens a pull request, and has it approved.
    fn ask(&self, request: &Request) -> anyhow::Result<PullNumber> {
        let (author, branch) = (request.author, request.name.replace('/', "-"));
        let path = format!("access/grants/{}.yaml", request.name);
        let text = format!("{}{}", request.text, request.term.line());
        let change = Change::write(path, text);
        let sandbox = &self.sandbox;
        sandbox.push(author, REPO, &branch, &[change], request.title)?;
        let pull = sandbox.open_pull(author, REPO, &branch, "main", request.title, "")?;
        for (owner, words) in request.approvals {
            sandbox.review(owner, REPO, pull, Verdict::Approve, words)?;
        }
        Ok(pull)
    }

    async fn became(&self, request: &Request, pull: PullNumber) -> Result<(), Missed> {
        let (author, becomes) = (request.author, request.becomes);
        let expected = format!("#{pull} {}: {becomes:?}", request.title);
        until(&expected, || {
            let check = self.check(pull);
            let there = match becomes {
                Becomes::Live(team) => self.members(team).iter().any(|login| login == author),
                Becomes::Scheduled => self.sandbox.pull(REPO, pull).merged.is_some(),
                Becomes::Check(wanted, title) => check
                    .as_ref()
                    .is_some_and(|check| state(check) == wanted && check.title.starts_with(title)),
            };
            there.then_some(()).ok_or_else(|| match &check {
                Some(check) => format!("the check: {}, {}", state(check), check.title),
                None => "no check".to_owned(),
            })
        })
        .await
    }
}
