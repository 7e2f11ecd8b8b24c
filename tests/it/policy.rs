//! The organisation's policies: how they are read, what they say, and what becomes of a request because of it.

mod answers;
mod cases;
pub mod ceremony;
mod files;
mod life;
mod listing;
mod requests;
mod seasons;
mod warnings;

use hallpass::domain::catalogue::Catalogue;
use hallpass::domain::finding::Finding;
use hallpass::domain::model::{ResourceName, RoleName};
use hallpass::domain::policy::{
    Action, Answer, Circumstances, Principal, Question, Somebody, Wanted,
};

use crate::text::{GRANT, PATH, catalogue, findings, now};

/// The path of the policy file of most tests.
pub const FILE: &str = "access/policies/guardrails.cedar";

/// What permits everything, so that others can forbid.
pub const BASELINE: &str = "@id(\"baseline\")\npermit (principal, action, resource);\n";

/// A policy that forbids under `condition`.
pub fn forbid(id: &str, condition: &str) -> String {
    format!(
        "@id(\"{id}\")\n@message(\"{id} says no.\")\nforbid (principal, action, resource)\nwhen {{ {condition} }};\n"
    )
}

/// The world of the text tests with one policy file.
pub fn tree(policies: &str) -> Catalogue {
    catalogue(&[(FILE, policies)])
}

/// `line:column rule` of what is wrong with a policy file in that world.
pub fn wrong(policies: &str) -> Vec<String> {
    let found = findings(&[(FILE, policies)]);
    assert!(found.iter().all(|f| f.path == FILE), "{found:?}");
    let told = |f: &Finding| format!("{}:{} {}", f.line, f.column, f.rule);
    found.iter().map(told).collect()
}

/// Ada asks for orders/readonly for two hours at noon of a monday, differing as `change` says.
pub fn question(tree: &Catalogue, change: impl FnOnce(&mut Question)) -> Question {
    let asked = catalogue(&[(PATH, GRANT)]);
    let grant = &asked.grants.values().next().unwrap().grant;
    let ada = tree.people.values().next().unwrap();
    let resource = &tree.resources[&ResourceName::new("orders").unwrap()];
    let mut question = Question {
        action: Action::Request,
        principal: Principal::Person(Somebody {
            id: "ada".to_owned(),
            login: ada.login.clone(),
            github_id: ada.github_id,
            attributes: ada.attributes.clone(),
            teams: Default::default(),
        }),
        wanted: Wanted::of(resource, &RoleName::new("readonly").unwrap()).unwrap(),
        circumstances: Circumstances::of(grant, now()),
    };
    change(&mut question);
    question
}

/// What the policies of `tree` say to that question.
pub fn ask(tree: &Catalogue, change: impl FnOnce(&mut Question)) -> Answer {
    tree.policies.ask(&question(tree, change))
}

/// Fails when a file that is written from the program says something else; writes it where `HALLPASS_BLESS` is set.
pub fn current(path: &str, text: &str) {
    #[expect(clippy::disallowed_methods, reason = "tests are told so")]
    let bless = std::env::var("HALLPASS_BLESS").is_ok_and(|v| v == "1");
    if bless {
        std::fs::write(path, text).unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        published == text,
        "{path} is stale: HALLPASS_BLESS=1 cargo test --test it -- policy writes it"
    );
}
