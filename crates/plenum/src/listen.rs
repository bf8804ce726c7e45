//! Listening sockets, and who holds a port that is taken.

use std::net::SocketAddr;
use std::path::Path;
use tokio::net::TcpListener;

/// A socket that could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    /// The address is none.
    #[error("`{key}`: `{given}` is no address; give it as 127.0.0.1:7717")]
    Address {
        /// The configuration key.
        key: &'static str,
        /// What was given.
        given: String,
    },
    /// The address is reachable from outside, and the key is not the one for that.
    #[error(
        "`{key}`: {given} is not a loopback address; there are no users and no TLS yet, so only \
             `insecure_listen` takes it"
    )]
    NotLoopback {
        /// The configuration key.
        key: &'static str,
        /// What was given.
        given: SocketAddr,
    },
    /// Somebody else listens there.
    #[error("port {} on {} is in use by {holder}", address.port(), address.ip())]
    Taken {
        /// Where.
        address: SocketAddr,
        /// Who, as far as the system tells.
        holder: String,
    },
    /// The system refused.
    #[error("cannot listen on {address}")]
    Io {
        /// Where.
        address: SocketAddr,
        /// What it said.
        source: std::io::Error,
    },
}

/// Whether an address may be reachable from outside this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Loopback only.
    Loopback,
    /// Any, asked for by a name that says it is insecure.
    Insecure,
}

/// Opens a listening socket.
///
/// # Errors
/// See [`ListenError`].
pub(crate) async fn listen(key: &'static str, given: &str, reach: Reach) -> Result<TcpListener, ListenError> {
    let address: SocketAddr = given.parse().map_err(|_| ListenError::Address {
        key,
        given: given.to_owned(),
    })?;
    if reach == Reach::Loopback && !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback { key, given: address });
    }
    TcpListener::bind(address)
        .await
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::AddrInUse => ListenError::Taken {
                address,
                holder: holder(address.port()),
            },
            _ => ListenError::Io { address, source },
        })
}

/// The names under which others reach a listening address, beside those of loopback: itself, or, when it stands
/// for every address of this machine, each of them and the host's name.
#[must_use]
pub(crate) fn names(address: SocketAddr) -> Vec<String> {
    let mut names = vec![address.ip().to_string()];
    if address.ip().is_unspecified() {
        let own = nix::ifaddrs::getifaddrs().into_iter().flatten();
        names.extend(own.filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|a| a.ip().to_string());
            v4.or_else(|| address.as_sockaddr_in6().map(|a| a.ip().to_string()))
        }));
        names.extend(nix::unistd::gethostname().map(|n| n.to_string_lossy().into_owned()));
    }
    names
}

/// Who listens on a TCP port, from the tables of the kernel.
#[must_use]
pub(crate) fn holder(port: u16) -> String {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| listening_inode(line, port))
                .collect::<Vec<_>>()
        })
        .collect();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| owns(*pid, &inodes))
        .map_or_else(|| "another process (of another user)".to_owned(), describe)
}

fn listening_inode(line: &str, port: u16) -> Option<String> {
    /// `TCP_LISTEN` of the kernel's `tcp_states.h`.
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let local = fields.get(1)?.rsplit_once(':')?.1;
    (u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == LISTEN)
        .then(|| format!("socket:[{}]", fields.get(9).copied().unwrap_or_default()))
}

fn owns(pid: u32, inodes: &[String]) -> bool {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    files
        .filter_map(|f| std::fs::read_link(f.path()).ok())
        .any(|target| inodes.iter().any(|inode| target == Path::new(inode)))
}

fn describe(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("pid {pid} ({})", name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_its_holder() {
        let first = listen("k", "127.0.0.1:0", Reach::Loopback).await.unwrap();
        let address = first.local_addr().unwrap().to_string();
        let text = listen("k", &address, Reach::Loopback)
            .await
            .unwrap_err()
            .to_string();
        assert!(text.contains(&format!("pid {}", std::process::id())), "{text}");
    }

    #[test]
    fn every_address_is_reached_under_those_of_the_machine() {
        assert_eq!(names("192.0.2.7:80".parse().unwrap()), ["192.0.2.7"]);
        let all = names("0.0.0.0:80".parse().unwrap());
        assert!(all.len() > 2 && all.contains(&"127.0.0.1".to_owned()), "{all:?}");
    }

    #[tokio::test]
    async fn an_address_reachable_from_outside_needs_the_insecure_key() {
        assert!(matches!(
            listen("k", "0.0.0.0:0", Reach::Loopback).await,
            Err(ListenError::NotLoopback { .. })
        ));
        assert!(listen("k", "0.0.0.0:0", Reach::Insecure).await.is_ok());
    }
}
