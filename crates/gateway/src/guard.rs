//! Who may ask at all. A page in a browser on this machine must not reach an API that starts processes: it would
//! come with an `Origin`, or, its name rebound to a loopback address, with a foreign `Host`.

use crate::problem::Problem;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Uri, header};
use plenum_model::code;
use std::net::IpAddr;
use std::sync::Arc;

/// Host names that requests may come for, beside those of this machine itself.
#[derive(Debug, Clone)]
pub(crate) struct Hosts(Arc<[String]>);

impl Hosts {
    pub(crate) fn new(configured: &[String]) -> Self {
        Self(configured.iter().map(|h| h.to_ascii_lowercase()).collect())
    }

    fn configured(&self, host: &str) -> bool {
        self.0.iter().any(|h| h.eq_ignore_ascii_case(host))
    }

    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name| {
            headers
                .get(name)
                .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
        };
        if let Some(origin) = text(header::ORIGIN) {
            let host = origin.split_once("://").and_then(|(_, rest)| host_of(rest));
            if !host.is_some_and(|h| self.configured(h)) {
                return Err(refused("Origin", &origin));
            }
        }
        let named = uri
            .authority()
            .map(ToString::to_string)
            .or_else(|| text(header::HOST));
        let Some(named) = named else {
            return Err(refused("Host", ""));
        };
        match host_of(&named) {
            Some(host) if is_loopback(host) || self.configured(host) => Ok(()),
            _ => Err(refused("Host", &named)),
        }
    }
}

fn refused(field: &str, given: &str) -> Problem {
    let what = if given.is_empty() {
        format!("requests without {field} are not answered")
    } else {
        format!("requests with {field} `{given}` are not answered")
    };
    Problem::new(code::FORBIDDEN, what)
        .at(field)
        .hint("name the host among the allowed ones in the configuration if it is meant")
}

/// The host of `host:port`, with the brackets of an IPv6 address taken off; none: it is neither.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (
                host,
                if after.is_empty() {
                    None
                } else {
                    Some(after.strip_prefix(':')?)
                },
            )
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port_ok = port.is_none_or(|p| p.parse::<u16>().is_ok());
    (port_ok && !host.is_empty()).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Refuses requests with a foreign `Host` or `Origin`.
pub(crate) async fn check_host(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    match hosts.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn ask(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        let hosts = Hosts::new(&["Plenum.example".into()]);
        hosts.check(&Uri::from_static("/v1/nodes"), &headers).is_ok()
    }

    #[test]
    fn only_names_of_this_machine_and_configured_ones_are_answered() {
        for host in [
            "localhost",
            "LOCALHOST:7717",
            "127.0.0.1:7717",
            "127.77.0.2",
            "[::1]:80",
            "plenum.example:1",
        ] {
            assert!(ask(host, None), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "0.0.0.0",
            "",
            ":80",
            "[::1",
            "::1",
            "localhost:evil",
            "[::1]evil",
        ] {
            assert!(!ask(host, None), "{host}");
        }
    }

    #[test]
    fn a_page_may_ask_only_from_a_configured_host() {
        assert!(ask("localhost", Some("https://plenum.example")));
        for origin in [
            "http://localhost:7717",
            "null",
            "https://evil.example",
            "plenum.example",
        ] {
            assert!(!ask("localhost", Some(origin)), "{origin}");
        }
    }

    #[test]
    fn a_request_without_host_is_refused() {
        let hosts = Hosts::new(&[]);
        assert!(hosts.check(&Uri::from_static("/"), &HeaderMap::new()).is_err());
        let uri = Uri::from_static("http://localhost:1/");
        assert!(
            hosts.check(&uri, &HeaderMap::new()).is_ok(),
            "HTTP/2 names it in the URI"
        );
    }
}
