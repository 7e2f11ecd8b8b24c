//! Which addresses may be spoken to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Whether addresses may be used that lead to a machine's neighbours and to its cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum LinkLocal {
    Refused,
    Allowed,
}

/// Which addresses a connection may speak to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This machine only: what goes there without TLS stays on it.
    ThisMachine,
    /// Every address that one server has in a network, but no link-local one and none under which clouds tell secrets to machines.
    Network,
    /// Every address.
    Anywhere,
}

/// An address that is not spoken to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Forbidden(String);

/// Addresses outside the link-local ranges at which clouds tell machines their credentials.
const METADATA: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), // AWS
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),                    // Azure
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),                  // Alibaba
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),                      // Oracle
];

impl Reach {
    /// What a connection to `url` may speak to.
    ///
    /// # Errors
    /// Why `url` can be no such connection's, in words for its operator.
    pub fn of(url: &Url, link_local: LinkLocal) -> Result<Self, String> {
        let reach = match (url.scheme(), link_local) {
            ("http", _) => Self::ThisMachine,
            ("https", LinkLocal::Allowed) => Self::Anywhere,
            ("https", LinkLocal::Refused) => Self::Network,
            _ => return Err("its address must begin with https://".to_owned()),
        };
        let literal = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain(name)) if reach == Self::ThisMachine && name != "localhost" => {
                return Err(
                    "away from this machine its address must begin with https://".to_owned(),
                );
            }
            Some(Host::Domain(_)) => None,
            None => return Err("its address names no server".to_owned()),
        };
        match literal {
            Some(ip) if !reach.permits(ip) => Err(reach.why_not(ip)),
            _ => Ok(reach),
        }
    }

    /// Whether `ip` may be spoken to.
    pub fn permits(self, ip: IpAddr) -> bool {
        let ip = plain(ip);
        match self {
            Self::ThisMachine => ip.is_loopback(),
            Self::Network => {
                let local = match ip {
                    IpAddr::V4(ip) => {
                        ip.is_link_local() || ip.is_broadcast() || ip.octets()[0] == 0
                    }
                    IpAddr::V6(ip) => ip.is_unicast_link_local(),
                };
                !(local || ip.is_unspecified() || ip.is_multicast() || METADATA.contains(&ip))
            }
            Self::Anywhere => true,
        }
    }

    fn why_not(self, ip: IpAddr) -> String {
        match self {
            Self::ThisMachine => {
                format!("{ip} is another machine; there its address must begin with https://")
            }
            Self::Network | Self::Anywhere => format!(
                "{ip} is a link-local or metadata address; write allow_link_local = true if it is meant"
            ),
        }
    }
}

/// The IPv4 address that an IPv6 address stands for, where it stands for one: mapped, or translated (RFC 6052).
fn plain(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = ip else { return ip };
    if let Some(four) = six.to_ipv4_mapped() {
        return IpAddr::V4(four);
    }
    match six.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => ip,
    }
}

/// Looks names up, and withholds the addresses that may not be spoken to. Asked for every new connection, so that a name which leads
/// elsewhere later is caught too.
#[derive(Debug, Clone, Copy)]
pub struct Guard(Reach);

impl Guard {
    /// For connections within `reach`.
    pub fn new(reach: Reach) -> Self {
        Self(reach)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (fine, refused): (Vec<SocketAddr>, Vec<SocketAddr>) =
                found.partition(|at| reach.permits(at.ip()));
            match (fine.is_empty(), refused.first()) {
                (true, Some(at)) => Err(Forbidden(reach.why_not(at.ip())).into()),
                _ => Ok(Box::new(fine.into_iter()) as Addrs),
            }
        })
    }
}
