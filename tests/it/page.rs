//! The page for people, over HTTP as a browser speaks it: who sees what, what nobody sees, and how access is ended at once.

mod ending;
mod hostile;
mod seeing;
mod signing_in;
mod whose;

use std::net::SocketAddr;

use chrono::TimeDelta;
use hallpass::domain::model::{Login, UserId};
use hallpass::http;
use hallpass::store::{Session, SessionKey};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use crate::leaks;
use crate::world::{Ears, REPO, World, person_file};

/// Where people reach the page, as its configuration says.
pub const ORIGIN: &str = "https://hallpass.test";

/// The configuration of the page, behind that of the forge.
pub const PAGE: &str = "[page]\nurl = \"https://hallpass.test\"\nclient_id = \"Iv1.c11e47\"\nauditors = [\"@acme/auditors\", \"olga\"]\n";

/// A world with its page.
pub struct Site {
    pub world: World,
    address: SocketAddr,
    client: reqwest::Client,
    served: JoinHandle<()>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    /// Where it leads to.
    pub fn location(&self) -> &str {
        self.headers["location"].to_str().unwrap()
    }

    /// The value that a hidden field of its forms has.
    pub fn token(&self) -> String {
        let (_, rest) = self.text.split_once("name=\"token\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    /// What a person reads, without the tags and on one line.
    pub fn words(&self) -> String {
        let tags = regex::Regex::new("<[^>]*>").unwrap();
        let bare = tags.replace_all(&self.text, " ");
        bare.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl Site {
    pub async fn open() -> Self {
        Self::of(World::new(Ears::Hearing, PAGE).await).await
    }

    pub async fn of(world: World) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = world.service().router();
        let served = tokio::spawn(http::serve(listener, router, std::future::pending()));
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            world,
            address,
            client,
            served,
        }
    }

    /// Asks for `path`, with these cookies.
    pub async fn get(&self, path: &str, cookies: &str) -> Answer {
        let url = format!("http://{}{path}", self.address);
        Self::answer(self.client.get(url).header("cookie", cookies)).await
    }

    /// Sends a form as a page of `origin` does.
    pub async fn post(&self, path: &str, (cookies, origin): (&str, &str), body: &str) -> Answer {
        let url = format!("http://{}{path}", self.address);
        let sent = self.client.post(url).header("cookie", cookies);
        let sent = sent
            .header("origin", origin)
            .header("content-type", "application/x-www-form-urlencoded");
        Self::answer(sent.body(body.to_owned())).await
    }

    pub async fn answer(sent: reqwest::RequestBuilder) -> Answer {
        let answer = sent.send().await.unwrap();
        let answer = Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: answer.text().await.unwrap(),
        };
        leaks::in_text("a page", &answer.text);
        answer
    }

    /// The cookie of somebody who signed in just now.
    pub async fn session(&self, login: &str, id: UserId) -> String {
        let secret = format!(
            "the canary of {login}'s session, number {:016x}",
            rand::random::<u64>()
        );
        let now = hallpass::clock::Clock::now(&*self.world.clock);
        let session = Session {
            account: id,
            login: Login::new(login).unwrap(),
            ends: now + TimeDelta::hours(8),
            asked: now,
        };
        let digest = |text: &str| hex::encode(Sha256::digest(text));
        let key = SessionKey {
            key: &digest(&secret),
            sign_in: &digest(&format!("{secret} began")),
        };
        let store = self.world.service().store();
        store.begin_session(key, &session, now).await.unwrap();
        format!("__Host-hallpass={secret}")
    }

    /// The cookie of somebody who has a file below `access/people/`.
    pub async fn signed_in(&self, login: &str) -> String {
        self.session(login, self.number(login)).await
    }

    /// The number of somebody who has a file below `access/people/`.
    pub fn number(&self, login: &str) -> UserId {
        let git = git2::Repository::open(self.world.repository_path()).unwrap();
        let tree = git.revparse_single("main^{tree}").unwrap();
        let tree = tree.as_tree().unwrap();
        let file = tree.get_path(person_file(login).as_ref()).unwrap();
        let blob = git.find_blob(file.id()).unwrap();
        let text = std::str::from_utf8(blob.content()).unwrap();
        let line = text.lines().next().unwrap();
        UserId(line.trim_start_matches("github_id: ").parse().unwrap())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.served.abort();
    }
}

/// `world` with somebody who has a file and is given `role` of `db`; the grant's page.
pub async fn given(site: &Site, name: &str, text: &str) -> String {
    let world = &site.world;
    let author = text.lines().next().unwrap().trim_start_matches("person: ");
    let pull = world.request(author, name, text).await;
    world.approve(pull, "grace").await;
    assert!(world.is_merged(pull), "{REPO}#{pull}");
    let entries = world.entries().await;
    let entry = entries.iter().find(|e| e.path.short() == name).unwrap();
    format!("/grant/{}", entry.id)
}
