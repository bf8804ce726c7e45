//! Who a container runs as: `name`, `uid`, each with an optional `:group`.

use nix::unistd::{Gid, Group, Uid, User};
use plenum_shim::config;
use std::ffi::CString;
use std::path::PathBuf;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Numbers for the shim.
    pub(crate) user: config::User,
    /// The name, if it has one.
    pub(crate) name: Option<String>,
    /// The home directory, if it has one.
    pub(crate) home: Option<PathBuf>,
}

/// Finds the user. The message of an error is for the user who asked; tools look for its exact words.
pub(crate) fn resolve(wanted: &str) -> Result<Identity, String> {
    let (user, group) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted, None),
    };
    let no_such_user = || format!("No such user '{user}'");
    let entry = match user.parse::<u32>() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)).ok().flatten(),
        Err(_) => Some(User::from_name(user).ok().flatten().ok_or_else(no_such_user)?),
    };
    // A number without an entry is nobody else's either; it shares no group with anybody.
    let (uid, own_gid) = match (&entry, user.parse::<u32>()) {
        (Some(entry), _) => (entry.uid.as_raw(), entry.gid.as_raw()),
        (None, Ok(uid)) => (uid, uid),
        (None, Err(_)) => return Err(no_such_user()),
    };
    let gid = match group {
        None => own_gid,
        Some(group) => find_group(group)?,
    };
    let groups = entry
        .as_ref()
        .map(|entry| supplementary(&entry.name, gid))
        .unwrap_or_default();
    Ok(Identity {
        user: config::User { uid, gid, groups },
        name: entry.as_ref().map(|entry| entry.name.clone()),
        home: entry.map(|entry| entry.dir),
    })
}

/// Who the agent is.
pub(crate) fn own() -> Identity {
    let uid = nix::unistd::geteuid();
    let entry = User::from_uid(uid).ok().flatten();
    Identity {
        user: config::User {
            uid: uid.as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            groups: Vec::new(),
        },
        name: entry.as_ref().map(|entry| entry.name.clone()),
        home: entry.map(|entry| entry.dir),
    }
}

fn find_group(group: &str) -> Result<u32, String> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    match Group::from_name(group) {
        Ok(Some(found)) => Ok(found.gid.as_raw()),
        Ok(None) | Err(_) => Err(format!("No such group '{group}'")),
    }
}

fn supplementary(name: &str, gid: u32) -> Vec<u32> {
    let Ok(name) = CString::new(name) else {
        return Vec::new();
    };
    let groups = nix::unistd::getgrouplist(&name, Gid::from_raw(gid)).unwrap_or_default();
    groups
        .into_iter()
        .map(Gid::as_raw)
        .filter(|&group| group != gid)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_found_and_others_named() {
        let root = resolve("root").unwrap();
        assert_eq!(
            (root.user.uid, root.user.gid, root.name.as_deref()),
            (0, 0, Some("root"))
        );
        assert_eq!(resolve("0").unwrap(), root);
        let nobody = resolve("4242").unwrap();
        assert_eq!(
            (nobody.user.uid, nobody.user.gid, nobody.name),
            (4242, 4242, None)
        );
        assert_eq!(resolve("4242:7").unwrap().user.gid, 7);
        assert_eq!(resolve("0:root").unwrap().user.gid, 0);
        assert_eq!(resolve("bad").unwrap_err(), "No such user 'bad'");
        assert_eq!(resolve("").unwrap_err(), "No such user ''");
        assert_eq!(resolve("root:bad").unwrap_err(), "No such group 'bad'");
    }
}
