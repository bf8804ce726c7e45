//! What a message can be wrong in. Every decoder of this crate gives one of these, never a panic.

use bytes::Bytes;
use plenum_model::ids::{BadId, SpecId, TaskId};
use plenum_model::taint::BadTaint;

/// A message that does not say what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fault}")]
pub struct Malformed {
    /// The field, as the `.proto` file names it.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It must be set and is not.
    #[error("missing")]
    Missing,
    /// It is no acceptable name.
    #[error(transparent)]
    Name(BadId),
    /// It is no taint.
    #[error(transparent)]
    Taint(BadTaint),
    /// It has the wrong number of bytes.
    #[error("has {got} bytes, not {expected}")]
    Length {
        /// How many it must have.
        expected: usize,
        /// How many it has.
        got: usize,
    },
    /// It is a value of an enumeration that this build does not know.
    #[error("{0} is unknown here")]
    Unknown(i32),
    /// It is a number outside its range.
    #[error("{0} is out of range")]
    Range(u64),
    /// It is no reference to an image.
    #[error("is no reference to an image")]
    Image,
    /// It is set where it must not be.
    #[error("must not be set here")]
    Unexpected,
    /// It refers to a definition that was never sent.
    #[error("refers to number {0}, which was not defined")]
    Undefined(u32),
    /// More definitions than a receiver takes.
    #[error("more than {0} definitions on one stream")]
    TooMany(usize),
}

impl Malformed {
    /// `field` is missing.
    pub(crate) fn missing(field: &'static str) -> Self {
        Self {
            field,
            fault: Fault::Missing,
        }
    }

    /// `field` is set where it must not be.
    pub(crate) fn unexpected(field: &'static str) -> Self {
        Self {
            field,
            fault: Fault::Unexpected,
        }
    }

    /// `field` is out of range.
    pub(crate) fn range(field: &'static str, got: impl Into<u64>) -> Self {
        Self {
            field,
            fault: Fault::Range(got.into()),
        }
    }
}

/// What must be set.
pub(crate) fn need<T>(value: Option<T>, field: &'static str) -> Result<T, Malformed> {
    value.ok_or_else(|| Malformed::missing(field))
}

/// A name of any kind.
pub(crate) fn name<T>(given: &str, field: &'static str) -> Result<T, Malformed>
where
    T: std::str::FromStr<Err = BadId>,
{
    given.parse().map_err(|bad| Malformed {
        field,
        fault: Fault::Name(bad),
    })
}

/// A name of any kind that may be absent.
pub(crate) fn maybe_name<T>(given: Option<&str>, field: &'static str) -> Result<Option<T>, Malformed>
where
    T: std::str::FromStr<Err = BadId>,
{
    given.map(|text| name(text, field)).transpose()
}

fn exactly<const N: usize>(bytes: &Bytes, field: &'static str) -> Result<[u8; N], Malformed> {
    let fault = Fault::Length {
        expected: N,
        got: bytes.len(),
    };
    bytes.as_ref().try_into().map_err(|_| Malformed { field, fault })
}

/// A task id.
pub(crate) fn task_id(bytes: &Bytes, field: &'static str) -> Result<TaskId, Malformed> {
    exactly(bytes, field).map(TaskId)
}

/// Several task ids.
pub(crate) fn task_ids(all: &[Bytes], field: &'static str) -> Result<Vec<TaskId>, Malformed> {
    all.iter().map(|bytes| task_id(bytes, field)).collect()
}

/// A spec id.
pub(crate) fn spec_id(bytes: &Bytes, field: &'static str) -> Result<SpecId, Malformed> {
    exactly(bytes, field).map(SpecId)
}

/// A port, an index of a port, or a size of a terminal.
pub(crate) fn small(value: u32, field: &'static str) -> Result<u16, Malformed> {
    u16::try_from(value).map_err(|_| Malformed::range(field, value))
}

/// A count in memory.
pub(crate) fn count(value: u64, field: &'static str) -> Result<usize, Malformed> {
    usize::try_from(value).map_err(|_| Malformed::range(field, value))
}

/// The bytes of a task id.
pub(crate) fn id_bytes(id: &TaskId) -> Bytes {
    Bytes::copy_from_slice(&id.0)
}

/// Each element decoded, in order.
pub(crate) fn each<W, T>(all: Vec<W>) -> Result<Vec<T>, Malformed>
where
    T: TryFrom<W, Error = Malformed>,
{
    all.into_iter().map(T::try_from).collect()
}

/// What is set, decoded.
pub(crate) fn maybe<W, T>(value: Option<W>) -> Result<Option<T>, Malformed>
where
    T: TryFrom<W, Error = Malformed>,
{
    value.map(T::try_from).transpose()
}

/// What must be set, decoded.
pub(crate) fn required<W, T>(value: Option<W>, field: &'static str) -> Result<T, Malformed>
where
    T: TryFrom<W, Error = Malformed>,
{
    need(value, field).and_then(T::try_from)
}
