//! The issue that tells how a target system differs from what was approved, and the two ways out.

use super::super::catalogue::Catalogue;
use super::super::drift::{Difference, Known};
use super::super::evidence::instant;
use super::super::model::{DriftMode, ResourceName, Subject};
use super::markdown::code;
use super::notice::Pages;

/// The title.
pub fn drift_title(resource: &ResourceName) -> String {
    format!("Drift: access to {resource} that differs from what was approved")
}

/// The text. Without differences: that it is over.
pub fn drift(
    pages: &Pages,
    tree: &Catalogue,
    resource: &ResourceName,
    drifted: &[Known],
) -> String {
    if drifted.is_empty() {
        return format!(
            "Access to {} is as approved again.\n",
            code(resource.as_str())
        );
    }
    let mut out = format!(
        "Who really has access to {} differs from what was approved here.\n\n\
         | account | has | since at least | what is the matter |\n|---|---|---|---|\n",
        code(resource.as_str())
    );
    for known in drifted {
        let drift = &known.drift;
        let roles = drift.roles.iter().map(|r| code(&r.to_string()));
        out.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            code(&drift.account),
            roles.collect::<Vec<_>>().join(", "),
            instant(known.first_seen),
            drift.difference.clause(),
        ));
    }
    let any = |difference| drifted.iter().any(|k| k.drift.difference == difference);
    if any(Difference::GivenOutside) {
        out.push_str(&outside(pages, tree, resource, drifted));
    }
    if any(Difference::RemovedOutside)
        || any(Difference::SubjectVanished)
        || any(Difference::AccountRecreated)
    {
        out.push_str(
            "\n**What was approved and is not there** is not given again by itself: whoever took it away may have had a reason. \
             *To have it again*, delete the grant's file by a pull request, and ask anew. *To leave it so*, delete the file: it is \
             over then in the records too.\n",
        );
    }
    out.push_str("\nThis issue is kept up to date and closed by Hallpass. It decides nothing.\n");
    out
}

fn outside(pages: &Pages, tree: &Catalogue, resource: &ResourceName, drifted: &[Known]) -> String {
    let mut out = String::from(
        "\n**What was given outside** has two ways out.\n\n*To keep it, for a time,* somebody asks for it as usual, and an owner approves",
    );
    let asks: Vec<String> = drifted
        .iter()
        .filter(|k| k.drift.difference == Difference::GivenOutside)
        .filter_map(|k| ask(pages, tree, resource, k))
        .collect();
    if asks.is_empty() {
        out.push_str(": a new file under ");
        out.push_str(&code(&format!("access/grants/{resource}/")));
        out.push_str(
            ". Nobody under `access/people/` is known by these accounts yet, so that comes first.",
        );
    } else {
        out.push_str(":\n\n");
        out.push_str(&asks.concat());
    }
    let enforced = tree
        .resources
        .get(resource)
        .is_some_and(|r| r.drift == DriftMode::Enforce);
    out.push_str(match enforced {
        true => "\n\n*Otherwise* Hallpass takes it away, since this resource says `drift: enforce`; it still stands here because that failed, or because it is too much at once to be believed.",
        false => "\n\n*To end it,* take it away where it was given. With `drift: enforce` in the resource's file Hallpass does that by itself.",
    });
    out.push_str("\n\n`adopt: true` in a request takes the access over: from the merge on it is the grant's, and ends with it. Without, the request waits until the access was taken away by hand.\n");
    out
}

/// A link to a prefilled request of whoever has the account, if somebody is known by it.
fn ask(pages: &Pages, tree: &Catalogue, resource: &ResourceName, known: &Known) -> Option<String> {
    let drift = &known.drift;
    let subject = tree.holder_of(&drift.connection, &drift.account)?;
    let role = drift.roles.iter().find(|r| r.resource == *resource)?;
    let (key, name) = match &subject {
        Subject::Person(login) => ("person", login.as_str()),
        Subject::Service(name) => ("service", name.as_str()),
    };
    let text = format!(
        "{key}: {name}\nrole: {}\nduration: 8h\nadopt: true\nreason: \n",
        role.role
    );
    let path = format!("access/grants/{resource}/{name}-{}.yaml", role.role);
    let link = pages.new_file(&path, &text);
    Some(format!(
        "- [{} for {}]({link})\n",
        code(&role.to_string()),
        code(name)
    ))
}
