//! A GET whose status is all that is asked. Nothing of an HTTP client does less.

use super::{probe, tls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A status line is far shorter.
const STATUS_LINE: u64 = 1024;

/// What is asked for.
pub(super) struct Get<'a> {
    pub(super) address: &'a str,
    pub(super) port: u16,
    /// Path and query.
    pub(super) path: &'a str,
    pub(super) headers: &'a [(String, String)],
    /// Over TLS, not verified.
    pub(super) tls: bool,
    /// The status codes that pass; empty: 200 to 399.
    pub(super) statuses: &'a [u16],
}

impl Get<'_> {
    /// # Errors
    /// In words, why the answer does not pass.
    pub(super) async fn passes(&self) -> Result<(), String> {
        let target = format!("/{}", self.path.strip_prefix('/').unwrap_or(self.path));
        if target.bytes().any(|b| b.is_ascii_control() || b == b' ') {
            return Err(format!("path {target:?} cannot be asked for"));
        }
        let host = format!("{}:{}", self.address, self.port);
        let scheme = if self.tls { "https" } else { "http" };
        let url = format!("{scheme}://{host}{target}");
        let request = request(&target, &host, self.headers)?;
        let socket = probe::connect(self.address, self.port).await?;
        let line = if self.tls {
            match tls::over(socket, self.address).await {
                Ok(socket) => status_line(socket, &request).await,
                Err(e) => Err(e),
            }
        } else {
            status_line(socket, &request).await
        };
        let line = line.map_err(|e| format!("GET {url}: {e}"))?;
        let mut words = line.split_whitespace();
        let version = words.next().filter(|v| v.starts_with("HTTP/1."));
        match (version, words.next().and_then(|code| code.parse::<u16>().ok())) {
            (Some(_), Some(code)) if self.is_passing(code) => Ok(()),
            (Some(_), Some(code)) => Err(format!("GET {url}: status {code}")),
            _ => Err(format!("GET {url}: what answers is not HTTP")),
        }
    }

    fn is_passing(&self, code: u16) -> bool {
        match self.statuses {
            [] => (200..=399).contains(&code),
            some => some.contains(&code),
        }
    }
}

async fn status_line(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> std::io::Result<String> {
    socket.write_all(request.as_bytes()).await?;
    socket.flush().await?;
    let mut answer = Vec::new();
    let mut from = socket.take(STATUS_LINE);
    while !answer.contains(&b'\n') {
        if from.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    let line = answer.split(|b| *b == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

/// A GET with these headers; those that every GET has unless they are among them.
fn request(target: &str, host: &str, headers: &[(String, String)]) -> Result<String, String> {
    let own = [("Host", host), ("User-Agent", "plenum-probe"), ("Accept", "*/*")];
    let given = |name: &str| headers.iter().any(|(have, _)| have.eq_ignore_ascii_case(name));
    let own = own.into_iter().filter(|(name, _)| !given(name));
    let given = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let mut request = format!("GET {target} HTTP/1.1\r\n");
    for (name, value) in own.chain(given) {
        let bad = |b: u8| b.is_ascii_control();
        let bad_name = name.is_empty() || name.bytes().any(|b| bad(b) || b == b':' || b == b' ');
        if bad_name || value.bytes().any(bad) {
            return Err(format!("header {name:?} cannot be sent"));
        }
        request.push_str(name);
        request.push_str(": ");
        request.push_str(value);
        request.push_str("\r\n");
    }
    request.push_str("Connection: close\r\n\r\n");
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::ServerConfig;
    use rustls::crypto::ring;
    use std::sync::Arc;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    #[test]
    fn headers_replace_those_that_every_request_has_and_none_can_add_a_line() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let with = |headers: &[_]| request("/x", "h:1", headers);
        let plain = with(&[header("X-A", "b")]).unwrap();
        assert!(plain.starts_with("GET /x HTTP/1.1\r\nHost: h:1\r\n") && plain.contains("\r\nX-A: b\r\n"));
        let host = with(&[header("host", "web")]).unwrap();
        assert_eq!(
            (host.matches("ost: ").count(), host.contains("\r\nhost: web\r\n")),
            (1, true)
        );
        for bad in [header("a\r\nb", "c"), header("a", "b\r\nc"), header("", "x")] {
            assert!(with(&[bad]).unwrap_err().ends_with("cannot be sent"));
        }
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_signed_does_for_a_get_over_tls() {
        let own = rcgen::generate_simple_self_signed(vec!["elsewhere.test".to_owned()]).unwrap();
        let key = own.signing_key.serialize_der().try_into().unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let get = Get {
            address: "127.0.0.1",
            port: listener.local_addr().unwrap().port(),
            path: "healthz",
            headers: &[],
            tls: true,
            statuses: &[],
        };
        let serve = async {
            let (socket, _) = listener.accept().await.unwrap();
            let mut socket = TlsAcceptor::from(Arc::new(config)).accept(socket).await.unwrap();
            let mut request = [0; 1024];
            let n = socket.read(&mut request).await.unwrap();
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            socket.shutdown().await.unwrap();
            String::from_utf8_lossy(&request[..n]).into_owned()
        };
        let (request, passed) = tokio::join!(serve, get.passes());
        assert!(request.starts_with("GET /healthz HTTP/1.1\r\n"), "{request}");
        assert_eq!(passed, Ok(()));
    }
}
