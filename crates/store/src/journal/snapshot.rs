//! Snapshot files: everything up to some group, in chunks. Written beside, synced, then renamed into place,
//! so there is always a whole one; any bit of it that does not read back is damage.

use super::frame::{self, Header, Kind};
use super::item::Placed;
use super::segment::{HEAD, open_head, seal_head};
use crate::fs::{self, DataFile, damaged};
use plenum_contract::ledger_log::LogError;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"PLENUMSN";
const VERSION: u32 = 1;
/// What a snapshot is called.
pub(crate) const SUFFIX: &str = ".snapshot";
/// What it is called until it is whole.
pub(crate) const PART_SUFFIX: &str = ".part";

/// Up to where a snapshot reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The last group in it; 0 is none.
    pub(crate) seq: u64,
    /// The highest epoch that had appended by then.
    pub(crate) epoch: u64,
}

/// A snapshot being written. Dropped before `finish`, it leaves nothing behind.
pub(crate) struct SnapshotWriter {
    dir: PathBuf,
    part: Option<DataFile>,
    cut: Cut,
    at: u64,
    chunks: u64,
    buffer: Vec<u8>,
}

impl SnapshotWriter {
    /// Starts the snapshot of everything up to `cut` in `dir`.
    pub(crate) fn create(dir: &Path, cut: Cut) -> Result<Self, LogError> {
        let path = dir.join(format!("{:016x}{PART_SUFFIX}", cut.seq));
        fs::remove(&path)?;
        let file = fs::open_or_create(&path)?;
        let part = DataFile { path, file };
        let mut writer = Self {
            dir: dir.to_owned(),
            part: None,
            cut,
            at: HEAD as u64,
            chunks: 0,
            buffer: Vec::new(),
        };
        let head = seal_head(MAGIC, VERSION, [cut.seq, cut.epoch, 0]);
        let written = part.write_at(0, &head);
        writer.part = Some(part);
        written.map(|()| writer)
    }

    /// Appends a chunk that `fill` writes; says where in the file its first byte stands.
    pub(crate) fn push(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> Result<u64, LogError> {
        let payload_at = self.at + frame::HEADER as u64;
        self.frame(Kind::Chunk, self.chunks, fill)?;
        self.chunks += 1;
        Ok(payload_at)
    }

    /// Makes it durable under its name; from here on it is the newest.
    pub(crate) fn finish(mut self) -> Result<Snapshot, LogError> {
        self.frame(Kind::End, self.chunks, |_| {})?;
        let name = self.dir.join(format!("{:016x}{SUFFIX}", self.cut.seq));
        if let Some(part) = &self.part {
            part.file
                .sync_all()
                .map_err(|e| fs::failed("sync", &part.path, e))?;
            fs::rename(&part.path, &name)?;
        }
        let part = self.part.take().expect("only `finish`, which consumes, takes it");
        fs::sync_dir(&self.dir)?;
        Ok(Snapshot {
            cut: self.cut,
            bytes: self.at,
            file: Arc::new(DataFile {
                path: name,
                file: part.file,
            }),
        })
    }

    fn frame(&mut self, kind: Kind, seq: u64, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), LogError> {
        let part = self
            .part
            .as_ref()
            .expect("only `finish`, which consumes, takes it");
        frame::build(&mut self.buffer, kind, seq, self.cut.epoch, fill)
            .map_err(|_| fs::failed("write", &part.path, std::io::ErrorKind::FileTooLarge.into()))?;
        part.write_at(self.at, &self.buffer)?;
        self.at += self.buffer.len() as u64;
        Ok(())
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if let Some(part) = self.part.take()
            && let Err(error) = fs::remove(&part.path)
        {
            // It is removed at the next start.
            tracing::warn!(%error, "an unfinished snapshot stays behind");
        }
    }
}

/// A whole snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) cut: Cut,
    pub(crate) bytes: u64,
    pub(crate) file: Arc<DataFile>,
}

/// The path of the newest snapshot in `dir` and those of older ones.
pub(crate) fn find(dir: &Path, names: &[String]) -> (Option<PathBuf>, Vec<PathBuf>) {
    // Names have a fixed number of digits, so their order is that of their numbers.
    let mut paths: Vec<PathBuf> = names
        .iter()
        .filter(|n| n.ends_with(SUFFIX))
        .map(|n| dir.join(n))
        .collect();
    paths.sort();
    (paths.pop(), paths)
}

/// Reads a snapshot through; `visit` gets each chunk and where its first byte stands.
pub(crate) fn read(
    path: &Path,
    visit: &mut dyn FnMut(Placed<'_>) -> Result<(), LogError>,
) -> Result<Snapshot, LogError> {
    let file = Arc::new(DataFile {
        path: path.to_owned(),
        file: fs::open_read(path)?,
    });
    let bytes = fs::length(&file.file, path)?;
    let mut head = vec![0; HEAD];
    let mut reader = BufReader::with_capacity(1 << 18, &file.file);
    reader
        .seek(SeekFrom::Start(0))
        .map_err(|e| fs::failed("read", path, e))?;
    read_whole(&mut reader, path, 0, &mut head)?;
    let [seq, epoch, _] = open_head(path, &head, MAGIC, VERSION)?;
    if path.file_stem().and_then(|s| s.to_str()) != Some(&format!("{seq:016x}")) {
        return Err(damaged(
            path,
            16,
            format!("the file holds the snapshot of group {seq}"),
        ));
    }
    let mut at = HEAD as u64;
    let mut chunks = 0;
    let mut body = Vec::new();
    loop {
        let header = read_frame(&mut reader, path, at, bytes, &mut body)?;
        let next = at + header.frame_len() as u64;
        match header.kind {
            Kind::Chunk if header.seq == chunks => {
                chunks += 1;
                visit(Placed {
                    file: &file,
                    at: at + frame::HEADER as u64,
                    payload: &body[..header.len as usize],
                })?;
            }
            Kind::End if header.seq == chunks && next == bytes => {
                let cut = Cut { seq, epoch };
                return Ok(Snapshot { cut, bytes, file });
            }
            Kind::Group | Kind::Confirm | Kind::Chunk | Kind::End => {
                let what = format!(
                    "{:?} {} stands where chunk {chunks} belongs",
                    header.kind, header.seq
                );
                return Err(damaged(path, at, what));
            }
        }
        at = next;
    }
}

/// Reads one frame at `at` of a file of `bytes` bytes; its body (without the header) into `body`.
fn read_frame(
    reader: &mut BufReader<&File>,
    path: &Path,
    at: u64,
    bytes: u64,
    body: &mut Vec<u8>,
) -> Result<Header, LogError> {
    let mut head = [0; frame::HEADER];
    read_whole(reader, path, at, &mut head)?;
    let header =
        Header::decode(&head).ok_or_else(|| damaged(path, at, "the header of a chunk does not hold"))?;
    let rest = header.frame_len() - frame::HEADER;
    if at + (frame::HEADER + rest) as u64 > bytes {
        return Err(damaged(path, at, "the file ends within this chunk"));
    }
    body.resize(rest, 0);
    read_whole(reader, path, at, body)?;
    if header.kind != Kind::Confirm && !frame::body_holds(body) {
        return Err(damaged(path, at, "the checksum of this chunk does not hold"));
    }
    Ok(header)
}

fn read_whole(reader: &mut impl Read, path: &Path, at: u64, into: &mut [u8]) -> Result<(), LogError> {
    match reader.read_exact(into) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(damaged(path, at, "the file ends before its data does"))
        }
        Err(e) => Err(fs::failed("read", path, e)),
    }
}
