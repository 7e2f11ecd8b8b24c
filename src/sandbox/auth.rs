//! Who calls: an App by its JWT, an installation or a person by a token.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use octocrab::jsonwebtoken::{Algorithm, crypto};
use serde_json::Value;

use crate::clock::{Clock, SystemClock};

use super::model::{Permission, TOKEN_LIFE};
use super::refusal::Refusal;
use super::world::{Token, World};

/// How far GitHub lets a caller's clock be off.
const DRIFT: i64 = 60;

/// Whom a call comes from.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Nobody in particular.
    Anonymous,
    /// An App as itself.
    App(u64),
    /// An installation or a person.
    Token(Token),
}

/// What a call needs.
#[derive(Debug, Clone, Copy)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// An App's JWT.
    App,
    /// A permission of the installation, `read` or `write`, by any of these names.
    Read(&'static [&'static str]),
    /// As [`Needs::Read`], to write.
    Write(&'static [&'static str]),
}

fn bad_credentials() -> Refusal {
    Refusal::new(401, "Bad credentials")
}

/// What an App's token is told that lacks a permission, or is no person's.
pub fn inaccessible() -> Refusal {
    Refusal::new(403, "Resource not accessible by integration")
}

/// Whether permissions hold one of these names, to read or to write.
fn grants(granted: &BTreeMap<String, String>, names: &[&str], write: bool) -> bool {
    let enough = |level: &String| !write || level == "write" || level == "admin";
    let mut names = names.iter();
    names.any(|name| granted.get(*name).is_some_and(enough))
}

impl World {
    /// Who is behind an `Authorization` header.
    pub fn caller(&self, header: Option<&str>) -> Result<Caller, Refusal> {
        let Some(header) = header else {
            return Ok(Caller::Anonymous);
        };
        let (scheme, secret) = header.split_once(' ').ok_or_else(bad_credentials)?;
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" | "token" if secret.split('.').count() == 3 => {
                self.app_of(secret).map(Caller::App)
            }
            "bearer" | "token" => self.token(secret).map(Caller::Token),
            "basic" => {
                let pair = STANDARD
                    .decode(secret)
                    .ok()
                    .and_then(|pair| String::from_utf8(pair).ok());
                let pair = pair.ok_or_else(bad_credentials)?;
                let (_, token) = pair.split_once(':').ok_or_else(bad_credentials)?;
                self.token(token).map(Caller::Token)
            }
            _ => Err(bad_credentials()),
        }
    }

    fn token(&self, secret: &str) -> Result<Token, Refusal> {
        let token = self.tokens.get(secret).ok_or_else(bad_credentials)?;
        if token.expires_at.is_some_and(|end| end <= self.now()) {
            return Err(bad_credentials());
        }
        if let Some((id, _)) = &token.installation
            && !self
                .installations
                .iter()
                .any(|installation| installation.id == *id && !installation.suspended)
        {
            return Err(Refusal::new(403, "This installation has been suspended"));
        }
        Ok(token.clone())
    }

    /// The App that signed a JWT.
    ///
    /// Signing is deterministic for RS256, so signing again with the App's own key verifies. The claims are held against both
    /// clocks: octocrab signs with the machine's time, whatever the sandbox's clock shows.
    fn app_of(&self, jwt: &str) -> Result<u64, Refusal> {
        let undecodable = || Refusal::new(401, "A JSON web token could not be decoded");
        let (message, signature) = jwt.rsplit_once('.').ok_or_else(undecodable)?;
        let (header, claims) = message.split_once('.').ok_or_else(undecodable)?;
        let json = |part: &str| -> Option<Value> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
        };
        let header = json(header).ok_or_else(undecodable)?;
        let claims = json(claims).ok_or_else(undecodable)?;
        let issuer = match &claims["iss"] {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        let app = self
            .apps
            .iter()
            .find(|app| Some(app.id) == issuer)
            .ok_or_else(|| Refusal::new(404, "Integration not found"))?;
        let expected = crypto::sign(message.as_bytes(), &app.key, Algorithm::RS256)
            .map_err(|_| undecodable())?;
        if header["alg"] != "RS256" || expected != signature {
            return Err(undecodable());
        }
        let (Some(iat), Some(exp)) = (claims["iat"].as_i64(), claims["exp"].as_i64()) else {
            return Err(Refusal::new(
                401,
                "Missing 'issued at' claim ('iat') or 'Expiration time' claim ('exp') in assertion",
            ));
        };
        let words = [self.now().timestamp(), SystemClock.now().timestamp()]
            .map(|now| wrong_times(now, iat, exp));
        match words {
            [Some(word), Some(_)] => Err(Refusal::new(401, word)),
            _ => Ok(app.id),
        }
    }

    /// Makes a token for an installation.
    pub fn issue_token(
        &mut self,
        installation: u64,
        permissions: BTreeMap<String, String>,
        repositories: Option<BTreeSet<usize>>,
    ) -> Result<(String, Token), Refusal> {
        let found = self
            .installations
            .iter()
            .find(|candidate| candidate.id == installation)
            .ok_or_else(Refusal::not_found)?;
        if found.suspended {
            return Err(Refusal::new(403, "This installation has been suspended"));
        }
        let app = self
            .apps
            .iter()
            .find(|app| app.id == found.app)
            .ok_or_else(Refusal::not_found)?;
        let user = app.bot;
        let secret = format!("ghs_{}", hex::encode(rand::random::<[u8; 18]>()));
        let expires_at = Some(self.now() + TOKEN_LIFE);
        let token = Token {
            user,
            installation: Some((installation, permissions)),
            app: None,
            repositories,
            expires_at,
        };
        self.tokens.insert(secret.clone(), token.clone());
        Ok((secret, token))
    }

    /// Refuses a call whose caller lacks what it needs.
    pub fn permit(
        &self,
        caller: &Caller,
        needs: Needs,
        repo: Option<usize>,
    ) -> Result<(), Refusal> {
        let (names, write) = match needs {
            Needs::Nothing => return Ok(()),
            Needs::App => {
                return match caller {
                    Caller::App(_) => Ok(()),
                    Caller::Anonymous => Err(Refusal::new(401, "Requires authentication")),
                    Caller::Token(_) => {
                        Err(Refusal::new(401, "A JSON web token could not be decoded"))
                    }
                };
            }
            Needs::Read(names) => (names, false),
            Needs::Write(names) => (names, true),
        };
        let token = match caller {
            Caller::Token(token) => token,
            Caller::App(_) => return Err(Refusal::new(401, "Bad credentials")),
            Caller::Anonymous => return Err(Refusal::new(401, "Requires authentication")),
        };
        if repo.is_some_and(|repo| !self.shows(token, repo)) {
            return Err(Refusal::not_found());
        }
        let through = |app: u64| self.apps.iter().find(|known| known.id == app);
        let app = token.app.and_then(through).map(|app| &app.permissions);
        let granted = token.installation.as_ref().map(|(_, granted)| granted);
        if let Some(granted) = granted.or(app)
            && !grants(granted, names, write)
        {
            return Err(inaccessible());
        }
        match &token.installation {
            Some(_) => Ok(()),
            None => self.permit_person(token.user, names, write, repo),
        }
    }

    /// Whether there is such a repository as far as a token's holder is told.
    pub fn shows(&self, token: &Token, repo: usize) -> bool {
        let id = self.repos[repo].id;
        let narrowed = token.repositories.as_ref();
        narrowed.is_none_or(|only| only.contains(&repo))
            && self.selected(token).is_none_or(|only| only.contains(&id))
            && token.app.is_none_or(|app| self.reaches(app, id))
    }

    /// Whether an App is installed where it sees the repository with this number.
    fn reaches(&self, app: u64, repository: u64) -> bool {
        self.installations.iter().any(|one| {
            let shown = one.only.as_ref();
            one.app == app && !one.suspended && shown.is_none_or(|only| only.contains(&repository))
        })
    }

    /// The repositories that a token's installation was given, where those are not all.
    pub fn selected(&self, token: &Token) -> Option<&BTreeSet<u64>> {
        let (id, _) = token.installation.as_ref()?;
        let found = self.installations.iter().find(|one| one.id == *id)?;
        found.only.as_ref()
    }

    /// People act through their own role: writers change what is in git, readers may comment and review.
    fn permit_person(
        &self,
        user: u64,
        names: &[&str],
        write: bool,
        repo: Option<usize>,
    ) -> Result<(), Refusal> {
        let Some(repo) = repo else { return Ok(()) };
        if names == ["checks"] && write {
            return Err(Refusal::new(403, "You must authenticate via a GitHub App."));
        }
        let pushes = write && names.contains(&"contents");
        self.demand(
            user,
            repo,
            if pushes {
                Permission::Push
            } else {
                Permission::Pull
            },
        )
    }
}

/// What is wrong with a JWT's times, as seen at `now`.
fn wrong_times(now: i64, iat: i64, exp: i64) -> Option<&'static str> {
    if iat > now + DRIFT {
        return Some(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        );
    }
    if exp <= now {
        return Some(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        );
    }
    if exp > now + 600 + DRIFT {
        return Some("'Expiration time' claim ('exp') is too far in the future");
    }
    None
}
