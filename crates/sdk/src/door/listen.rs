//! Where a door listens. Loopback only, unless the key for the other says so: the API behind a door starts
//! processes on machines.

use plenum_contract::scheduler::SchedulerError;
use plenum_model::ids::SchedulerId;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener, UnixStream, lookup_host};

/// The two keys of every door: `insecure`, if not empty, stands instead of `listen` and may be any address.
///
/// # Errors
/// `Config` if it is no address, or one that other machines reach and is given as `listen`; `Listen` if it
/// cannot be had.
pub async fn tcp(
    scheduler: &SchedulerId,
    listen: &str,
    insecure: &str,
) -> Result<(TcpListener, SocketAddr), SchedulerError> {
    let (key, given) = if insecure.is_empty() {
        ("listen", listen)
    } else {
        ("insecure_listen", insecure)
    };
    let bad = |why: String| SchedulerError::Config {
        scheduler: scheduler.to_string(),
        key: key.to_owned(),
        why,
    };
    let failed = |source| SchedulerError::Listen {
        scheduler: scheduler.to_string(),
        address: given.to_owned(),
        source,
    };
    let addresses: Vec<SocketAddr> = lookup_host(given)
        .await
        .map_err(|e| bad(format!("`{given}` is no address: {e}")))?
        .collect();
    if key == "listen" && addresses.iter().any(|a| !a.ip().is_loopback()) {
        let why = format!("`{given}` can be reached from other machines; only `insecure_listen` takes it");
        return Err(bad(why));
    }
    let listener = TcpListener::bind(&addresses[..]).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// A socket in the file system, for its owner only; none for an empty path. A file that nobody listens on is
/// left from a crash and replaced.
///
/// # Errors
/// `Listen` if it cannot be had.
pub async fn unix(
    scheduler: &SchedulerId,
    path: &str,
) -> Result<Option<(UnixListener, PathBuf)>, SchedulerError> {
    if path.is_empty() {
        return Ok(None);
    }
    let failed = |source| SchedulerError::Listen {
        scheduler: scheduler.to_string(),
        address: format!("unix://{path}"),
        source,
    };
    let file = Path::new(path);
    if UnixStream::connect(file).await.is_err() {
        match std::fs::remove_file(file) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(failed(e)),
            Ok(()) | Err(_) => {}
        }
    }
    let listener = UnixListener::bind(file).map_err(failed)?;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(Some((listener, file.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_key_that_says_so_opens_the_door_to_other_machines() {
        let id = SchedulerId::new("door").expect("a name");
        let refused = tcp(&id, "0.0.0.0:0", "").await.expect_err("not loopback");
        assert!(refused.to_string().contains("insecure_listen"), "{refused}");
        tcp(&id, "nonsense", "0.0.0.0:0").await.expect("asked for");
        let (_, address) = tcp(&id, "127.0.0.1:0", "").await.expect("loopback");
        assert!(address.ip().is_loopback() && address.port() != 0);
        assert!(tcp(&id, "nowhere", "").await.is_err());
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let id = SchedulerId::new("door").expect("a name");
        let path = dir.path().join("s").display().to_string();
        let (first, file) = unix(&id, &path).await.expect("it listens").expect("a path");
        assert_eq!(
            std::fs::metadata(&file).expect("there").permissions().mode() & 0o777,
            0o600
        );
        assert!(unix(&id, &path).await.is_err(), "somebody listens");
        drop(first);
        unix(&id, &path).await.expect("nobody does now");
        assert!(unix(&id, "").await.expect("none asked").is_none());
    }
}
