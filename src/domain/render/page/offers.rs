//! What can be asked for, with links that open the forge with the request filled in.

use askama::Template;

use super::super::super::catalogue::Catalogue;
use super::super::super::model::{Field, Login, Resource, Role, RoleRef, Subject};
use super::super::super::report::{self, Pages};
use super::rows::encoded;
use super::{Frame, visible};

/// A role that can be asked for.
pub(super) struct Offered {
    pub role: String,
    pub description: String,
    pub longest: String,
    pub approvals: u32,
    pub needs: &'static str,
    pub ask: String,
}

/// A resource with its roles.
struct OfferedBy {
    name: String,
    href: String,
    description: String,
    risk: String,
    roles: Vec<Offered>,
}

pub(super) fn offered(frame: &Frame<'_>, resource: &Resource) -> Vec<Offered> {
    let subject = Subject::Person(frame.viewer.clone());
    let one = |(name, role): (&_, &Role)| {
        let reference = RoleRef {
            resource: resource.name.clone(),
            role: Clone::clone(name),
        };
        let (path, text) = report::request_file(&subject, &reference, &role.requires);
        let ticket = role.requires.contains(&Field::Ticket);
        let risk = role.requires.contains(&Field::Risk);
        Offered {
            role: reference.role.to_string(),
            description: visible(&role.description),
            longest: role.max_duration.to_string(),
            approvals: role.approvals.max(1),
            needs: match (ticket, risk) {
                (true, true) => "with a ticket and what could go wrong",
                (true, false) => "with a ticket",
                (false, true) => "with what could go wrong",
                (false, false) => "",
            },
            ask: frame.pages.new_file(&path, &text),
        }
    };
    resource.roles.iter().map(one).collect()
}

#[derive(Template)]
#[template(path = "ask.html", config = "src/domain/render/page/askama.toml")]
struct AskPage<'a> {
    frame: Frame<'a>,
    here: &'static str,
    resources: Vec<OfferedBy>,
    generic: String,
    next: Option<String>,
}

/// How many resources one page of the catalogue shows.
const RESOURCES: usize = 50;

/// What can be asked for, after the resource `after`.
///
/// # Errors
/// As [`super::overview`].
pub fn asking(
    frame: Frame<'_>,
    declared: Option<&Catalogue>,
    after: &str,
) -> Result<String, askama::Error> {
    let all = declared.iter().flat_map(|d| d.resources.values());
    let mut rest = all.filter(|r| r.name.as_str() > after).peekable();
    let mut resources = Vec::new();
    while let Some(resource) = rest.next_if(|_| resources.len() < RESOURCES) {
        resources.push(OfferedBy {
            name: resource.name.to_string(),
            href: format!("/resource/{}", resource.name),
            description: visible(&resource.description),
            risk: resource.risk.to_string(),
            roles: offered(&frame, resource),
        });
    }
    let last = resources.last().filter(|_| rest.peek().is_some());
    let next = last.map(|r| format!("/ask?after={}", encoded(&r.name)));
    AskPage {
        here: "ask",
        resources,
        generic: generic(frame.pages, frame.viewer),
        next,
        frame,
    }
    .render()
}

/// The page of GitHub that makes a request for whatever its writer fills in.
fn generic(pages: &Pages, viewer: &Login) -> String {
    let file = viewer.as_str().replace('_', "-");
    let path = format!("access/grants/RESOURCE/{file}-ROLE.yaml");
    let text = format!("person: {viewer}\nrole: ROLE\nduration: 1h\nreason: \n");
    pages.new_file(&path, &text)
}
