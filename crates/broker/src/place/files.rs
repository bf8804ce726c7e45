//! What a claim may say of files and secrets. Whether the store has them shows when an agent fetches them.

use plenum_contract::state_store::MAX_KEY;
use plenum_model::claim::FileRef;
use plenum_model::spec::{TaskSpec, Volume, VolumeSource, is_inner_path};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Files of one task: each is up to 1 MiB, so this bounds what a node fetches for it and keeps in memory.
const MOST: usize = 256;

/// The longest target: `PATH_MAX` of Linux.
const LONGEST_TARGET: usize = 4096;

/// The first thing that is wrong with the files of a claim, in words.
pub(super) fn fault(files: &[FileRef], spec: &TaskSpec) -> Option<String> {
    if files.len() > MOST {
        return Some(format!("there are {}, a task has at most {MOST}", files.len()));
    }
    let mut targets = BTreeSet::new();
    files.iter().find_map(|file| {
        let shown: String = file.target.chars().take(80).collect();
        let fault = fault_of(file)
            .or_else(|| fault_of_volume(file, spec))
            .or_else(|| {
                let target = Path::new(&file.target).components().collect::<PathBuf>();
                let twice = !targets.insert((file.volume.as_ref(), target));
                twice.then(|| "two files appear there".to_owned())
            });
        fault.map(|why| format!("file at `{shown}`: {why}"))
    })
}

fn fault_of_volume(file: &FileRef, spec: &TaskSpec) -> Option<String> {
    let name = file.volume.as_ref()?;
    let is_of_files = |v: &Volume| v.name == *name && v.source == VolumeSource::Files;
    if !spec.volumes.iter().any(is_of_files) {
        return Some(format!("the task has no volume {name} of files"));
    }
    (!is_inner_path(&file.target)).then(|| "in a volume the target is a relative path".to_owned())
}

fn fault_of(file: &FileRef) -> Option<String> {
    let target = Path::new(&file.target);
    let names_a_file = target.file_name().is_some() && !file.target.ends_with('/');
    let climbs = target.components().any(|c| c == Component::ParentDir);
    let fault = if file.key.is_empty() {
        "it has no key".to_owned()
    } else if file.key.len() > MAX_KEY {
        format!("its key has {} bytes, at most {MAX_KEY} are kept", file.key.len())
    } else if file.revision == 0 {
        "revision 0 is before everything".to_owned()
    } else if !names_a_file || climbs || file.target.contains('\0') {
        "the target must be the path of a file, without `..`".to_owned()
    } else if file.target.len() > LONGEST_TARGET {
        format!("the target has more than {LONGEST_TARGET} bytes")
    } else if file.mode > 0o777 {
        format!("mode {:o} has more than permission bits", file.mode)
    } else {
        return None;
    };
    Some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(target: &str) -> FileRef {
        FileRef {
            key: "db/password".into(),
            revision: 3,
            target: target.into(),
            mode: 0o444,
            secret: true,
            volume: None,
        }
    }

    fn told(files: &[FileRef]) -> Option<String> {
        fault(files, &TaskSpec::default())
    }

    #[test]
    fn a_file_in_a_volume_is_below_one_that_holds_files() {
        let volume = |name: &str, source| Volume {
            name: name.into(),
            source,
        };
        let spec = TaskSpec {
            volumes: vec![
                volume("conf", VolumeSource::Files),
                volume("data", VolumeSource::Disk),
            ],
            ..TaskSpec::default()
        };
        let inside = |name: &str, target: &str| FileRef {
            volume: Some(name.into()),
            ..file(target)
        };
        assert_eq!(fault(&[inside("conf", "a/b"), file("a/b")], &spec), None);
        for (name, target, words) in [
            ("data", "a", "no volume data of files"),
            ("none", "a", "no volume none of files"),
            ("conf", "/a", "relative path"),
        ] {
            let why = fault(&[inside(name, target)], &spec).unwrap();
            assert!(why.contains(words), "{why}");
        }
        let why = fault(&[inside("conf", "a"), inside("conf", "a")], &spec).unwrap();
        assert!(why.contains("two files appear there"), "{why}");
    }

    #[test]
    fn files_at_different_places_are_fine() {
        assert_eq!(told(&[]), None);
        assert_eq!(
            told(&[file("/run/secrets/a"), file("etc/b"), file("/etc/b")]),
            None
        );
    }

    #[test]
    fn each_wrong_thing_is_named_with_its_target() {
        type Change = fn(&mut FileRef);
        let table: [(Change, &str); 10] = [
            (|f| f.key.clear(), "no key"),
            (|f| f.key = "k".repeat(MAX_KEY + 1), "1025 bytes"),
            (|f| f.revision = 0, "revision 0"),
            (|f| f.target = "/".into(), "path of a file"),
            (|f| f.target.clear(), "path of a file"),
            (|f| f.target = "/run/".into(), "path of a file"),
            (|f| f.target = "/run/../etc/shadow".into(), "without `..`"),
            (|f| f.target = "/a\0b".into(), "path of a file"),
            (|f| f.target = "/a".repeat(3000), "4096"),
            (|f| f.mode = 0o4755, "mode 4755"),
        ];
        for (change, words) in table {
            let mut wrong = file("/run/secrets/a");
            change(&mut wrong);
            let why = told(&[file("/fine"), wrong]).unwrap();
            assert!(why.starts_with("file at `") && why.contains(words), "{why}");
        }
        let why = told(&[file("/run/a"), file("/run/./a")]).unwrap();
        assert_eq!(why, "file at `/run/./a`: two files appear there");
        let many: Vec<_> = (0..257).map(|i| file(&format!("/{i}"))).collect();
        assert!(told(&many).unwrap().contains("at most 256"));
    }
}
