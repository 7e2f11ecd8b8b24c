//! The rules as a page for people: docs/rules.md, and the address of each rule on it.

use std::fmt::Write;

use super::{FoundIn, RULES, Rule, Warning};

/// Where the page of the released version is read. Each rule has its name as anchor.
const PAGE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/rules.md");

/// The page's chapters: the rule that each begins with, and its title. The table's order is the page's.
const CHAPTERS: &[(&str, &str)] = &[
    ("file-too-large", "Files that everybody reads alike"),
    ("missing-field", "What a file says"),
    ("bad-path", "Where files stand"),
    ("unknown-resource", "What a grant asks for"),
    ("term-too-long", "How long"),
    ("field-required", "What a role demands"),
    ("duplicate-grant", "Beside other grants"),
    ("renewal-changes-grant", "Renewals"),
    ("emergency-not-offered", "Emergencies"),
    ("review-schedule", "Access reviews"),
    (
        "duplicate-github-id",
        "People, service accounts and resources",
    ),
    ("owner-missing", "Who owns what: CODEOWNERS"),
    ("too-many-grants", "Pull requests"),
];

/// Where `rule` is explained: what every finding links to.
pub fn url(rule: &str) -> String {
    format!("{PAGE}#{rule}")
}

/// The rule of this name.
pub fn find(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

/// The whole page, as Markdown. Kept in the repository as docs/rules.md, which a test compares with this.
pub fn page() -> String {
    let mut page = String::from(
        "# Rules\n\n\
         <!-- Made from src/domain/rules/table.rs by `HALLPASS_BLESS=1 cargo test --test it documented` -->\n\n\
         Every finding of Hallpass names one of these rules and links here: the check of a pull request, `hallpass validate` in all its formats,\n\
         and the annotations beside the lines. `hallpass explain <rule>` says the same in a terminal.\n\n\
         A rule denies the request until what it found is settled, unless it says that it is a warning. Grants are judged by the people,\n\
         resources and CODEOWNERS of the branch that they are to be merged into, never by those of the pull request itself.\n",
    );
    for rule in RULES {
        if let Some((_, title)) = CHAPTERS.iter().find(|(first, _)| *first == rule.name) {
            // Writing to a string cannot fail.
            let _ = write!(page, "\n## {title}\n");
        }
        let Rule {
            name,
            meaning,
            example,
            remedy,
            found_in,
            warning,
        } = rule;
        let _ = write!(
            page,
            "\n### {name}\n\n{meaning}\n\n- Refused, for example: {example}\n- The way out: {remedy}\n"
        );
        if *found_in == FoundIn::Service {
            page.push_str("- Found by the service alone: a clone does not hold what it takes.\n");
        }
        page.push_str(match warning {
            None => "",
            Some(Warning::ForAPerson) => {
                "- As a warning, for a person to look at: no policy approves the file by itself.\n"
            }
            Some(Warning::InPassing) => {
                "- As a warning, told in passing: a policy may approve the file by itself all the same.\n"
            }
        });
    }
    page
}
