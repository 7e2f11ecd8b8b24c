//! A base with people, services and resources, and pull requests against it.

use hallpass::domain::decision::{Request, Verdict, decide};
use hallpass::domain::ledger::Holding;
use hallpass::domain::model::{GrantPath, PullNumber, RoleRef, Subject};
use hallpass::domain::parse::read_tree;
use hallpass::domain::pull::{Lookup, PullState};

use crate::approval::scene::{FILE, PEOPLE, Scene, actor, at, commit, file, login};

/// CODEOWNERS of the base.
pub const OWNERS: &str =
    "* @acme/security\n/access/grants/orders/ @acme/dba\n/access/grants/ledger/ @judy\n";

/// What octocat asks for.
pub const WANTED: &str = "person: octocat\nrole: readonly\nduration: 2h\nreason: Checkout fails for some customers since 11:05; need to read the orders table.\nticket: INC-4211\nrisk: Reads personal data; writes nothing.\n";

/// What a request for the service says.
pub const FOR_SERVICE: &str = "service: deploy-bot\nrole: readonly\nexpires: 2026-11-24T18:00:00Z\nreason: Backfill of shipping dates\n";

const ORDERS: &str = "description: Orders database, production
risk: critical
provider: orders-primary
roles:
  readonly:
    description: SELECT on every table
    entitlement: { role: orders_ro }
    max_duration: 8h
    approvals: 1
  admin:
    description: Schema changes
    entitlement: { role: orders_admin }
    max_duration: 2h
    approvals: 2
    rationale: required
";

/// The resource of the base, for tests that change it.
pub const ORDERS_FILE: &str = "access/resources/orders.yaml";

/// octocat's pull request 12 against a base with all of [`PEOPLE`]; nothing is changed yet.
pub fn office() -> Scene {
    let mut files = vec![
        file(".github/CODEOWNERS", OWNERS),
        file(ORDERS_FILE, ORDERS),
        file(
            "access/resources/ledger.yaml",
            &ORDERS
                .replace("orders", "ledger")
                .replace("Orders", "Ledger"),
        ),
        file(
            "access/services/deploy-bot.yaml",
            "description: Rolls out releases\nowner: heidi\nidentities:\n  orders-primary: deploy\n",
        ),
    ];
    for name in &PEOPLE[1..] {
        let id = actor(name).id;
        files.push(file(
            &format!("access/people/{name}.yaml"),
            &format!(
                "github_id: {id}\nname: {} Example\nidentities:\n  orders-primary: {name}_db\n",
                capital(name)
            ),
        ));
    }
    let mut scene = Scene::new();
    scene.base = read_tree(&files);
    assert!(scene.base.findings.is_empty(), "{:?}", scene.base.findings);
    scene.changes.clear();
    scene.reviewed.clear();
    scene.person("judy", true);
    scene
}

/// [`office`] with octocat's request.
pub fn request() -> Scene {
    let mut scene = office();
    scene.adds(FILE, WANTED);
    scene
}

/// The base declares this grant as well.
pub fn standing(scene: &mut Scene, path: &str, content: &str) {
    let tree = read_tree(&[file(path, content)]);
    assert!(tree.findings.is_empty(), "{:?}", tree.findings);
    scene.base.grants.extend(tree.grants);
}

/// By the ledger, somebody holds this for some minutes.
pub fn holds(scene: &mut Scene, who: &str, resource: &str, role: &str, minutes: i64) {
    let path =
        GrantPath::new(format!("access/grants/{resource}/{who}-{role}.yaml")).expect("a path");
    scene.holdings.push(Holding {
        id: path.id(&commit("earlier merge")),
        subject: Subject::Person(login(who)),
        role: RoleRef::try_from(format!("{resource}/{role}")).expect("a role"),
        access_key: String::new(),
        starts: at(-60),
        ends: at(minutes),
        since: Some(at(-60)),
        path,
    });
}

/// The pull request was merged by grace at noon, whatever the time is now.
pub fn merged(scene: &mut Scene) {
    scene.pull.state = PullState::Merged {
        commit: commit("merge"),
        at: at(0),
        by: Some(actor("grace")),
    };
}

/// A team that cannot be looked up.
pub fn failed(scene: &mut Scene, slug: &str) {
    *scene.team(slug) = Lookup::Failed("GitHub answered 502".to_owned());
}

/// The verdict on the scene.
pub fn verdict(scene: &Scene) -> Verdict {
    let verdict = decide(&scene.case());
    assert_eq!(verdict.pull, PullNumber(12));
    assert_eq!(verdict.head, commit("head"));
    verdict
}

/// The only request.
pub fn only(verdict: &Verdict) -> &Request {
    let [one] = verdict.requests.as_slice() else {
        panic!("one request: {:?}", verdict.requests);
    };
    one
}

/// The rules that deny.
pub fn rules(verdict: &Verdict) -> Vec<&'static str> {
    verdict.errors().map(|f| f.rule).collect()
}

fn capital(name: &str) -> String {
    name[..1].to_ascii_uppercase() + &name[1..]
}
