//! Smart HTTP for libgit2, in Rust: the vendored libgit2 has no TLS of its own, and reqwest is here anyway.
//!
//! Promises: the token is a header and nothing else, so it is in no URL, no file and no error text. It goes only to the address
//! that it was given for: redirects are errors. A refused token ends the call at once; libgit2's own transport would ask again
//! and again. Nothing waits for ever.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

use base64::Engine;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use reqwest::StatusCode;
use reqwest::blocking::{Client, ClientBuilder, Response};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::ExposeSecret;
use url::{Host, Url};

use super::{Remote, RepoError};

const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);
const WHOLE: Duration = Duration::from_secs(300);

/// Runs `work`, which may talk to `remote` through libgit2 on this thread, and names its failure.
///
/// libgit2 offers no way to hand anything to a registered transport, and carries failures back as text. Both pass by through
/// a slot of this thread: libgit2 calls the transport on the thread that called libgit2.
pub(super) fn session<T>(
    remote: &Remote,
    what: &str,
    work: impl FnOnce() -> Result<T, git2::Error>,
) -> Result<T, RepoError> {
    register();
    let _guard = Guard::begin(remote)?;
    work().map_err(|error| match failure() {
        Some(Failure::Refused(reason)) => RepoError::Refused { reason },
        Some(Failure::Unavailable(source)) => RepoError::Unavailable {
            what: what.to_owned(),
            source,
        },
        None => classify(what, error),
    })
}

/// Failures that libgit2 found itself, in what the remote sent or on the disk.
fn classify(what: &str, error: git2::Error) -> RepoError {
    use git2::{ErrorClass, ErrorCode};
    match (error.code(), error.class()) {
        (ErrorCode::NotFastForward, _) => RepoError::Refused {
            reason: error.message().to_owned(),
        },
        (
            _,
            ErrorClass::Os
            | ErrorClass::Odb
            | ErrorClass::NoMemory
            | ErrorClass::Zlib
            | ErrorClass::Reference,
        ) => RepoError::Broken {
            what: what.to_owned(),
            source: error,
        },
        _ => RepoError::Unavailable {
            what: what.to_owned(),
            source: error.into(),
        },
    }
}

struct Session {
    url: String,
    authorization: Option<HeaderValue>,
    deadline: Instant,
    failure: Option<Failure>,
}

enum Failure {
    Refused(String),
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
}

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// Takes the token out of the thread again, also when `work` panics.
struct Guard;

impl Guard {
    fn begin(remote: &Remote) -> Result<Self, RepoError> {
        let authorization = match &remote.token {
            None => None,
            Some(token) => Some(basic(token.expose_secret())?),
        };
        let url = remote.url.trim_end_matches('/').to_owned();
        let session = Session {
            url,
            authorization,
            deadline: Instant::now() + WHOLE,
            failure: None,
        };
        SESSION.with(|slot| *slot.borrow_mut() = Some(session));
        Ok(Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        SESSION.with(|slot| *slot.borrow_mut() = None);
    }
}

fn basic(token: &str) -> Result<HeaderValue, RepoError> {
    let encoded =
        base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{token}"));
    let mut value =
        HeaderValue::try_from(format!("Basic {encoded}")).map_err(|_| RepoError::Refused {
            reason: "the token cannot be sent in a header".to_owned(),
        })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether the exchange itself failed in this session, rather than what was said in it.
pub(super) fn failed() -> bool {
    SESSION.with(|slot| {
        slot.borrow()
            .as_ref()
            .is_some_and(|session| session.failure.is_some())
    })
}

fn failure() -> Option<Failure> {
    SESSION.with(|slot| {
        slot.borrow_mut()
            .as_mut()
            .and_then(|session| session.failure.take())
    })
}

fn fail(failure: Failure) -> io::Error {
    SESSION.with(|slot| {
        if let Some(session) = slot.borrow_mut().as_mut() {
            session.failure.get_or_insert(failure);
        }
    });
    // A fixed text: git2 aborts the process on an error text with a NUL in it, and the remote must not choose it.
    io::Error::other("the HTTP exchange failed")
}

fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for scheme in ["http", "https"] {
            #[expect(unsafe_code, reason = "git2 marks registering a transport as unsafe; there is no other way to add one")]
            // SAFETY: registering must not run while another thread registers or creates a transport. `Once` lets one thread in
            // and holds the others, and nothing in this crate creates a transport except below `session`, after this.
            let registered = unsafe {
                git2::transport::register(scheme, |remote| Transport::smart(remote, true, Http))
            };
            registered.expect("nobody else registers these schemes, which is the only way to fail");
        }
    });
}

/// The client for an address. What is on this machine is never asked for through a proxy of the environment.
fn client(url: &str) -> Result<&'static Client, Failure> {
    static DIRECT: OnceLock<Result<Client, String>> = OnceLock::new();
    static BY_ENVIRONMENT: OnceLock<Result<Client, String>> = OnceLock::new();
    let client = if is_here(url) {
        DIRECT.get_or_init(|| build(Client::builder().no_proxy()))
    } else {
        BY_ENVIRONMENT.get_or_init(|| build(Client::builder()))
    };
    client
        .as_ref()
        .map_err(|error| Failure::Unavailable(error.clone().into()))
}

fn build(client: ClientBuilder) -> Result<Client, String> {
    client
        // Servers tell git from browsers by this beginning.
        .user_agent(concat!(
            "git/2.0 (hallpass ",
            env!("CARGO_PKG_VERSION"),
            ")"
        ))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .timeout(SILENCE)
        .build()
        .map_err(|error| format!("no HTTP client: {error}"))
}

fn is_here(url: &str) -> bool {
    let url = Url::parse(url).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

struct Http;

impl SmartSubtransport for Http {
    fn action(
        &self,
        url: &str,
        service: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let stream = SESSION.with(|slot| {
            let slot = slot.borrow();
            let session = slot
                .as_ref()
                .filter(|session| session.url == url.trim_end_matches('/'))?;
            Some(Stream {
                url: session.url.clone(),
                authorization: session.authorization.clone(),
                deadline: session.deadline,
                service,
                body: Vec::new(),
                response: None,
            })
        });
        match stream {
            Some(stream) => Ok(Box::new(stream)),
            None => Err(git2::Error::from_str(
                "libgit2 was led to an address that nobody asked for",
            )),
        }
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// One request and its answer: libgit2 writes all of the body, then reads.
struct Stream {
    url: String,
    authorization: Option<HeaderValue>,
    deadline: Instant,
    service: Service,
    body: Vec<u8>,
    response: Option<Response>,
}

impl Stream {
    fn name(&self) -> &'static str {
        match self.service {
            Service::UploadPackLs | Service::UploadPack => "git-upload-pack",
            Service::ReceivePackLs | Service::ReceivePack => "git-receive-pack",
        }
    }

    fn send(&mut self) -> Result<Response, Failure> {
        let (client, name, left) = (client(&self.url)?, self.name(), self.left()?);
        let (request, answer) = match self.service {
            Service::UploadPackLs | Service::ReceivePackLs => {
                let request = client.get(format!("{}/info/refs?service={name}", self.url));
                (
                    request.timeout(left.min(SILENCE)),
                    format!("application/x-{name}-advertisement"),
                )
            }
            Service::UploadPack | Service::ReceivePack => {
                // Receiving may check for long before it says a word; sending begins at once and keeps talking.
                let patience = if name == "git-receive-pack" {
                    left
                } else {
                    left.min(SILENCE)
                };
                let request = client
                    .post(format!("{}/{name}", self.url))
                    .header(CONTENT_TYPE, format!("application/x-{name}-request"))
                    .body(std::mem::take(&mut self.body));
                (
                    request.timeout(patience),
                    format!("application/x-{name}-result"),
                )
            }
        };
        let request = request.header(ACCEPT, &answer);
        let request = match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        };
        let response = request
            .send()
            .map_err(|error| Failure::Unavailable(error.without_url().into()))?;
        judge(response, &answer)
    }

    fn left(&self) -> Result<Duration, Failure> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::Unavailable(
                format!("it took longer than {} s", WHOLE.as_secs()).into(),
            ));
        }
        Ok(left)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.left().map_err(fail)?;
        let mut response = match self.response.take() {
            Some(response) => response,
            None => self.send().map_err(fail)?,
        };
        let read = response
            .read(buffer)
            .map_err(|error| fail(Failure::Unavailable(error.into())))?;
        self.response = Some(response);
        Ok(read)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn judge(response: Response, expected: &str) -> Result<Response, Failure> {
    let status = response.status();
    if status == StatusCode::OK {
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        if kind.split(';').next().unwrap_or_default().trim() == expected {
            return Ok(response);
        }
        return Err(Failure::Unavailable(
            format!("the answer is {kind:?}, not {expected:?}: no git server").into(),
        ));
    }
    let words = words(response);
    let refused = |advice: &str| Failure::Refused(format!("HTTP {status}: {advice}{words}"));
    Err(match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Failure::Unavailable(format!("HTTP {status}{words}").into())
        }
        StatusCode::UNAUTHORIZED => refused("the token is not accepted"),
        StatusCode::FORBIDDEN => refused("the token does not allow this"),
        StatusCode::NOT_FOUND => refused("no such repository, or hidden from this token"),
        _ if status.is_redirection() => refused("the repository has moved; correct its address"),
        _ if status.is_client_error() => refused("the request is not accepted"),
        _ => Failure::Unavailable(format!("HTTP {status}{words}").into()),
    })
}

/// The beginning of an error page, if it is plain text: servers say there what is wrong.
fn words(response: Response) -> String {
    let plain = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let mut text = Vec::new();
    if !plain || response.take(300).read_to_end(&mut text).is_err() {
        return String::new();
    }
    let text = super::remote::one_line(&String::from_utf8_lossy(&text));
    if text.is_empty() {
        text
    } else {
        format!(" ({text})")
    }
}
