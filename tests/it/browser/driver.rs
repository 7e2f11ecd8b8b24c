//! As much of the WebDriver protocol (<https://www.w3.org/TR/webdriver2/>) as a window needs: JSON over HTTP.
//!
//! Our own, because the crates for it weigh on every test: one makes `String + &String` ambiguous in the whole binary.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::{Value, json};

/// The name under which the protocol hides the id of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// What is said of an element whose page is not shown any more.
const GONE: [&str; 2] = ["stale element", "does not belong to the document"];

/// A session with a driver.
pub struct Driver {
    client: reqwest::Client,
    session: String,
}

/// How an element is looked for.
#[derive(Debug, Clone, Copy)]
pub enum By<'a> {
    Css(&'a str),
    XPath(&'a str),
}

impl Driver {
    /// Begins a session in Chromium with these flags.
    pub async fn begin(address: SocketAddr, flags: &[&str]) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let root = format!("http://{address}/session");
        let wanted = json!({ "browserName": "chrome", "goog:chromeOptions": { "args": flags } });
        let wanted = json!({ "capabilities": { "alwaysMatch": wanted } });
        let begun = answer(client.post(&root).json(&wanted)).await;
        let begun = begun.expect("Chromium starts; `tests/run` installs it");
        let id = begun["sessionId"].as_str().unwrap();
        Self {
            session: format!("{root}/{id}"),
            client,
        }
    }

    /// Asks the driver.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, String> {
        let request = self
            .client
            .request(method, format!("{}{path}", self.session));
        answer(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let done = self.ask(Method::POST, path, Some(body)).await;
        done.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    async fn get(&self, path: &str) -> Result<String, String> {
        let found = self.ask(Method::GET, path, None).await?;
        Ok(found.as_str().unwrap_or_default().to_owned())
    }

    pub async fn goto(&self, address: &str) {
        self.post("/url", json!({ "url": address })).await;
    }

    pub async fn refresh(&self) {
        self.post("/refresh", json!({})).await;
    }

    pub async fn address(&self) -> String {
        self.get("/url").await.unwrap()
    }

    pub async fn source(&self) -> String {
        self.get("/source").await.unwrap()
    }

    /// Runs a function's body in the page, and answers what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] }))
            .await
    }

    /// As [`Driver::run`], for a body that calls its last argument when it is done.
    pub async fn run_on(&self, script: &str) -> Value {
        self.post("/execute/async", json!({ "script": script, "args": [] }))
            .await
    }

    /// A command of Chromium's own protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("/goog/cdp/execute", body).await;
    }

    /// The id of an element.
    pub async fn find(&self, by: By<'_>) -> Result<String, String> {
        let (using, value) = match by {
            By::Css(selector) => ("css selector", selector),
            By::XPath(path) => ("xpath", path),
        };
        let body = json!({ "using": using, "value": value });
        let found = self.ask(Method::POST, "/element", Some(body)).await?;
        Ok(found[ELEMENT].as_str().unwrap_or_default().to_owned())
    }

    /// What stands in an element. It may be gone by now.
    pub async fn text(&self, element: &str) -> Result<String, String> {
        self.get(&format!("/element/{element}/text")).await
    }

    pub async fn property(&self, element: &str, name: &str) -> String {
        let path = format!("/element/{element}/property/{name}");
        self.get(&path).await.unwrap()
    }

    /// Presses an element. Whether it was still there: a page may give way to the next one in between.
    pub async fn click(&self, element: &str) -> bool {
        let path = format!("/element/{element}/click");
        match self.ask(Method::POST, &path, Some(json!({}))).await {
            Ok(_) => true,
            Err(error) if GONE.iter().any(|gone| error.contains(gone)) => false,
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// Types into an element. It may be gone by now.
    pub async fn fill(&self, element: &str, text: &str) -> Result<(), String> {
        let clear = format!("/element/{element}/clear");
        self.ask(Method::POST, &clear, Some(json!({}))).await?;
        let type_in = format!("/element/{element}/value");
        let text = json!({ "text": text });
        self.ask(Method::POST, &type_in, Some(text)).await.map(drop)
    }

    /// Ends the session, and the browser with it.
    pub async fn quit(&self) {
        self.ask(Method::DELETE, "", None).await.unwrap();
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Value, String> {
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let fine = answer.status().is_success();
    let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
    let body: Value = serde_json::from_str(&text).map_err(|_| text.clone())?;
    match fine {
        true => Ok(body["value"].clone()),
        false => Err(format!(
            "{}: {}",
            body["value"]["error"], body["value"]["message"]
        )),
    }
}
