//! `[notices.mail]`: plain text by SMTP, never HTML.
//!
//! What others wrote stands in the body, which is text. The subject is one line without characters that cannot be seen, encoded by the
//! library; a message is called by its id, so that a server or a reader which keeps ids shows it once.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Channel, NotifyError, Recipient, id};
use crate::domain::message::Message;
use crate::http_client::CALL;
use crate::secrets::Secrets;

const NAME: &str = "mail";

/// How long one command may take.
const COMMAND: Duration = Duration::from_secs(15);

/// How much of a server's words is repeated, in characters.
const WORDS: usize = 300;

/// The longest subject, in characters.
const SUBJECT: usize = 150;

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// It is from the first byte on.
    Tls,
    /// By STARTTLS before anything is said; without it nothing is.
    StartTls,
    /// It is not: only to this machine.
    None,
}

/// As whom to speak to the server.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: SecretString,
}

/// A server, and between whom mails go.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name, which its certificate has too.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub protection: Protection,
    /// Further authorities that its certificate may be from, as PEM.
    pub ca: Option<String>,
    /// As whom; `None` where it asks nobody.
    pub login: Option<Login>,
    /// From whom: `Hallpass <hallpass@example.org>`.
    pub from: String,
    /// To whom what is everybody's goes.
    pub to: String,
}

/// Why mail cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// A server that takes mail.
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Mailbox,
    server: String,
    secrets: Secrets,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Mail {
    /// The server of `settings`. Nothing is connected yet.
    ///
    /// # Errors
    /// When an address or a certificate is none.
    pub fn new(settings: Settings) -> Result<Self, Unusable> {
        let mailbox = |text: &str| {
            text.parse::<Mailbox>()
                .map_err(|error| Unusable(format!("{text:?} is no address of mail: {error}")))
        };
        let (from, to) = (mailbox(&settings.from)?, mailbox(&settings.to)?);
        let domain = from.email.domain().to_owned();
        let tls = tls(&settings)?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.server)
            .port(settings.port)
            .tls(tls)
            .timeout(Some(COMMAND))
            .hello_name(ClientId::Domain(domain));
        let (transport, secrets) = match settings.login {
            None => (transport, Secrets::default()),
            Some(Login { user, password }) => {
                let text = password.expose_secret();
                // As it goes over the wire: AUTH PLAIN is base64 of both, with a zero before each.
                let secrets = Secrets::default()
                    .with("the password", text)
                    .with("the credentials", &format!("\0{user}\0{text}"));
                let credentials = Credentials::new(user, text.to_owned());
                (transport.credentials(credentials), secrets)
            }
        };
        Ok(Self {
            transport: transport.build(),
            from,
            to,
            server: settings.server,
            secrets,
        })
    }

    fn written(&self, message: &Message, to: Mailbox) -> Result<lettre::Message, NotifyError> {
        let own = |domain: &str| format!("<{}@{domain}>", id(message));
        let mail: MessageBuilder = lettre::Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(subject(&message.title))
            .message_id(Some(own(self.from.email.domain())))
            .date(message.at.into())
            .raw_header(automatic())
            .header(ContentType::TEXT_PLAIN);
        mail.body(message.text())
            .map_err(|error| NotifyError::Refused {
                channel: NAME,
                reason: format!("a mail cannot be written: {error}"),
            })
    }

    /// What the server's words mean. A no to the recipient is one about the recipient.
    fn failed(&self, what: &str, error: &smtp::Error) -> NotifyError {
        let said = self.secrets.hide(&error.to_string());
        let plain = said.chars().map(|c| if c.is_control() { ' ' } else { c });
        let words: String = plain.take(WORDS).collect();
        let code = error.status().map(u16::from);
        match code {
            Some(550 | 551 | 553) => NotifyError::NoRecipient {
                channel: NAME,
                reason: format!("{what}: {words}"),
            },
            Some(500..) => NotifyError::Refused {
                channel: NAME,
                reason: format!("{what}: {words}"),
            },
            _ => NotifyError::Unavailable {
                channel: NAME,
                what: what.to_owned(),
                retry_at: None,
                source: words.into(),
            },
        }
    }

    /// All that one mail needs, within [`CALL`].
    async fn within<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, smtp::Error>>,
    ) -> Result<T, NotifyError> {
        match tokio::time::timeout(CALL, work).await {
            Ok(done) => done.map_err(|error| self.failed(what, &error)),
            Err(elapsed) => Err(NotifyError::Unavailable {
                channel: NAME,
                what: what.to_owned(),
                retry_at: None,
                source: elapsed.into(),
            }),
        }
    }
}

/// What tells other programs not to answer: RFC 3834, section 5.
fn automatic() -> HeaderValue {
    HeaderValue::new(
        HeaderName::new_from_ascii_str("Auto-Submitted"),
        "auto-generated".to_owned(),
    )
}

/// One line: nothing that ends a header, nothing that cannot be seen.
fn subject(title: &str) -> String {
    let plain = title.chars().map(|c| if c.is_control() { ' ' } else { c });
    let title: String = plain.take(SUBJECT).collect();
    format!("[hallpass] {title}")
}

fn tls(settings: &Settings) -> Result<Tls, Unusable> {
    if settings.protection == Protection::None {
        return Ok(Tls::None);
    }
    let unusable = |error: smtp::Error| Unusable(format!("there is no TLS for mail: {error}"));
    let mut parameters = TlsParameters::builder(settings.server.clone());
    if let Some(pem) = &settings.ca {
        let authority = Certificate::from_pem(pem.as_bytes()).map_err(unusable)?;
        parameters = parameters.add_root_certificate(authority);
    }
    let parameters = parameters.build_rustls().map_err(unusable)?;
    Ok(match settings.protection {
        Protection::Tls => Tls::Wrapper(parameters),
        Protection::StartTls | Protection::None => Tls::Required(parameters),
    })
}

#[async_trait]
impl Channel for Mail {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn send(&self, message: &Message, to: Recipient<'_>) -> Result<(), NotifyError> {
        let to = match to {
            Recipient::Everybody => self.to.clone(),
            Recipient::Person(address) => match address.parse() {
                Ok(email) => Mailbox::new(None, email),
                Err(error) => {
                    return Err(NotifyError::NoRecipient {
                        channel: NAME,
                        reason: format!("it is no address of mail: {error}"),
                    });
                }
            },
        };
        let mail = self.written(message, to)?;
        let sent = self.within("sending a mail", self.transport.send(mail));
        sent.await.map(drop)
    }

    async fn check(&self) -> Result<String, NotifyError> {
        let what = "greeting the mail server";
        match self.within(what, self.transport.test_connection()).await? {
            true => Ok(format!(
                "{} takes mail from us; nothing was sent",
                self.server
            )),
            false => Err(NotifyError::Unavailable {
                channel: NAME,
                what: what.to_owned(),
                retry_at: None,
                source: "it does not answer NOOP".into(),
            }),
        }
    }
}
