//! One call of the REST interface: what came in, and what goes out.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::auth::Caller;
use super::model::TOKEN_LIFE;
use super::refusal::Refusal;
use super::world::World;

/// What came in.
#[derive(Debug)]
pub struct Call {
    /// Path parameters, by the contract's names.
    pub params: Vec<(&'static str, String)>,
    pub query: Vec<(String, String)>,
    pub body: Value,
    pub caller: Caller,
    pub accept: String,
    /// The address without the query, for `Link`.
    pub url: String,
    /// The repository named in the path.
    pub repo: Option<usize>,
}

/// What goes out.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Option<Value>,
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// With a body.
    pub fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Some(body),
            headers: Vec::new(),
        }
    }

    /// 200.
    pub fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    /// 204.
    pub fn empty() -> Self {
        Self {
            status: 204,
            body: None,
            headers: Vec::new(),
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::json(refusal.status, refusal.body())
    }
}

/// What every route answers.
pub type Answered = Result<Answer, Refusal>;

impl Call {
    /// A path parameter. Asking for one that the template lacks is a bug.
    pub fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, value)| value.as_str())
            .unwrap_or_else(|| panic!("the route has no parameter `{name}`"))
    }

    /// A path parameter that is a number; 404 otherwise, as for anything unknown.
    pub fn number(&self, name: &str) -> Result<u64, Refusal> {
        self.param(name).parse().map_err(|_| Refusal::not_found())
    }

    /// A query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A text of the body.
    pub fn text(&self, name: &str) -> Option<String> {
        self.body[name].as_str().map(str::to_owned)
    }

    /// A text that the body must have.
    pub fn needed(&self, name: &str) -> Result<String, Refusal> {
        self.text(name).ok_or_else(|| {
            Refusal::new(
                422,
                format!("Invalid request.\n\n\"{name}\" wasn't supplied."),
            )
        })
    }

    /// A value of the body.
    pub fn value<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.body[name].clone()).ok()
    }

    /// The repository of the path; 404 where there is none.
    pub fn repository(&self) -> Result<usize, Refusal> {
        self.repo.ok_or_else(Refusal::not_found)
    }

    /// The account that acts.
    pub fn user(&self) -> Result<u64, Refusal> {
        match &self.caller {
            Caller::Token(token) => Ok(token.user),
            _ => Err(Refusal::new(401, "Requires authentication")),
        }
    }

    /// The App that acts, where it is one.
    pub fn app(&self, world: &World) -> Option<u64> {
        match &self.caller {
            Caller::App(app) => Some(*app),
            Caller::Token(token) => {
                let (id, _) = token.installation.as_ref()?;
                world
                    .installations
                    .iter()
                    .find(|installation| installation.id == *id)
                    .map(|installation| installation.app)
            }
            Caller::Anonymous => None,
        }
    }

    /// One page of a list, with its `Link` header.
    pub fn page(&self, items: Vec<Value>) -> Answer {
        self.page_of(items, Value::Array)
    }

    /// One page of a list, wrapped into the answer's shape.
    pub fn page_of(&self, items: Vec<Value>, wrap: impl FnOnce(Vec<Value>) -> Value) -> Answer {
        let asked = |name: &str, otherwise: usize| {
            self.query(name)
                .and_then(|value| value.parse().ok())
                .unwrap_or(otherwise)
        };
        let size = asked("per_page", 30).clamp(1, 100);
        let page = asked("page", 1).max(1);
        let last = items.len().div_ceil(size).max(1);
        let shown = items
            .into_iter()
            .skip((page - 1) * size)
            .take(size)
            .collect();
        let mut answer = Answer::ok(wrap(shown));
        let mut links = Vec::new();
        if page > 1 {
            links.push(self.link(page - 1, "prev"));
            links.push(self.link(1, "first"));
        }
        if page < last {
            links.push(self.link(page + 1, "next"));
            links.push(self.link(last, "last"));
        }
        if !links.is_empty() {
            answer.headers.push(("link", links.join(", ")));
        }
        answer
    }

    fn link(&self, page: usize, rel: &str) -> String {
        let others = self.query.iter().filter(|(name, _)| name != "page");
        let mut query: url::form_urlencoded::Serializer<'_, String> =
            url::form_urlencoded::Serializer::new(String::new());
        query
            .extend_pairs(others)
            .append_pair("page", &page.to_string());
        format!("<{}?{}>; rel=\"{rel}\"", self.url, query.finish())
    }

    /// Who counts against which budget.
    pub fn budget(&self) -> String {
        match &self.caller {
            Caller::Anonymous => "anonymous".to_owned(),
            Caller::App(app) => format!("app {app}"),
            Caller::Token(token) => format!("user {}", token.user),
        }
    }
}

/// GitHub's hourly budget.
pub const HOURLY: u64 = 5000;

impl World {
    /// Counts a call against its caller's hour, and answers how many it made, and when the hour ends (Unix seconds).
    pub fn count(&mut self, budget: &str) -> (u64, i64) {
        let now = self.now().timestamp();
        let hour = TOKEN_LIFE.num_seconds();
        let entry = self
            .used
            .entry(budget.to_owned())
            .or_insert((now + hour, 0));
        if entry.0 <= now {
            *entry = (now + hour, 0);
        }
        entry.1 += 1;
        (entry.1, entry.0)
    }
}
