//! One OpenAPI description: found by pointer, compiled when first asked.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

use super::contract::ContractError;
use super::locked;

const ROOT: &str = "https://contracts.invalid/description";

/// A description.
#[derive(Debug)]
pub struct Document {
    pub json: Value,
    registry: Registry<'static>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Document {
    /// Reads a file; OpenAPI 3.0 is rewritten as JSON Schema.
    pub fn load(path: &Path, openapi_3_0: bool) -> Result<Self, ContractError> {
        let name = path.display().to_string();
        let text = std::fs::read(path).map_err(|source| ContractError::Unreadable {
            path: name.clone(),
            source,
        })?;
        let malformed = |reason: String| ContractError::Malformed {
            path: name.clone(),
            reason,
        };
        let mut json: Value =
            serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
        if !json["openapi"].is_string() {
            return Err(malformed("there is no `openapi` version".to_owned()));
        }
        if openapi_3_0 {
            null_where_nullable(&mut json);
        }
        let registry = Registry::new()
            .add(ROOT, json.clone())
            .and_then(|registry| registry.prepare());
        let registry = registry.map_err(|error| malformed(error.to_string()))?;
        Ok(Self {
            json,
            registry,
            validators: Mutex::default(),
        })
    }

    /// An operation, and the pointer to it.
    pub fn operation(&self, method: &str, template: &str) -> Option<(&Value, String)> {
        let pointer = format!(
            "/paths/{}/{}",
            escape(template),
            method.to_ascii_lowercase()
        );
        self.json
            .pointer(&pointer)
            .map(|operation| (operation, pointer))
    }

    /// The query parameters that are not described.
    pub fn unknown_parameters(&self, operation: &Value, query: &[(String, String)]) -> Vec<String> {
        let mut known = BTreeSet::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = match parameter["$ref"].as_str() {
                Some(reference) => self
                    .json
                    .pointer(reference.trim_start_matches('#'))
                    .unwrap_or(&Value::Null),
                None => parameter,
            };
            if parameter["in"] == "query" {
                known.extend(parameter["name"].as_str());
            }
        }
        let unknown = query
            .iter()
            .filter(|(name, _)| !known.contains(name.as_str()));
        unknown
            .map(|(name, _)| format!("the query parameter `{name}` is not described"))
            .collect()
    }

    /// The first few violations of the schema at `pointer`.
    pub fn violations(&self, pointer: &str, instance: &Value) -> Vec<String> {
        let validator = match self.validator(pointer) {
            Ok(validator) => validator,
            Err(reason) => {
                return vec![format!("the schema {pointer} cannot be compiled: {reason}")];
            }
        };
        let errors = validator.iter_errors(instance).take(5);
        errors
            .map(|error| {
                format!(
                    "at `{}`: {}",
                    error.instance_path(),
                    short(&error.to_string())
                )
            })
            .collect()
    }

    fn validator(&self, pointer: &str) -> Result<Arc<Validator>, String> {
        if let Some(validator) = locked(&self.validators).get(pointer) {
            return Ok(validator.clone());
        }
        let schema = json!({ "$ref": format!("{ROOT}#{}", uri_escape(pointer)) });
        let options = jsonschema::options()
            .with_registry(&self.registry)
            .with_draft(jsonschema::Draft::Draft202012);
        let options = options
            .should_validate_formats(true)
            // GitHub itself writes bots' addresses with brackets: `1+name[bot]@users.noreply.github.com`.
            .with_format("email", |text: &str| text.contains('@'))
            .should_ignore_unknown_formats(true);
        let validator = Arc::new(options.build(&schema).map_err(|error| error.to_string())?);
        locked(&self.validators).insert(pointer.to_owned(), validator.clone());
        Ok(validator)
    }
}

/// Rewrites `nullable: true` into what JSON Schema 2020-12 says instead.
fn null_where_nullable(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(null_where_nullable),
        Value::Object(object) => {
            object.values_mut().for_each(null_where_nullable);
            if object.get("nullable") != Some(&Value::Bool(true)) {
                return;
            }
            object.remove("nullable");
            if let Some(Value::Array(words)) = object.get_mut("enum")
                && !words.contains(&Value::Null)
            {
                words.push(Value::Null);
            }
            match object.get("type").cloned() {
                Some(Value::String(name)) => {
                    object.insert("type".to_owned(), json!([name, "null"]));
                }
                _ => {
                    let inner = Value::Object(std::mem::take(object));
                    object.insert("anyOf".to_owned(), json!([inner, { "type": "null" }]));
                }
            }
        }
        _ => {}
    }
}

fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

fn uri_escape(pointer: &str) -> String {
    pointer.replace('{', "%7B").replace('}', "%7D")
}

fn short(text: &str) -> String {
    let start: String = text.chars().take(160).collect();
    let end: Vec<char> = text.chars().skip(160).collect();
    let end: String = end[end.len().saturating_sub(160)..].iter().collect();
    if end.is_empty() {
        start
    } else {
        format!("{start} … {end}")
    }
}
