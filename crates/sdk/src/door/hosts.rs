//! Who may be asked: a browser on the same machine must not reach an API that starts processes. A request
//! whose `Host` is not one of ours comes from a rebound name; one with a foreign `Origin` comes from a page.

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Names under which a door answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    names: BTreeSet<String>,
    any: bool,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignRequest {
    /// The name it was sent to is not one of ours.
    #[error("host `{0}` is not served here; add it to the door's `hosts` if it should be")]
    Host(String),
    /// It comes from a page of another site.
    #[error("requests from pages of `{0}` are not answered")]
    Origin(String),
}

impl Hosts {
    /// `localhost`, the loopback addresses and these names or addresses (without ports).
    #[must_use]
    pub fn loopback_and(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().map(|n| n.to_ascii_lowercase()).collect();
        Self { names, any: false }
    }

    /// Every name: for unix sockets, whose clients make up a host, and which no browser reaches. Pages are
    /// refused all the same.
    #[must_use]
    pub fn any() -> Self {
        Self {
            names: BTreeSet::new(),
            any: true,
        }
    }

    /// Checks a request.
    ///
    /// # Errors
    /// `ForeignRequest` says what is foreign about it.
    pub fn check(&self, request: &Parts) -> Result<(), ForeignRequest> {
        let header = |name| request.headers.get(name).and_then(|v| v.to_str().ok());
        // HTTP/2 has the authority in the target, HTTP/1.0 may have none at all.
        let host = header(HOST).or_else(|| request.uri.authority().map(|a| a.as_str()));
        if let Some(host) = host.filter(|h| !self.serves(h)) {
            return Err(ForeignRequest::Host(host.to_owned()));
        }
        if !request.headers.contains_key(ORIGIN) {
            return Ok(());
        }
        let origin = header(ORIGIN).unwrap_or("null");
        let own = origin.split_once("://").map(|(_, authority)| authority);
        if own.is_some() && own == host && !self.any {
            return Ok(());
        }
        Err(ForeignRequest::Origin(origin.to_owned()))
    }

    fn serves(&self, authority: &str) -> bool {
        let name = without_port(authority).to_ascii_lowercase();
        self.any
            || name == "localhost"
            || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            || self.names.contains(&name)
    }
}

fn without_port(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(ip, _)| ip);
    }
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn request(host: Option<&str>, origin: Option<&str>) -> Parts {
        let mut r = Request::builder().uri("/v2/apps");
        if let Some(host) = host {
            r = r.header(HOST, host);
        }
        if let Some(origin) = origin {
            r = r.header(ORIGIN, origin);
        }
        r.body(()).unwrap().into_parts().0
    }

    #[test]
    fn own_names_pass_and_foreign_hosts_and_pages_do_not() {
        let hosts = Hosts::loopback_and(["Pool.example".to_owned()]);
        for own in [
            "localhost:8080",
            "127.77.0.2:1",
            "[::1]:80",
            "pool.example",
            "POOL.EXAMPLE:443",
        ] {
            assert_eq!(hosts.check(&request(Some(own), None)), Ok(()), "{own}");
            let page = format!("http://{own}");
            assert_eq!(
                hosts.check(&request(Some(own), Some(&page))),
                Ok(()),
                "{own} from its own page"
            );
        }
        for foreign in ["evil.example", "localhost.evil.example", "10.0.0.1:80", ""] {
            assert!(hosts.check(&request(Some(foreign), None)).is_err(), "{foreign}");
        }
        for page in ["http://evil.example", "null", "http://localhost:9999"] {
            let seen = hosts.check(&request(Some("localhost:8080"), Some(page)));
            assert_eq!(seen, Err(ForeignRequest::Origin(page.to_owned())));
        }
        assert_eq!(hosts.check(&request(None, None)), Ok(()));
    }

    #[test]
    fn a_socket_takes_every_host_and_still_no_page() {
        assert_eq!(Hosts::any().check(&request(Some("docker"), None)), Ok(()));
        assert!(
            Hosts::any()
                .check(&request(Some("docker"), Some("http://docker")))
                .is_err()
        );
    }
}
