//! Registering an App by a manifest: the organisation's form for a new App, and the exchange of the code that it ends with
//! (<https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>). Whoever sends the form agrees at once:
//! nobody signs in to the stand-in.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use octocrab::jsonwebtoken::EncodingKey;
use serde_json::{Value, json};
use url::Url;

use super::call::{Answer, Answered, Call};
use super::model::{AccountKind, KNOWN_KEY};
use super::refusal::Refusal;
use super::render::people;
use super::server::Whole;
use super::world::{App, World};
use crate::domain::model::Instant;

/// How long a code can be exchanged.
const CODE_LIFE: TimeDelta = TimeDelta::hours(1);

/// A manifest that somebody agreed to, and that waits for the exchange of its code.
#[derive(Debug, Clone)]
pub struct Agreed {
    manifest: Value,
    at: Instant,
}

fn unfit(why: &str) -> Refusal {
    Refusal::new(422, format!("Invalid GitHub App configuration: {why}"))
}

impl World {
    /// `POST /organizations/{org}/settings/apps/new`: sends the person back with a code; `None` for another page.
    pub fn agree(&mut self, request: &Whole) -> Option<Answered> {
        let organisation = self.organisation_login();
        let form = format!("/organizations/{organisation}/settings/apps/new");
        let asked = request.method == "POST" && request.path == form;
        asked.then(|| self.agree_to(request))
    }

    fn agree_to(&mut self, request: &Whole) -> Answered {
        let mut fields = url::form_urlencoded::parse(&request.body);
        let manifest = fields.find(|(name, _)| name == "manifest");
        let (_, text) = manifest.ok_or_else(|| unfit("there is no manifest"))?;
        let manifest: Value = serde_json::from_str(&text).map_err(|e| unfit(&e.to_string()))?;
        self.check_manifest(&manifest)?;
        let back = manifest["redirect_url"].as_str().map(Url::parse);
        let mut back = match back {
            Some(Ok(url)) => url,
            _ => return Err(unfit("redirect_url is no address")),
        };
        let code = hex::encode(rand::random::<[u8; 20]>());
        back.query_pairs_mut().append_pair("code", &code);
        let mut query = url::form_urlencoded::parse(request.query.as_bytes());
        if let Some((_, state)) = query.find(|(name, _)| name == "state") {
            back.query_pairs_mut().append_pair("state", &state);
        }
        let at = self.now();
        self.agreed.insert(code, Agreed { manifest, at });
        Ok(Answer {
            status: 302,
            body: None,
            headers: vec![("location", back.to_string())],
        })
    }

    /// What GitHub refuses to show somebody for their agreement.
    fn check_manifest(&self, manifest: &Value) -> Result<(), Refusal> {
        const KEYS: [&str; 11] = [
            "name",
            "url",
            "hook_attributes",
            "redirect_url",
            "callback_urls",
            "setup_url",
            "description",
            "public",
            "default_events",
            "default_permissions",
            "request_oauth_on_install",
        ];
        let given = manifest
            .as_object()
            .ok_or_else(|| unfit("it is no object"))?;
        if let Some(key) = given.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(unfit(&format!("{key} is unknown")));
        }
        if !manifest["url"].is_string() {
            return Err(unfit("url is missing"));
        }
        if given.contains_key("hook_attributes") && !manifest["hook_attributes"]["url"].is_string()
        {
            return Err(unfit("hook_attributes has no url"));
        }
        let name = manifest["name"].as_str().unwrap_or_default();
        let taken = self.apps.iter().any(|app| app.slug == slug(name));
        match name.chars().count() {
            1..=34 if !taken => Ok(()),
            _ => Err(unfit("name is taken, or not of 1 to 34 characters")),
        }
    }
}

fn slug(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

/// `POST /app-manifests/{code}/conversions`.
pub fn convert(world: &mut World, call: &Call) -> Answered {
    let agreed = world.agreed.remove(call.param("code"));
    let now = world.now();
    let agreed = agreed.filter(|agreed| agreed.at + CODE_LIFE > now);
    let Agreed { manifest, .. } = agreed.ok_or_else(Refusal::not_found)?;
    let permissions = manifest["default_permissions"].clone();
    let permissions: BTreeMap<String, String> =
        serde_json::from_value(permissions).unwrap_or_default();
    let slug = slug(manifest["name"].as_str().unwrap_or_default());
    let key = EncodingKey::from_rsa_pem(KNOWN_KEY.as_bytes());
    let key = key.map_err(|error| Refusal::new(500, error.to_string()))?;
    let bot = world.add_account(&format!("{slug}[bot]"), None, AccountKind::Bot);
    let id = world.fresh_id();
    world.apps.push(App {
        id,
        slug,
        bot,
        key,
        permissions,
        created_at: now,
    });
    let secret = || hex::encode(rand::random::<[u8; 20]>());
    let hears = manifest["hook_attributes"]["active"] == true;
    let secrets = json!({
        "client_id": format!("Iv1.{}", hex::encode(rand::random::<[u8; 8]>())),
        "client_secret": secret(),
        "webhook_secret": hears.then(secret),
        "pem": KNOWN_KEY,
    });
    let made = people::merged(people::app(world, id), secrets);
    Ok(Answer::json(201, made))
}
