//! The messages of the `StateStore` contract.

use crate::malformed::{Malformed, need};
use crate::proto::state::v1 as wire;
use crate::status::WireError;
use plenum_contract::state_store::{Change, Compare, Entry, StateError, Write};
use plenum_model::ids::Revision;
use tonic::Code;

impl From<Entry> for wire::Entry {
    fn from(entry: Entry) -> Self {
        Self {
            key: entry.key,
            value: entry.value,
            created: entry.created.0,
            modified: entry.modified.0,
        }
    }
}

impl From<wire::Entry> for Entry {
    fn from(entry: wire::Entry) -> Self {
        Self {
            key: entry.key,
            value: entry.value,
            created: Revision(entry.created),
            modified: Revision(entry.modified),
        }
    }
}

impl From<Compare> for wire::Compare {
    fn from(compare: Compare) -> Self {
        use wire::compare::Compare as C;
        let compare = match compare {
            Compare::Absent(key) => C::Absent(key),
            Compare::ModifiedAt(key, Revision(revision)) => C::ModifiedAt(wire::ModifiedAt { key, revision }),
        };
        Self {
            compare: Some(compare),
        }
    }
}

impl TryFrom<wire::Compare> for Compare {
    type Error = Malformed;
    fn try_from(compare: wire::Compare) -> Result<Self, Malformed> {
        use wire::compare::Compare as C;
        Ok(match need(compare.compare, "compare")? {
            C::Absent(key) => Self::Absent(key),
            C::ModifiedAt(at) => Self::ModifiedAt(at.key, Revision(at.revision)),
        })
    }
}

impl From<Write> for wire::Write {
    fn from(write: Write) -> Self {
        use wire::write::Write as W;
        let write = match write {
            Write::Put(key, value) => W::Put(wire::Put { key, value }),
            Write::Delete(key) => W::Delete(key),
        };
        Self { write: Some(write) }
    }
}

impl TryFrom<wire::Write> for Write {
    type Error = Malformed;
    fn try_from(write: wire::Write) -> Result<Self, Malformed> {
        use wire::write::Write as W;
        Ok(match need(write.write, "write")? {
            W::Put(put) => Self::Put(put.key, put.value),
            W::Delete(key) => Self::Delete(key),
        })
    }
}

impl From<Change> for wire::Change {
    fn from(change: Change) -> Self {
        use wire::change::Change as C;
        let change = match change {
            Change::Put(entry) => C::Put(entry.into()),
            Change::Deleted { key, revision } => C::Deleted(wire::Deleted {
                key,
                revision: revision.0,
            }),
        };
        Self { change: Some(change) }
    }
}

impl TryFrom<wire::Change> for Change {
    type Error = Malformed;
    fn try_from(change: wire::Change) -> Result<Self, Malformed> {
        use wire::change::Change as C;
        Ok(match need(change.change, "change")? {
            C::Put(entry) => Self::Put(entry.into()),
            C::Deleted(d) => Self::Deleted {
                key: d.key,
                revision: Revision(d.revision),
            },
        })
    }
}

impl WireError for StateError {
    type Message = wire::Error;

    fn code(&self) -> Code {
        match self {
            Self::Conflict { .. } => Code::Aborted,
            Self::Compacted { .. } => Code::OutOfRange,
            Self::Invalid { .. } => Code::InvalidArgument,
            Self::Forbidden { .. } => Code::PermissionDenied,
            Self::Full { .. } => Code::ResourceExhausted,
            Self::Unavailable { .. } => Code::Unavailable,
            Self::Damaged { .. } => Code::DataLoss,
        }
    }

    fn message(&self) -> wire::Error {
        use wire::error::Error as E;
        let error = match self {
            Self::Conflict { key } => E::Conflict(key.clone()),
            Self::Compacted { asked, oldest } => E::Compacted(wire::Compacted {
                asked: asked.0,
                oldest: oldest.0,
            }),
            Self::Invalid { key, why } => E::Invalid(wire::Invalid {
                key: key.clone(),
                why: why.clone(),
            }),
            Self::Forbidden { key } => E::Forbidden(key.clone()),
            Self::Full { path } => E::Full(path.clone()),
            Self::Unavailable { why } => E::Unavailable(why.clone()),
            Self::Damaged { what } => E::Damaged(what.clone()),
        };
        wire::Error { error: Some(error) }
    }

    fn read(error: wire::Error) -> Result<Self, Malformed> {
        use wire::error::Error as E;
        Ok(match need(error.error, "error")? {
            E::Conflict(key) => Self::Conflict { key },
            E::Compacted(c) => Self::Compacted {
                asked: Revision(c.asked),
                oldest: Revision(c.oldest),
            },
            E::Invalid(invalid) => Self::Invalid {
                key: invalid.key,
                why: invalid.why,
            },
            E::Forbidden(key) => Self::Forbidden { key },
            E::Full(path) => Self::Full { path },
            E::Unavailable(why) => Self::Unavailable { why },
            E::Damaged(what) => Self::Damaged { what },
        })
    }

    fn unavailable(why: String) -> Self {
        Self::Unavailable { why }
    }

    fn refused(field: &str, why: String) -> Self {
        Self::Invalid {
            key: field.to_owned(),
            why,
        }
    }
}
