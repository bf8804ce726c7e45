//! Whether the ports of a task are free on its node. The broker gives them out; that nothing outside the pool
//! holds them can only be seen here.

use plenum_contract::runtime::{PublishedPort, RuntimeError};
use plenum_model::claim::Protocol;
use plenum_model::task::ExitReason;
use std::io;
use std::net::{IpAddr, TcpListener, UdpSocket};

/// Tries to bind each port for a moment. Blocking, for microseconds.
///
/// # Errors
/// `Refused` with reason `Port`, naming the first that is held and, if it can be seen, by whom.
pub(super) fn check(ports: &[PublishedPort]) -> Result<(), RuntimeError> {
    ports.iter().try_for_each(|port| {
        let tcp = matches!(port.protocol, Protocol::Tcp | Protocol::Both);
        let udp = matches!(port.protocol, Protocol::Udp | Protocol::Both);
        // Only "in use" and "not permitted" are about the port; an address that is not this machine's is
        // for the runtime to name.
        if tcp && let Err(e) = TcpListener::bind((port.address.as_str(), port.host)) {
            refuse(port, &e, "tcp")?;
        }
        if udp && let Err(e) = UdpSocket::bind((port.address.as_str(), port.host)) {
            refuse(port, &e, "udp")?;
        }
        Ok(())
    })
}

fn refuse(port: &PublishedPort, error: &io::Error, protocol: &str) -> Result<(), RuntimeError> {
    let (number, address) = (port.host, &port.address);
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            let who = holder(address, number, protocol)
                .map(|w| format!(" by {w}"))
                .unwrap_or_default();
            format!("port {number} is taken on {address}{who}")
        }
        io::ErrorKind::PermissionDenied => format!("port {number} may not be bound on {address}"),
        _ => {
            tracing::debug!(port = number, %address, %error, "port not checked");
            return Ok(());
        }
    };
    Err(RuntimeError::Refused {
        reason: ExitReason::Port,
        why,
    })
}

/// The process behind a bound port, as far as /proc tells.
fn holder(address: &str, port: u16, protocol: &str) -> Option<String> {
    let address: IpAddr = address.parse().ok()?;
    let inode = [protocol.to_owned(), format!("{protocol}6")]
        .iter()
        .find_map(|table| {
            let text = std::fs::read_to_string(format!("/proc/net/{table}")).ok()?;
            text.lines()
                .skip(1)
                .find_map(|line| inode_of(line, address, port, protocol == "tcp"))
        })?;
    let wanted = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().filter(|n| n.bytes().all(|b| b.is_ascii_digit())) else {
            continue;
        };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = files
            .flatten()
            .any(|f| std::fs::read_link(f.path()).is_ok_and(|l| l.as_os_str() == &*wanted));
        if holds {
            let comm = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (pid {pid})", comm.trim()));
        }
    }
    None
}

/// The inode of a line of /proc/net/{tcp,udp}{,6} if it holds `port` on `address` or on all addresses.
fn inode_of(line: &str, address: IpAddr, port: u16, listening_only: bool) -> Option<u64> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (host, bound) = fields.get(1)?.split_once(':')?;
    if u16::from_str_radix(bound, 16).ok()? != port || (listening_only && *fields.get(3)? != "0A") {
        return None;
    }
    let mine = match address {
        IpAddr::V4(v4) => host.eq_ignore_ascii_case(&format!("{:08X}", u32::from_le_bytes(v4.octets()))),
        IpAddr::V6(_) => host.len() == 32,
    };
    let all = host.bytes().all(|b| b == b'0');
    if !mine && !all {
        return None;
    }
    fields.get(9)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_who_holds_it() {
        let held = TcpListener::bind("127.77.0.1:0").unwrap();
        let port = PublishedPort {
            address: "127.77.0.1".into(),
            host: held.local_addr().unwrap().port(),
            container: 80,
            protocol: Protocol::Tcp,
        };
        let error = check(std::slice::from_ref(&port)).unwrap_err().to_string();
        let start = format!("port {} is taken on 127.77.0.1 by ", port.host);
        assert!(error.starts_with(&start), "{error}");
        assert!(
            error.contains(&format!("(pid {})", std::process::id())),
            "{error}"
        );
        let elsewhere = PublishedPort {
            address: "127.77.0.2".into(),
            ..port.clone()
        };
        assert!(
            check(&[elsewhere]).is_ok(),
            "an address of its own has ports of its own"
        );
        drop(held);
        assert!(check(&[port]).is_ok());
    }
}
