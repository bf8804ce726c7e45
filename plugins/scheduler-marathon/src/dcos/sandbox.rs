//! Files in the sandbox of a container that runs, read by commands inside it: they see what the container sees,
//! mounts included. Containers without a shell and its usual companions have no files to show.

use super::mesos::Seconds;
use super::tail::Piece;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use plenum_contract::streams::{ExecRequest, Output, StreamEnds, StreamError, StreamRequest, Streams};
use plenum_model::ids::TaskId;
use serde::Serialize;

/// A file as a listing shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Entry {
    pub(super) path: String,
    mode: String,
    nlink: u64,
    uid: String,
    gid: String,
    size: u64,
    mtime: f64,
}

impl Entry {
    /// The file that stands for a log.
    pub(super) fn log(path: &str, bytes: u64, newest_ms: u64) -> Self {
        Self {
            path: path.to_owned(),
            mode: "-rw-r--r--".to_owned(),
            nlink: 1,
            uid: "root".to_owned(),
            gid: "root".to_owned(),
            size: bytes,
            mtime: Seconds::of_ms(newest_ms).value(),
        }
    }

    /// From a line of [`LIST`]; none if it is not one.
    fn parse(line: &str, at: &str) -> Option<Self> {
        let mut fields = line.splitn(7, ' ');
        let mut next = || fields.next();
        let (mode, nlink, uid, gid) = (next()?, next()?.parse().ok()?, next()?, next()?);
        let (size, seconds, name) = (next()?.parse().ok()?, next()?.parse::<u64>().ok()?, next()?);
        Some(Self {
            path: format!("{at}/{}", name.trim_start_matches("./")),
            mode: mode.to_owned(),
            nlink,
            uid: uid.to_owned(),
            gid: gid.to_owned(),
            size,
            mtime: Seconds::of_ms(seconds * 1000).value(),
        })
    }
}

/// Where tasks find their sandbox; others begin where their image says.
const ENTER: &str = r#"cd "${MESOS_SANDBOX:-.}" || exit 3; "#;
/// One line a file of `$1`: mode, links, user, group, size, seconds, name.
const LIST: &str = r#"[ -e "./$1" ] || exit 4; [ -d "./$1" ] || { stat -c '%A %h %U %G %s %Y %n' "./$1"; exit; }
cd "./$1" || exit 3; for f in ./* ./.*; do case "$f" in ./.|./..) ;; *) [ -e "$f" ] && stat -c '%A %h %U %G %s %Y %n' "$f";; esac; done; exit 0"#;
/// The size of the file `$1` in a line of its own, then `$3` bytes of it from byte `$2` (counted from 1) on.
const READ: &str = r#"[ -f "./$1" ] || exit 4; s=$(wc -c < "./$1") || exit 3; echo $((s)); tail -c "+$2" "./$1" | head -c "$3"; exit 0"#;

/// The files of a directory within the sandbox, under paths that begin with `at`.
///
/// # Errors
/// `NotFound` if it is not there, `State` if the container does not run; else as `Streams::open`.
pub(super) async fn list(
    streams: &dyn Streams,
    task: TaskId,
    within: &str,
    at: &str,
) -> Result<Vec<Entry>, StreamError> {
    let out = run(streams, task, LIST, &[within]).await?;
    let text = String::from_utf8_lossy(&out);
    Ok(text.lines().filter_map(|line| Entry::parse(line, at)).collect())
}

/// A part of a file within the sandbox, and how long the file is.
///
/// # Errors
/// As [`list`].
pub(super) async fn read(
    streams: &dyn Streams,
    task: TaskId,
    within: &str,
    piece: Piece,
) -> Result<(Bytes, u64), StreamError> {
    // shells count in signed numbers
    let from = piece.from.min(i64::MAX as u64 - 1) + 1;
    let mut out = run(
        streams,
        task,
        READ,
        &[within, &from.to_string(), &piece.length.to_string()],
    )
    .await?;
    let end = out.iter().position(|b| *b == b'\n').unwrap_or(out.len());
    let size = std::str::from_utf8(&out[..end])
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let size = size.ok_or_else(|| StreamError::Failed {
        why: format!("`{within}` cannot be read"),
    })?;
    let data = out.split_off((end + 1).min(out.len()));
    Ok((data, size))
}

async fn run(streams: &dyn Streams, task: TaskId, script: &str, args: &[&str]) -> Result<Bytes, StreamError> {
    let mut argv: Vec<String> = ["/bin/sh", "-c"].map(str::to_owned).into();
    argv.push(format!("{ENTER}{script}"));
    argv.push("sh".to_owned());
    argv.extend(args.iter().map(|a| (*a).to_owned()));
    let request = ExecRequest {
        argv,
        ..ExecRequest::default()
    };
    let StreamEnds { input, mut output } = streams.open(task, StreamRequest::Exec(request)).await?;
    let (mut out, mut code, mut why) = (BytesMut::new(), 0, BytesMut::new());
    while let Some(one) = output.next().await {
        match one? {
            Output::Stdout(bytes) => out.extend_from_slice(&bytes),
            Output::Stderr(bytes) => why.extend_from_slice(&bytes),
            Output::Exit { code: ended } => code = ended,
            Output::Log(_)
            | Output::Stats(_)
            | Output::Image(_)
            | Output::Processes(_)
            | Output::Health(_) => {}
        }
    }
    drop(input);
    match code {
        0 => Ok(out.freeze()),
        4 => Err(StreamError::NotFound {
            what: format!("file `{}`", args.first().unwrap_or(&"")),
        }),
        _ => Err(StreamError::Failed {
            why: String::from_utf8_lossy(&why).trim().to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_listing_is_a_file_whatever_its_name() {
        let entry = Entry::parse("-rw-r--r-- 1 root adm 42 1700000000 ./a b", "/dir").unwrap();
        assert_eq!(
            (entry.path.as_str(), entry.size, entry.gid.as_str()),
            ("/dir/a b", 42, "adm")
        );
        assert_eq!(Entry::parse("stat: cannot", "/dir"), None);
    }
}
