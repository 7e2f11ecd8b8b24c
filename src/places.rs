//! The port to places outside, where anchors of the evidence are kept: what is put there stays as it is, or is told to have changed.
//!
//! A place does what it is asked and decides nothing. Whether what it holds is an anchor, whose, and whether the evidence agrees, says
//! [`crate::domain::anchor`].

pub mod file;
pub mod http;
pub mod s3;

use async_trait::async_trait;

use crate::providers::http::Failure;

/// Why a place did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Try again. Whether something was written is unknown.
    #[error("{place} is unavailable")]
    Unavailable {
        /// Which place, in words for people.
        place: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A person must act: a missing right, a wrong address, something else under the name.
    #[error("{place} refuses: {reason}")]
    Refused {
        /// Which place.
        place: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// What stands under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stands {
    /// These bytes.
    This(Vec<u8>),
    /// Nothing.
    Nothing,
    /// It may be written and not read.
    Unreadable,
}

/// A place outside.
#[async_trait]
pub trait Place: Send + Sync {
    /// What it is, for people. Holds no secret.
    fn shown(&self) -> String;

    /// Puts `bytes` under `name`, where nothing stands yet: nothing is ever written over. Doing it twice is doing it once. Says what
    /// the place answered.
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<String, PlaceError>;

    /// What stands under `name`.
    async fn get(&self, name: &str) -> Result<Stands, PlaceError>;

    /// Every name there is; `None` where the place does not list them.
    async fn names(&self) -> Result<Option<Vec<String>>, PlaceError>;
}

/// What a failure of the HTTP client means for a place.
fn failed(place: &str, failure: Failure) -> PlaceError {
    let place = place.to_owned();
    match failure {
        Failure::Unavailable { .. } => PlaceError::Unavailable {
            place,
            source: failure.into(),
        },
        other => PlaceError::Refused {
            place,
            reason: other.to_string(),
        },
    }
}

/// What it means that something stands under the name already.
fn there_already(
    place: &str,
    (name, bytes): (&str, &[u8]),
    stands: Stands,
) -> Result<String, PlaceError> {
    match stands {
        Stands::This(found) if found == bytes => {
            Ok("it stood there already, byte for byte".to_owned())
        }
        Stands::This(_) => Err(PlaceError::Refused {
            place: place.to_owned(),
            reason: format!(
                "something else stands there under the name {name}, and nothing is written over; find out who put it there"
            ),
        }),
        Stands::Unreadable => {
            Ok("something stood there already under that name, and may not be read".to_owned())
        }
        Stands::Nothing => Err(PlaceError::Unavailable {
            place: place.to_owned(),
            source: format!("it says that {name} stands there, and does not have it").into(),
        }),
    }
}
