//! The contract gate: GitHub's own descriptions of its REST interface and of its webhooks, asked about everything that passes.
//!
//! The REST description is OpenAPI 3.0, whose `nullable` is not JSON Schema; it is rewritten once. The webhooks are 3.1, which is
//! JSON Schema 2020-12 as it stands. Schemas are compiled when first asked, and kept.

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::document::Document;
use super::locked;

/// Why the descriptions could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// A file could not be read.
    #[error("cannot read the contract {path}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is not a description.
    #[error("the contract {path} is not an OpenAPI description: {reason}")]
    Malformed {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
}

/// Both descriptions. Cloning is cheap, and clones share what was compiled.
#[derive(Debug, Clone)]
pub struct Contracts {
    rest: Arc<Document>,
    webhooks: Arc<Document>,
}

/// Statuses that GitHub answers without describing them everywhere.
const UNDESCRIBED: [u16; 8] = [301, 307, 401, 403, 404, 409, 422, 429];

impl Contracts {
    /// Loads `github-rest.json` and `github-webhooks.json`.
    ///
    /// # Errors
    /// When a file cannot be read or is not an OpenAPI description.
    pub fn load(rest: impl AsRef<Path>, webhooks: impl AsRef<Path>) -> Result<Self, ContractError> {
        let rest = Document::load(rest.as_ref(), true)?;
        let webhooks = Document::load(webhooks.as_ref(), false)?;
        Ok(Self {
            rest: Arc::new(rest),
            webhooks: Arc::new(webhooks),
        })
    }

    /// What is wrong with a request, if anything.
    pub(super) fn request(
        &self,
        method: &str,
        template: &str,
        query: &[(String, String)],
        body: Option<&Value>,
    ) -> Vec<String> {
        let Some((operation, pointer)) = self.rest.operation(method, template) else {
            return vec![format!("{method} {template} is not in the contract")];
        };
        let mut found = self.rest.unknown_parameters(operation, query);
        let described = operation.get("requestBody");
        let schema =
            described.and_then(|described| described.pointer("/content/application~1json/schema"));
        match (body, schema) {
            (Some(body), Some(schema)) => {
                let pointer = format!("{pointer}/requestBody/content/application~1json/schema");
                found.extend(self.rest.violations(&pointer, body));
                found.extend(unknown_properties(schema, body));
            }
            (Some(_), None) => found.push("a body, though none is described".to_owned()),
            (None, _) if described.is_some_and(|described| described["required"] == true) => {
                found.push("no body, though one is required".to_owned())
            }
            (None, _) => {}
        }
        found
            .into_iter()
            .map(|what| format!("request {method} {template}: {what}"))
            .collect()
    }

    /// What is wrong with an answer, if anything.
    pub(super) fn response(
        &self,
        method: &str,
        template: &str,
        status: u16,
        body: Option<&Value>,
    ) -> Vec<String> {
        let Some((operation, pointer)) = self.rest.operation(method, template) else {
            return vec![format!("{method} {template} is not in the contract")];
        };
        let described = operation.pointer(&format!("/responses/{status}"));
        let mut pointer = format!("{pointer}/responses/{status}");
        let mut described = match described {
            Some(described) => described,
            None if UNDESCRIBED.contains(&status) || status >= 500 => return Vec::new(),
            None => {
                return vec![format!(
                    "response {method} {template}: status {status} is not described"
                )];
            }
        };
        if let Some(reference) = described["$ref"].as_str() {
            pointer = reference.trim_start_matches('#').to_owned();
            described = self.rest.json.pointer(&pointer).unwrap_or(&Value::Null);
        }
        let schema = described.pointer("/content/application~1json/schema");
        let found = match (schema, body) {
            (Some(_), Some(body)) => self
                .rest
                .violations(&format!("{pointer}/content/application~1json/schema"), body),
            (Some(_), None) => vec!["no body, though one is described".to_owned()],
            (None, Some(_)) if status < 300 => vec!["a body, though none is described".to_owned()],
            (None, _) => Vec::new(),
        };
        found
            .into_iter()
            .map(|what| format!("response {method} {template} {status}: {what}"))
            .collect()
    }

    /// What is wrong with a webhook's payload, if anything.
    pub(super) fn webhook(
        &self,
        event: &str,
        action: Option<&str>,
        payload: &Value,
    ) -> Vec<String> {
        let name = [Some(event), action]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("-")
            .replace('_', "-");
        let pointer = format!("/webhooks/{name}/post/requestBody/content/application~1json/schema");
        if self.webhooks.json.pointer(&pointer).is_none() {
            return vec![format!("webhook {name} is not in the contract")];
        }
        self.webhooks
            .violations(&pointer, payload)
            .into_iter()
            .map(|what| format!("webhook {name}: {what}"))
            .collect()
    }
}

/// Top-level properties that an open schema would let pass, but that GitHub does not know: misspelt ones.
fn unknown_properties(schema: &Value, body: &Value) -> Vec<String> {
    let (Some(known), Some(given)) = (schema["properties"].as_object(), body.as_object()) else {
        return Vec::new();
    };
    let open = schema
        .get("additionalProperties")
        .is_some_and(|extra| extra != false);
    let unknown = given
        .keys()
        .filter(|name| !open && !known.contains_key(*name));
    unknown
        .map(|name| format!("the property `{name}` is not described"))
        .collect()
}

/// The gate: the contracts, if any, and the violations seen so far.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    contracts: Option<Contracts>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Gate {
    /// A gate that asks `contracts`, or lets everything pass.
    pub fn new(contracts: Option<Contracts>) -> Self {
        Self {
            contracts,
            seen: Arc::default(),
        }
    }

    /// What broke the contract so far.
    pub fn violations(&self) -> Vec<String> {
        locked(&self.seen).clone()
    }

    /// Checks a request; answers what was wrong.
    pub fn request(
        &self,
        method: &str,
        template: &str,
        query: &[(String, String)],
        body: Option<&Value>,
    ) -> Vec<String> {
        self.keep(
            self.contracts
                .as_ref()
                .map(|contracts| contracts.request(method, template, query, body)),
        )
    }

    /// Checks an answer; answers what was wrong.
    pub fn response(
        &self,
        method: &str,
        template: &str,
        status: u16,
        body: Option<&Value>,
    ) -> Vec<String> {
        self.keep(
            self.contracts
                .as_ref()
                .map(|contracts| contracts.response(method, template, status, body)),
        )
    }

    /// Checks a webhook.
    pub fn webhook(&self, event: &str, action: Option<&str>, payload: &Value) -> Vec<String> {
        self.keep(
            self.contracts
                .as_ref()
                .map(|contracts| contracts.webhook(event, action, payload)),
        )
    }

    /// Keeps a violation that was found elsewhere.
    pub fn violated(&self, what: String) -> Vec<String> {
        self.keep(Some(vec![what]))
    }

    fn keep(&self, found: Option<Vec<String>>) -> Vec<String> {
        let found = found.unwrap_or_default();
        locked(&self.seen).extend(found.iter().cloned());
        found
    }
}
