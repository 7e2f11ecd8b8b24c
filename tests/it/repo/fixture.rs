//! A repository made with git itself, and a server of it that keeps count.

use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, header};
use base64::Engine;
use hallpass::domain::model::{BlobId, CommitId, GrantPath, Instant};
use hallpass::repo::{Mirror, Remote};
use tempfile::TempDir;

pub const TOKEN: &str = "ghs_TheTokenThatMustNotLeak";

pub fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

pub fn path(short: &str) -> GrantPath {
    GrantPath::new(format!("access/grants/{short}.yaml")).unwrap()
}

/// A bare repository on the forge's side, driven by the git command.
pub struct Origin {
    dir: TempDir,
    ticks: Mutex<i64>,
}

impl Origin {
    pub fn new() -> Self {
        let origin = Self {
            dir: TempDir::new().unwrap(),
            ticks: Mutex::new(0),
        };
        std::fs::create_dir_all(origin.path()).unwrap();
        origin.git(&["init", "-q", "--bare", "-b", "main"]);
        origin.git(&["config", "http.receivepack", "true"]);
        origin.git(&["config", "receive.hideRefs", "refs/pull"]);
        origin
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("acme/access.git")
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn git(&self, args: &[&str]) -> String {
        text(self.git_with(args, b""))
    }

    /// What git says, whether it is content or not.
    pub fn git_output(&self, args: &[&str]) -> Output {
        fed(command(&self.path()).args(args), b"")
    }

    pub fn git_with(&self, args: &[&str], input: &[u8]) -> Output {
        git_in(&self.path(), args, input)
    }

    pub fn write(&self, kind: &str, content: &[u8]) -> String {
        text(self.git_with(
            &["hash-object", "-t", kind, "-w", "--stdin", "--literally"],
            content,
        ))
    }

    pub fn blob(&self, content: &str) -> BlobId {
        BlobId::new(self.write("blob", content.as_bytes())).unwrap()
    }

    /// A tree written byte by byte, so that it can be one that git itself would not make.
    pub fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut data = Vec::new();
        for (mode, name, id) in entries {
            data.extend_from_slice(mode.as_bytes());
            data.push(b' ');
            data.extend_from_slice(name);
            data.push(0);
            data.extend(hex::decode(id).unwrap());
        }
        self.write("tree", &data)
    }

    /// Commits a tree, a second later than the last commit.
    pub fn commit_tree(&self, tree: &str, parents: &[&CommitId]) -> CommitId {
        let mut ticks = self.ticks.lock().unwrap();
        *ticks += 1;
        let date = format!("{} +0000", at("2026-11-24T09:00:00Z").timestamp() + *ticks);
        let parents: String = parents.iter().map(|p| format!("parent {p}\n")).collect();
        let who = format!("Ada <ada@example.org> {date}");
        let commit = format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\nA change\n");
        CommitId::new(self.write("commit", commit.as_bytes())).unwrap()
    }

    /// Commits the tree of the first parent with these files put in (`Some`) or taken out (`None`).
    pub fn commit(&self, parents: &[&CommitId], files: &[(&str, Option<&str>)]) -> CommitId {
        let index = self.dir.path().join("index");
        let _ = std::fs::remove_file(&index);
        let run = |args: &[&str], input: &str| {
            let mut command = command(&self.path());
            text(checked(fed(
                command.env("GIT_INDEX_FILE", &index).args(args),
                input.as_bytes(),
            )))
        };
        if let Some(parent) = parents.first() {
            run(&["read-tree", parent.as_str()], "");
        }
        let entry = |(path, content): &(&str, Option<&str>)| match content {
            Some(content) => format!("100644 {}\t{path}\n", self.blob(content)),
            None => format!("0 {}\t{path}\n", "0".repeat(40)),
        };
        run(
            &["update-index", "--index-info"],
            &files.iter().map(entry).collect::<String>(),
        );
        self.commit_tree(&run(&["write-tree"], ""), parents)
    }

    pub fn set(&self, reference: &str, commit: &CommitId) {
        self.git(&["update-ref", reference, commit.as_str()]);
    }

    pub fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let hook = self.path().join("hooks").join(name);
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(&hook, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The repository itself as a mirror, for tests that are about reading.
    pub async fn mirror(&self) -> Mirror {
        Mirror::open(&self.path()).await.unwrap()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests compare with git itself"
)]
fn command(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(dir)
        .env_clear()
        .env("PATH", env!("PATH"));
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

pub fn git_in(dir: &Path, args: &[&str], input: &[u8]) -> Output {
    checked(fed(command(dir).args(args), input))
}

fn fed(command: &mut Command, input: &[u8]) -> Output {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn checked(output: Output) -> Output {
    assert!(
        output.status.success(),
        "git: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

pub fn text(output: Output) -> String {
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Honest,
    Answers(StatusCode),
    Html,
    Redirects,
}

/// `git http-backend` behind a token, on loopback.
#[derive(Clone)]
pub struct Server {
    address: std::net::SocketAddr,
    root: PathBuf,
    mood: Arc<Mutex<Mood>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub async fn of(origin: &Origin) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            root: origin.root().to_owned(),
            mood: Arc::new(Mutex::new(Mood::Honest)),
            seen: Arc::default(),
        };
        let router = axum::Router::new()
            .fallback(serve)
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    pub fn remote(&self) -> Remote {
        self.remote_with(TOKEN)
    }

    pub fn remote_with(&self, token: &str) -> Remote {
        Remote {
            url: format!("http://{}/acme/access.git", self.address),
            token: Some(token.into()),
        }
    }

    pub fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(State(server): State<Server>, request: Request) -> Response<axum::body::Body> {
    server
        .seen
        .lock()
        .unwrap()
        .push(format!("{} {}", request.method(), request.uri()));
    let answer = |status, kind: &str, text: &'static str| {
        Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, kind)
            .body(text.into())
            .unwrap()
    };
    let mood = *server.mood.lock().unwrap();
    match mood {
        Mood::Honest => {}
        Mood::Answers(status) => return answer(status, "text/plain", "come back\nlater"),
        Mood::Html => {
            return answer(
                StatusCode::OK,
                "text/html",
                "<p>please log in to the wireless network",
            );
        }
        Mood::Redirects => {
            let to = format!("http://{}/elsewhere", server.address);
            return Response::builder()
                .status(301)
                .header(header::LOCATION, to)
                .body(axum::body::Body::empty())
                .unwrap();
        }
    }
    let expected =
        base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{TOKEN}"));
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .map(|value| value.as_bytes().to_vec());
    if given != Some(format!("Basic {expected}").into_bytes()) {
        return answer(
            StatusCode::UNAUTHORIZED,
            "text/plain",
            "Invalid username or token.",
        );
    }
    backend(&server, request).await
}

async fn backend(server: &Server, request: Request) -> Response<axum::body::Body> {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut git = command(&server.root);
    git.arg("http-backend")
        .env("GIT_PROJECT_ROOT", &server.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "x-access-token")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string());
    if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
        git.env("CONTENT_TYPE", kind.to_str().unwrap());
    }
    // From a file: git waits for ever, at full speed, for the rest of a pipe whose writer was killed.
    let mut asked = tempfile::tempfile().unwrap();
    asked.write_all(&body).unwrap();
    asked.rewind().unwrap();
    let mut git = tokio::process::Command::from(git);
    let output = git.stdin(asked).output().await.unwrap().stdout;
    let split = output.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in std::str::from_utf8(&output[..split]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(output[split + 4..].to_vec().into()).unwrap()
}
