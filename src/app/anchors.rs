//! The places at which anchors of the evidence are kept, connected.

use std::sync::Arc;

use anyhow::Context as _;
use url::Url;

use super::providers::{keys, settings};
use super::service::delta;
use crate::clock::Clock;
use crate::config::{self, Bucket, Config, Endpoint, PlaceKind};
use crate::domain::anchor::Whose;
use crate::places::Place;
use crate::places::file::Folder;
use crate::places::http::Receiver;
use crate::places::s3::{self, S3};
use crate::providers::aws::regional;
use crate::providers::http::Http;
use crate::reconcile::{Anchoring, Anchorings};

/// A place for each table of the configuration. Nothing is called.
///
/// # Errors
/// When an address or a key of one cannot be used.
pub(super) fn connect(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Anchorings> {
    let mut anchorings = Anchorings {
        whose: Whose {
            repository: config.github.repository.to_string(),
            branch: config.evidence.branch.clone(),
        },
        places: Default::default(),
    };
    for (name, configured) in &config.evidence.anchors {
        let place = place(&configured.kind, clock);
        let place = place.with_context(|| format!("cannot set up [evidence.anchor.{name}]"))?;
        let every = delta(configured.every);
        let anchoring = Anchoring { place, every };
        anchorings.places.insert(name.clone(), anchoring);
    }
    Ok(anchorings)
}

fn place(kind: &PlaceKind, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Place>> {
    Ok(match kind {
        PlaceKind::File { folder } => Arc::new(Folder::new(folder.clone())),
        PlaceKind::Http { endpoint, token } => {
            let http = Http::with_token(settings(endpoint, clock), "Bearer", token)?;
            Arc::new(Receiver::new(http, &endpoint.url))
        }
        PlaceKind::S3(bucket) => {
            let url = address(bucket)?;
            let endpoint = Endpoint {
                url: url.clone(),
                ca: bucket.aws.ca.clone(),
                allow_link_local: bucket.aws.allow_link_local,
            };
            let http = Http::new(settings(&endpoint, clock))?;
            let at = s3::Bucket {
                url,
                name: bucket.name.clone(),
                prefix: bucket.prefix.clone(),
            };
            Arc::new(S3::new(http, keys(&bucket.aws), at))
        }
    })
}

/// Where the bucket is. It stands in the host's name at AWS, unless a certificate could not be for that; and in the path elsewhere.
fn address(Bucket { name, aws, .. }: &Bucket) -> anyhow::Result<Url> {
    let config::Aws {
        region, endpoint, ..
    } = aws;
    let host = regional("s3", region);
    let url = match endpoint {
        Some(endpoint) => {
            let root = endpoint.as_str().trim_end_matches('/');
            format!("{root}/{name}/")
        }
        None if name.contains('.') => format!("https://{host}/{name}/"),
        None => format!("https://{name}.{host}/"),
    };
    Ok(url.parse()?)
}
