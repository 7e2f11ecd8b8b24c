//! One policy file: bytes to policies that the schema accepts, or what is wrong with it, at its line.

use std::collections::BTreeSet;
use std::str::FromStr;

use cedar_policy::{Effect, EntityUid, Policy, PolicyId, PolicySet, ValidationMode};
use miette::Diagnostic;
use serde_json::Value;

use super::{gate, schema};
use crate::domain::catalogue::File;
use crate::domain::finding::{Finding, Place};
use crate::domain::model::{BlobId, Login, Owner, RepoPath, is_name};
use crate::domain::parse::{is_hidden, place, policy_text, shown};

/// The longest `@message`, in characters: it is shown on a line.
pub const MAX_MESSAGE: usize = 300;

/// How much stack reading one file may take: more than the most that the gate lets through needs.
const STACK: usize = 16 * 1024 * 1024;

/// How many mistakes of one file are told: more help nobody.
const MOST: usize = 20;

/// One policy with where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Its `@id`.
    pub id: String,
    /// Where it begins.
    pub place: Place,
    /// Its `@message`.
    pub message: Option<String>,
    /// The attributes that it reads, of anything.
    pub reads: BTreeSet<String>,
    /// The policy, under its own id.
    pub policy: Policy,
}

impl Rule {
    pub(super) fn permits(&self) -> bool {
        self.policy.effect() == Effect::Permit
    }

    /// The entities that it names.
    pub(super) fn literals(&self) -> Vec<EntityUid> {
        self.policy.entity_literals()
    }
}

/// One file of policies, which the schema accepts.
#[derive(Debug, Clone)]
pub(crate) struct PolicyFile {
    /// Its path.
    pub path: RepoPath,
    /// The exact content.
    pub blob: BlobId,
    /// How long its text is, in bytes: what a question costs grows with that.
    pub bytes: usize,
    /// In the order of the file.
    pub rules: Vec<Rule>,
}

/// Reads `access/policies/<name>.cedar`.
pub(crate) fn read(path: &RepoPath, file: &File) -> Result<PolicyFile, Vec<Finding>> {
    let text = policy_text(file).map_err(|finding| vec![finding])?;
    let begins = gate::policies(text).map_err(|refused| {
        let gate::Refused {
            place,
            message,
            help,
        } = refused;
        vec![Finding::error(
            "policy-too-complex",
            path.as_str(),
            place,
            message,
            help,
        )]
    })?;
    let read = || with_stack(|| rules(path, text, &begins));
    Ok(PolicyFile {
        path: path.clone(),
        blob: file.blob.clone(),
        bytes: text.len(),
        rules: read()?,
    })
}

/// Runs `work` on a thread of its own with a stack that is large enough, however small the caller's is.
fn with_stack<T: Send>(
    work: impl FnOnce() -> Result<T, Vec<Finding>> + Send,
) -> Result<T, Vec<Finding>> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let started = thread.spawn_scoped(scope, work);
        let thread = started.expect("a machine that cannot start a thread cannot go on");
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn rules(path: &RepoPath, text: &str, begins: &[Place]) -> Result<Vec<Rule>, Vec<Finding>> {
    let told = Told { path, text };
    let set = match PolicySet::from_str(text) {
        Ok(set) => set,
        Err(errors) => {
            let syntax = errors.iter().map(|e| told.diagnosed("policy-syntax", e));
            return Err(told.most(syntax.collect()));
        }
    };
    if let Some(template) = set.templates().next() {
        let place = place_of(template.id(), begins);
        return Err(vec![told.error(
            "policy-syntax",
            place,
            "this is a template (`?principal` or `?resource`), which nothing fills in".to_owned(),
            "Name the principals and resources themselves.",
        )]);
    }
    if set.num_of_policies() != begins.len() {
        return Err(vec![told.error(
            "policy-syntax",
            Place::START,
            "where one policy ends and the next begins cannot be told".to_owned(),
            "End each policy with a semicolon, as the examples in access/ do.",
        )]);
    }
    let mut wrong = Vec::new();
    for policy in set.policies() {
        named(&told, policy, place_of(policy.id(), begins), &mut wrong);
    }
    validated(&told, &set, &mut wrong);
    if !wrong.is_empty() {
        return Err(told.most(wrong));
    }
    let rule = |policy: &Policy| -> Result<Rule, Vec<Finding>> {
        let id = policy.annotation("id").unwrap_or_default().to_owned();
        let said = policy.to_json();
        let said = said.map_err(|e| vec![told.diagnosed("policy-invalid", &e)])?;
        let mut reads = BTreeSet::new();
        attributes(&said, &mut reads);
        Ok(Rule {
            place: place_of(policy.id(), begins),
            message: policy.annotation("message").map(str::to_owned),
            reads,
            policy: policy.new_id(PolicyId::new(&id)),
            id,
        })
    };
    let mut rules: Vec<Rule> = set.policies().map(rule).collect::<Result<_, _>>()?;
    rules.sort_by_key(|rule| rule.place);
    Ok(rules)
}

/// The attributes that a policy, in Cedar's JSON form, reads of anything. It is as deep as the policy is long.
fn attributes(said: &Value, found: &mut BTreeSet<String>) {
    match said {
        Value::Object(fields) => {
            let read = fields.get("attr").and_then(Value::as_str);
            found.extend(read.map(str::to_owned));
            fields.values().for_each(|field| attributes(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| attributes(item, found)),
        _ => {}
    }
}

/// Cedar calls the policies of a text `policy0`, `policy1` and so on, in its order.
fn place_of(id: &PolicyId, begins: &[Place]) -> Place {
    let name: &str = id.as_ref();
    let number = name.strip_prefix("policy").and_then(|n| n.parse().ok());
    let begin = number.and_then(|n: usize| begins.get(n));
    begin.copied().unwrap_or_default()
}

/// What its annotations lack.
fn named(told: &Told<'_>, policy: &Policy, at: Place, wrong: &mut Vec<Finding>) {
    let example = "Write a name above it, such as `@id(\"no-writes-at-night\")`: lower-case letters, digits and hyphens.";
    match policy.annotation("id") {
        None => wrong.push(told.error("policy-id", at, "this policy has no `@id`".into(), example)),
        Some(id) if !is_name(id) => wrong.push(told.error(
            "policy-id",
            at,
            format!(
                "the `@id` of this policy is {}, which is no name",
                shown(id)
            ),
            example,
        )),
        Some(_) => {}
    }
    let forbids = policy.effect() == Effect::Forbid;
    let example = "Write above it what the requester should read, such as `@message(\"Production is not changed at night.\")`.";
    let message = match policy.annotation("message") {
        None if forbids => "this policy forbids without a `@message`",
        Some(text) if text.trim().is_empty() => "the `@message` of this policy is empty",
        Some(text) if text.chars().count() > MAX_MESSAGE => {
            "the `@message` of this policy has more than 300 characters"
        }
        // Escapes of Cedar can hold what the text of the file cannot.
        Some(text) if text.chars().any(is_hidden) => {
            "the `@message` of this policy holds a character that nobody can see, or a line end"
        }
        Some(_) | None => return,
    };
    wrong.push(told.error("policy-message", at, message.into(), example));
}

/// What the schema refuses. What Cedar only warns of is refused too: a policy that can never hold, text that looks like other text.
fn validated(told: &Told<'_>, set: &PolicySet, wrong: &mut Vec<Finding>) {
    let result = schema::validator().validate(set, ValidationMode::Strict);
    let invalid = |error: &dyn Diagnostic| told.diagnosed("policy-invalid", error);
    let mut found: Vec<Finding> = result.validation_errors().map(|e| invalid(e)).collect();
    if found.is_empty() {
        // A policy with a mistake is often impossible because of it.
        found.extend(result.validation_warnings().map(|w| invalid(w)));
    }
    // A policy is validated for each kind of principal and action: the same mistake is told once.
    found.sort();
    found.dedup_by(|b, a| (a.line, a.column) == (b.line, b.column));
    wrong.append(&mut found);
}

/// A team that an entity id names: `organisation/slug` in lower case.
pub(super) fn team(id: &str) -> Option<Owner> {
    let (organisation, slug) = id.split_once('/')?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    let login = Login::new(organisation).ok()?;
    let written = login.as_str() == organisation && !slug.is_empty() && slug.bytes().all(plain);
    written.then(|| Owner::Team {
        organisation: login,
        slug: slug.to_owned(),
    })
}

/// Findings of one file.
struct Told<'a> {
    path: &'a RepoPath,
    text: &'a str,
}

impl Told<'_> {
    fn error(&self, rule: &'static str, at: Place, message: String, help: &str) -> Finding {
        Finding::error(rule, self.path.as_str(), at, message, help)
    }

    /// Cedar's own words, at the place that it points to.
    fn diagnosed(&self, rule: &'static str, error: &dyn Diagnostic) -> Finding {
        let at = error.labels().and_then(|mut labels| labels.next());
        let at = at.map_or(Place::START, |label| {
            let offset = self.text.floor_char_boundary(label.offset());
            place(self.text, offset)
        });
        let message = plain(&error.to_string());
        let help = error.help().map(|help| plain(&help.to_string()));
        let help = help.unwrap_or_else(|| {
            "Compare with docs/policies.md, which lists everything that a policy can ask.".into()
        });
        self.error(rule, at, message, &help)
    }

    fn most(&self, mut findings: Vec<Finding>) -> Vec<Finding> {
        findings.sort();
        findings.truncate(MOST);
        findings
    }
}

/// Cedar's words on one line, without the number that it gave the policy. A text quoted in them can be long.
fn plain(text: &str) -> String {
    let numbered = text.strip_prefix("for policy `policy");
    let rest = numbered.map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let text = rest.map_or(text, |rest| rest.trim_start_matches(['`', ',', ':', ' ']));
    // Of all actions that a policy is about, Cedar names one.
    let (before, after) = text.split_once(" for Action::\"").unwrap_or((text, ""));
    let after = after.split_once('"').map_or("", |(_, after)| after);
    let line: String = before
        .chars()
        .chain(after.chars())
        .map(|c| if is_hidden(c) { ' ' } else { c })
        .take(400)
        .collect();
    line.trim().to_owned()
}
