//! The published JSON Schemas, compiled in: what editors show is what the service enforces.
//!
//! The text of `schemas/*.schema.json` is part of the program; nothing is fetched or read at run time. Messages are our own,
//! and the way out is the schema's own description of the field, which is what editors show while it is typed.

use std::sync::OnceLock;

use jsonschema::error::ValidationErrorKind as Broken;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use super::model::TermLength;
use super::parse::{shown, ticket_pattern};

/// A kind of file that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `access/emergencies/<resource>/<name>-<12 digits of the merge>.yaml`
    Emergency,
    /// `access/grants/<resource>/<name>.yaml`
    Grant,
    /// `access/people/<login>.yaml`
    Person,
    /// `access/policies/<name>.test.yaml`
    PolicyTest,
    /// `access/releases/<scope>/<12 digits>.yaml`
    Release,
    /// `access/resources/<name>.yaml`
    Resource,
    /// `access/reviews/<day>/<owners>-<12 digits>.yaml`
    ReviewSheet,
    /// `access/reviews.yaml`
    Reviews,
    /// `access/services/<name>.yaml`
    Service,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Emergency,
        Self::Grant,
        Self::Person,
        Self::PolicyTest,
        Self::Release,
        Self::Resource,
        Self::ReviewSheet,
        Self::Reviews,
        Self::Service,
    ];

    /// The name of the schema: `schemas/<name>.schema.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::Grant => "grant",
            Self::Person => "person",
            Self::PolicyTest => "policy-test",
            Self::Release => "release",
            Self::Resource => "resource",
            Self::ReviewSheet => "review-sheet",
            Self::Reviews => "reviews",
            Self::Service => "service",
        }
    }

    /// The schema's text, as published.
    pub fn source(self) -> &'static str {
        match self {
            Self::Emergency => include_str!("../../schemas/emergency.schema.json"),
            Self::Grant => include_str!("../../schemas/grant.schema.json"),
            Self::Person => include_str!("../../schemas/person.schema.json"),
            Self::PolicyTest => include_str!("../../schemas/policy-test.schema.json"),
            Self::Release => include_str!("../../schemas/release.schema.json"),
            Self::Resource => include_str!("../../schemas/resource.schema.json"),
            Self::ReviewSheet => include_str!("../../schemas/review-sheet.schema.json"),
            Self::Reviews => include_str!("../../schemas/reviews.schema.json"),
            Self::Service => include_str!("../../schemas/service.schema.json"),
        }
    }

    fn schema(self) -> &'static Schema {
        static SCHEMAS: [OnceLock<Schema>; Kind::ALL.len()] =
            [const { OnceLock::new() }; Kind::ALL.len()];
        SCHEMAS[self as usize].get_or_init(|| Schema::compile(self))
    }
}

struct Schema {
    source: Value,
    validator: Validator,
}

impl Schema {
    fn compile(kind: Kind) -> Self {
        let source: Value = serde_json::from_str(kind.source())
            .expect("the schemas are compiled in and a test reads each of them");
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .with_pattern_options(PatternOptions::regex())
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .with_format("hallpass-duration", |text: &str| {
                TermLength::parse(text).is_ok()
            })
            .with_format("hallpass-pattern", |text: &str| {
                ticket_pattern(text).is_some()
            })
            .build(&source)
            .expect("the schemas are compiled in and a test compiles each of them");
        Self { source, validator }
    }
}

/// How many problems of one file are told: more help nobody.
const MOST_PROBLEMS: usize = 20;

const WRONG_FORM: &str = "which does not have the right form";

/// What a schema finds wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub rule: &'static str,
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// Whether the key is meant, rather than the value.
    pub at_key: bool,
    pub message: String,
    pub help: String,
}

/// Everything that the schema of `kind` finds wrong with `value`, at most one problem a place.
pub(crate) fn check(kind: Kind, value: &Value) -> Vec<Problem> {
    let schema = kind.schema();
    if schema.validator.is_valid(value) {
        return Vec::new();
    }
    let errors = schema.validator.iter_errors(value);
    // What is no mapping has no fields that could be missing.
    let told = |error: &ValidationError<'_>| {
        value.is_object() || matches!(error.kind(), Broken::Type { .. })
    };
    let mut problems: Vec<Problem> = errors
        .filter(told)
        .flat_map(|error| describe(schema, value, &error))
        .take(MOST_PROBLEMS)
        .collect();
    // A text that is too short often has the wrong form too; the more telling of the two is enough.
    let vague = |p: &Problem| p.message.ends_with(WRONG_FORM);
    problems.sort_by(|a, b| (&a.pointer, a.rule, vague(a)).cmp(&(&b.pointer, b.rule, vague(b))));
    problems.dedup_by(|b, a| {
        a.pointer == b.pointer && a.rule == b.rule && (a.message == b.message || vague(b))
    });
    problems
}

fn describe(schema: &Schema, root: &Value, error: &ValidationError<'_>) -> Vec<Problem> {
    let pointer = error.instance_path().as_str().to_owned();
    let help = description(&schema.source, error.schema_path().as_str());
    let name = name(&pointer);
    let problem = |rule, message: String, help: String| Problem {
        rule,
        pointer: pointer.clone(),
        at_key: false,
        message,
        help,
    };
    match error.kind() {
        Broken::Required { property } => {
            let field = property.as_str().unwrap_or_default();
            let within = if pointer.is_empty() {
                String::new()
            } else {
                format!(" in {name}")
            };
            let help = field_help(&schema.source, error.schema_path().as_str(), field);
            vec![Problem {
                at_key: true,
                ..problem(
                    "missing-field",
                    format!("`{field}` is missing{within}"),
                    help,
                )
            }]
        }
        Broken::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|field| {
                unknown_field(
                    &schema.source,
                    &pointer,
                    error.schema_path().as_str(),
                    field,
                )
            })
            .collect(),
        Broken::OneOfNotValid { .. } | Broken::OneOfMultipleValid { .. } => {
            match error.schema_path().as_str() {
                "/oneOf" => kind_of_resource(&schema.source, root),
                path => vec![choice(root, path)],
            }
        }
        Broken::PropertyNames { error: inner } => {
            let key = inner.instance().as_str().unwrap_or_default().to_owned();
            vec![Problem {
                pointer: format!("{pointer}/{}", escape(&key)),
                at_key: true,
                ..problem("bad-value", format!("{} is not a name", shown(&key)), help)
            }]
        }
        Broken::Type { .. } => vec![wrong_type(
            &schema.source,
            error,
            pointer.clone(),
            &name,
            help,
        )],
        Broken::UniqueItems => vec![problem(
            "bad-value",
            format!("{name} names something twice"),
            help,
        )],
        _ => vec![problem(
            "bad-value",
            bad_value(&name, error.instance(), error.kind()),
            help,
        )],
    }
}

fn bad_value(name: &str, value: &Value, kind: &Broken) -> String {
    let shown = display(value);
    match kind {
        Broken::MinLength { limit } => {
            format!("{name} is {shown}, which is shorter than {limit} characters")
        }
        Broken::MaxLength { limit } => format!("{name} is longer than {limit} characters"),
        Broken::Minimum { limit } => format!("{name} is {shown}; the least is {limit}"),
        Broken::Maximum { limit } => format!("{name} is {shown}; the most is {limit}"),
        Broken::MinItems { limit } if *limit > 1 => {
            format!("{name} has fewer than {limit} entries")
        }
        Broken::MinProperties { .. } | Broken::MinItems { .. } => format!("{name} is empty"),
        Broken::MaxItems { limit } => format!("{name} has more than {limit} entries"),
        Broken::MaxProperties { limit } => format!("{name} has more than {limit} entries"),
        Broken::Enum { options } => {
            let options: Vec<&str> = options
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            format!("{name} is {shown}, which is none of {}", options.join(", "))
        }
        _ => format!("{name} is {shown}, {WRONG_FORM}"),
    }
}

fn wrong_type(
    schema: &Value,
    error: &ValidationError<'_>,
    pointer: String,
    name: &str,
    help: String,
) -> Problem {
    let wanted = schema
        .pointer(error.schema_path().as_str())
        .and_then(Value::as_str)
        .unwrap_or_default();
    let value = error.instance();
    let (wanted, help) = match (wanted, value.as_ref()) {
        ("string", Value::Number(_) | Value::Bool(_)) => {
            ("text", format!("Put it in quotes: \"{value}\". {help}"))
        }
        ("string", _) => ("text", help),
        ("integer", Value::String(_)) => {
            ("a whole number", format!("Write it without quotes. {help}"))
        }
        ("integer", _) => ("a whole number", help),
        ("boolean", _) => ("true or false", help),
        ("array", _) => ("a list", help),
        _ => ("a mapping of names to values", help),
    };
    let message = format!("{name} is {}, where {wanted} is expected", display(value));
    Problem {
        rule: "wrong-type",
        pointer,
        at_key: false,
        message,
        help,
    }
}

/// The problem of the two choices that a grant has: exactly one of two fields.
fn choice(grant: &Value, schema_path: &str) -> Problem {
    let (rule, a, b) = if schema_path.starts_with("/allOf/0") {
        ("one-subject", "person", "service")
    } else {
        ("one-term", "duration", "expires")
    };
    let both = grant.get(a).is_some() && grant.get(b).is_some();
    let (pointer, message, help) = if both {
        (
            format!("/{b}"),
            format!("both `{a}` and `{b}` are given"),
            format!("Keep one of them: `{a}` or `{b}`."),
        )
    } else {
        (
            String::new(),
            format!("neither `{a}` nor `{b}` is given"),
            format!("Add one of them: `{a}` or `{b}`."),
        )
    };
    Problem {
        rule,
        pointer,
        at_key: true,
        message,
        help,
    }
}

const KINDS: &str = "A file with a `provider` says of each role what its `entitlement` is; one of bundles has no `provider`, and of each role says what it bundles.";

/// The problems of a resource that is neither a system with its provider nor made of bundles alone.
fn kind_of_resource(schema: &Value, resource: &Value) -> Vec<Problem> {
    let roles = || {
        let roles = resource.get("roles").and_then(Value::as_object);
        let roles = roles.into_iter().flatten();
        roles.filter_map(|(name, role)| Some((name, role.as_object()?)))
    };
    let provided = resource.get("provider").is_some();
    let bundles = !provided && roles().any(|(_, role)| role.contains_key("bundle"));
    let mut found = Vec::new();
    if !provided && !bundles {
        found.push(missing(schema, "", "provider", String::new()));
    }
    for (name, role) in roles() {
        let at = format!("/roles/{}", escape(name));
        let (wanted, misplaced): (&str, &[&str]) = if bundles {
            ("bundle", &["entitlement", "approvals", "emergency"])
        } else {
            ("entitlement", &["bundle"])
        };
        let mut misplaced = misplaced
            .iter()
            .filter(|field| role.contains_key(**field))
            .peekable();
        if misplaced.peek().is_none() && !role.contains_key(wanted) {
            let within = format!(" in `{name}`");
            found.push(missing(schema, &at, wanted, within));
        }
        found.extend(misplaced.map(|field| Problem {
            rule: "one-kind",
            pointer: format!("{at}/{field}"),
            at_key: true,
            message: match *field {
                "bundle" => format!("`{name}` is a bundle in a file with a `provider`"),
                "entitlement" => format!("`{name}` has an entitlement in a file of bundles"),
                _ => format!("a bundle has no `{field}`: its parts have their own"),
            },
            help: match *field {
                "bundle" | "entitlement" => format!("Make two files of it. {KINDS}"),
                _ => "Remove it.".to_owned(),
            },
        }));
    }
    found
}

fn missing(schema: &Value, pointer: &str, field: &str, within: String) -> Problem {
    let node = if pointer.is_empty() {
        ""
    } else {
        "/$defs/role"
    };
    Problem {
        rule: "missing-field",
        pointer: pointer.to_owned(),
        at_key: true,
        message: format!("`{field}` is missing{within}"),
        help: field_help(schema, &format!("{node}/required"), field),
    }
}

fn unknown_field(schema: &Value, pointer: &str, schema_path: &str, field: &str) -> Problem {
    let properties = parent(schema_path) + "/properties";
    let known: Vec<&str> = schema
        .pointer(&properties)
        .and_then(Value::as_object)
        .map(|known| known.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let help = match nearest(field, known.iter().copied()) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Remove it. Known are {}.", known.join(", ")),
    };
    Problem {
        rule: "unknown-field",
        pointer: format!("{pointer}/{}", escape(field)),
        at_key: true,
        message: format!("there is no field {}", shown(field)),
        help,
    }
}

/// The known word that `word` was probably meant to be.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // The distance costs the product of the lengths, and there may be many thousand words: few are measured.
    let near = |other: &&str| {
        other.as_bytes().first() == word.as_bytes().first() && other.len().abs_diff(word.len()) <= 3
    };
    known
        .filter(near)
        .map(|other| (strsim::osa_distance(word, other), other))
        .filter(|(distance, other)| *distance <= (other.len() / 3).clamp(1, 3))
        .min()
        .map(|(_, other)| other)
}

/// What the schema says about the value that broke the keyword at `schema_path`.
fn description(schema: &Value, schema_path: &str) -> String {
    let mut path = parent(schema_path);
    loop {
        if let Some(text) = schema
            .pointer(&format!("{path}/description"))
            .and_then(Value::as_str)
        {
            return text.to_owned();
        }
        if path.is_empty() {
            return String::new();
        }
        path = parent(&path);
    }
}

fn field_help(schema: &Value, schema_path: &str, field: &str) -> String {
    let path = format!("{}/properties/{field}", parent(schema_path));
    let says = |key: &str| {
        schema
            .pointer(&format!("{path}/{key}"))
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    format!("Add `{field}`. {}. {}", says("title"), says("description"))
}

fn parent(pointer: &str) -> String {
    pointer
        .rfind('/')
        .map_or_else(String::new, |at| pointer[..at].to_owned())
}

/// The field that a pointer leads to, as a message names it.
fn name(pointer: &str) -> String {
    let mut segments = pointer.rsplit('/');
    let last = unescape(segments.next().unwrap_or_default());
    if pointer.is_empty() {
        return "the file".into();
    }
    match last.parse::<usize>() {
        Ok(index) => format!(
            "item {} of `{}`",
            index + 1,
            unescape(segments.next().unwrap_or_default())
        ),
        Err(_) => format!("`{last}`"),
    }
}

fn display(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
        other => other.to_string(),
    }
}

/// A key, as a segment of a JSON pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}
