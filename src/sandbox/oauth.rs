//! How people sign in to an App: the web flow of GitHub Apps, with PKCE, and user access tokens.
//!
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-user-access-token-for-a-github-app>.
//! No description of GitHub's covers these two addresses, so the contract gate cannot; what is called with the token passes it.
//!
//! Accepted: refresh tokens are given, as GitHub gives them, and never taken.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::domain::model::Instant;

use super::Sandbox;
use super::model::AccountKind;
use super::refusal::Refusal;
use super::world::{Token, World};

/// How long a code is good for.
const CODE_LIFE: TimeDelta = TimeDelta::minutes(10);
/// How long a user access token is.
const TOKEN_LIFE: TimeDelta = TimeDelta::hours(8);
/// How long GitHub says that a refresh token is: six months.
const REFRESH_LIFE: TimeDelta = TimeDelta::days(184);

/// What an App needs to sign people in.
#[derive(Clone)]
pub struct ClientSpec {
    /// Its client id: `Iv23...`.
    pub id: String,
    /// Its client secret.
    pub secret: String,
    /// The addresses that people may be sent back to; the first where none is asked for.
    pub callbacks: Vec<String>,
}

impl std::fmt::Debug for ClientSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSpec")
            .field("id", &self.id)
            .field("callbacks", &self.callbacks)
            .finish_non_exhaustive()
    }
}

/// An App as far as people sign in to it.
#[derive(Debug, Clone)]
pub struct Client {
    pub app: u64,
    pub spec: ClientSpec,
}

/// A code that was given and not yet exchanged.
#[derive(Debug, Clone)]
struct Code {
    client: String,
    user: u64,
    redirect: Option<String>,
    challenge: Option<String>,
    expires_at: Instant,
}

/// Signing in, as far as it has come.
#[derive(Debug, Default)]
pub struct SignIns {
    pub clients: Vec<Client>,
    codes: BTreeMap<String, Code>,
    /// Who has let which client know them: they are not asked again.
    authorised: BTreeSet<(u64, String)>,
}

/// What the browser brings to `GET /login/oauth/authorize`.
#[derive(Debug, Clone)]
pub struct Asking {
    pub client: Client,
    /// As it was asked for; the code is bound to it.
    pub redirect: Option<String>,
    pub state: Option<String>,
    pub challenge: Option<String>,
    /// Whether a person is to be chosen, whoever is signed in.
    pub choose: bool,
}

impl Asking {
    /// The address that the browser goes back to.
    pub fn target(&self) -> &str {
        let first = self.client.spec.callbacks.first();
        let target = self.redirect.as_ref().or(first);
        target.map(String::as_str).unwrap_or_default()
    }

    /// Where the browser goes with an answer.
    pub fn back(&self, answer: &[(&str, &str)]) -> String {
        let target = self.target();
        let Ok(mut url) = Url::parse(target) else {
            return target.to_owned();
        };
        url.query_pairs_mut()
            .extend_pairs(answer)
            .extend_pairs(self.state.iter().map(|state| ("state", state)));
        url.into()
    }

    fn refused(&self, error: &str, description: &str) -> String {
        self.back(&[("error", error), ("error_description", description)])
    }

    /// Where the browser goes when the person does not want to be known.
    pub fn denied(&self) -> String {
        self.refused(
            "access_denied",
            "The user has denied your application access.",
        )
    }
}

/// What becomes of the browser.
#[derive(Debug)]
pub enum Step {
    /// It goes there.
    Back(String),
    /// The person is asked.
    Ask(Box<Asking>),
}

/// A form's fields, or a query's.
pub type Fields = BTreeMap<String, String>;

fn filled(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name).filter(|text| !text.is_empty()).cloned()
}

/// An answer as a form, for a program that did not ask for JSON.
pub fn as_form(answer: &Value) -> String {
    let fields = answer.as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields.map(|(name, value)| (name, text(value))))
        .finish()
}

impl World {
    fn client(&self, id: &str) -> Option<&Client> {
        let mut clients = self.sign_ins.clients.iter();
        clients.find(|client| client.spec.id == id)
    }

    /// Looks at what the browser brings. `you` is who is signed in to the stand-in.
    pub fn authorise(&mut self, fields: &Fields, you: Option<u64>) -> Result<Step, Refusal> {
        let id = filled(fields, "client_id").unwrap_or_default();
        let client = self.client(&id).ok_or_else(Refusal::not_found)?.clone();
        let redirect = filled(fields, "redirect_uri");
        let known = |wanted: &String| client.spec.callbacks.contains(wanted);
        let matches = redirect.as_ref().is_none_or(known);
        let asking = Asking {
            redirect: redirect.filter(|_| matches),
            state: filled(fields, "state"),
            challenge: filled(fields, "code_challenge"),
            choose: fields.get("prompt").map(String::as_str) == Some("select_account"),
            client,
        };
        if !matches {
            let words =
                "The redirect_uri MUST match the registered callback URL for this application.";
            return Ok(Step::Back(asking.refused("redirect_uri_mismatch", words)));
        }
        let method = filled(fields, "code_challenge_method");
        let length = asking.challenge.as_ref().map(String::len);
        if !matches!(
            (length, method.as_deref()),
            (None, None) | (Some(43), Some("S256"))
        ) {
            let words =
                "A code_challenge has 43 characters, and its code_challenge_method is S256.";
            return Ok(Step::Back(asking.refused("invalid_request", words)));
        }
        match you.filter(|you| !asking.choose && self.has_authorised(*you, &asking.client)) {
            Some(you) => Ok(Step::Back(self.give_code(&asking, you))),
            None => Ok(Step::Ask(Box::new(asking))),
        }
    }

    fn has_authorised(&self, user: u64, client: &Client) -> bool {
        let pair = (user, client.spec.id.clone());
        self.sign_ins.authorised.contains(&pair)
    }

    /// The person lets the App know them: a code, and where the browser takes it.
    pub fn give_code(&mut self, asking: &Asking, user: u64) -> String {
        let client = asking.client.spec.id.clone();
        self.sign_ins.authorised.insert((user, client.clone()));
        let code = hex::encode(rand::random::<[u8; 10]>());
        let given = Code {
            client,
            user,
            redirect: asking.redirect.clone(),
            challenge: asking.challenge.clone(),
            expires_at: self.now() + CODE_LIFE,
        };
        self.sign_ins.codes.insert(code.clone(), given);
        asking.back(&[("code", &code)])
    }

    /// `POST /login/oauth/access_token`: a token, or an error in the words of GitHub. Both are answered 200.
    pub fn exchange(&mut self, fields: &Fields) -> Value {
        let (user, app) = match self.redeem(fields) {
            Ok(found) => found,
            Err((error, words)) => {
                let at = "https://docs.github.com/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors";
                return json!({ "error": error, "error_description": words, "error_uri": at });
            }
        };
        let secret = format!("ghu_{}", hex::encode(rand::random::<[u8; 18]>()));
        let token = Token {
            user,
            installation: None,
            app: Some(app),
            repositories: None,
            expires_at: Some(self.now() + TOKEN_LIFE),
        };
        self.tokens.insert(secret.clone(), token);
        json!({
            "access_token": secret,
            "expires_in": TOKEN_LIFE.num_seconds(),
            "refresh_token": format!("ghr_{}", hex::encode(rand::random::<[u8; 38]>())),
            "refresh_token_expires_in": REFRESH_LIFE.num_seconds(),
            "scope": "",
            "token_type": "bearer",
        })
    }

    /// Takes a code, which is gone after that, and answers whom it stands for and for which App.
    fn redeem(&mut self, fields: &Fields) -> Result<(u64, u64), (&'static str, &'static str)> {
        let given = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let client = self.client(given("client_id"));
        let Some(client) = client.filter(|client| client.spec.secret == given("client_secret"))
        else {
            return Err((
                "incorrect_client_credentials",
                "The client_id and/or client_secret passed are incorrect.",
            ));
        };
        let (id, app) = (client.spec.id.clone(), client.app);
        let bad = (
            "bad_verification_code",
            "The code passed is incorrect or expired.",
        );
        let code = self.sign_ins.codes.remove(given("code")).ok_or(bad)?;
        let redirect = filled(fields, "redirect_uri");
        if redirect.is_some_and(|wanted| code.redirect.as_ref() != Some(&wanted)) {
            return Err((
                "redirect_uri_mismatch",
                "The redirect_uri MUST match the registered callback URL for this application.",
            ));
        }
        let proved = code.challenge.is_none_or(|challenge| {
            URL_SAFE_NO_PAD.encode(Sha256::digest(given("code_verifier"))) == challenge
        });
        if code.client != id || code.expires_at <= self.now() || !proved {
            return Err(bad);
        }
        Ok((code.user, app))
    }

    /// The people who can sign in, by login.
    pub fn people(&self) -> Vec<(u64, String)> {
        let people = self.accounts.values();
        let people = people.filter(|one| one.kind == AccountKind::User && !one.deleted);
        let mut people: Vec<_> = people.map(|one| (one.id, one.login.clone())).collect();
        people.sort_by(|one, other| one.1.cmp(&other.1));
        people
    }
}

impl Sandbox {
    /// Lets an App sign people in. Naming an App that was not made before is a bug of the caller, and panics.
    pub fn client(&self, app: u64, spec: ClientSpec) {
        let mut world = self.world();
        let known = world.apps.iter().any(|known| known.id == app);
        assert!(known, "the sandbox has no App {app}");
        world
            .sign_ins
            .clients
            .retain(|other| other.spec.id != spec.id);
        world.sign_ins.clients.push(Client { app, spec });
    }

    /// Somebody has let a client know them before, so that they are not asked again.
    pub fn authorises(&self, login: &str, client: &str) {
        let mut world = self.world();
        let user = self.id(&world, login);
        world.sign_ins.authorised.insert((user, client.to_owned()));
    }
}
