//! The shape of one message and its fields.

use std::collections::BTreeMap;

use super::table::messages;

/// The type of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A string; the name is what error messages call its type (`string`, `v1.Protocol`).
    String(&'static str),
    Bool,
    Int32,
    Int64,
    Float,
    /// Base64 in JSON.
    Bytes,
    /// An amount such as `500m`; a string in JSON, a message of its own in protobuf.
    Quantity,
    IntOrString,
    /// RFC 3339 to the second.
    Time,
    /// RFC 3339 to the microsecond.
    MicroTime,
    /// Any JSON: an extension, or the fields of a manager.
    Any,
    Message(MessageId),
}

/// One value, a list or a map of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    One(Type),
    List(Type),
    Map(Type),
    /// A map of lists of strings; a message of its own per entry in protobuf.
    MapOfLists(Type),
}

/// How a strategic merge patch treats a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// Objects and maps are merged, lists are replaced.
    Plain,
    /// The whole value is replaced.
    Replace,
    /// A list of scalars in which each stands once: the patch's are added.
    Primitives,
    /// A list of objects merged by this key.
    ByKey(&'static str),
}

/// How server-side apply treats a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListKind {
    /// Owned by one manager as a whole.
    Atomic,
    /// Each value is owned by itself.
    Set,
    /// Each item is owned by itself, found by these keys, each with what it counts as when absent.
    Keys(Vec<(&'static str, Option<&'static str>)>),
}

/// One field of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    /// Its protobuf number; 0 for fields that came from an inlined message (they are found through it).
    pub number: u32,
    pub shape: Shape,
    /// Whether unset and zero differ.
    pub pointer: bool,
    /// Whether it is written even when empty.
    pub always: bool,
    /// Whether server-side apply owns it as a whole though its type would be granular.
    pub atomic: bool,
    pub merge: Merge,
    /// Whether a strategic merge may say which keys are to stay (`$retainKeys`).
    pub retain: bool,
    pub list: ListKind,
}

impl Field {
    /// The message of the field's value or of its items, if it has one.
    pub fn message(&self) -> Option<&'static Message> {
        self.shape.item().message()
    }
}

impl Shape {
    /// The type of the value itself, of the items or of the entries.
    pub fn item(self) -> Type {
        match self {
            Self::One(item) | Self::List(item) | Self::Map(item) | Self::MapOfLists(item) => item,
        }
    }
}

impl Type {
    /// The message, if it is one.
    pub fn message(self) -> Option<&'static Message> {
        match self {
            Self::Message(id) => Some(id.get()),
            Self::String(_)
            | Self::Bool
            | Self::Int32
            | Self::Int64
            | Self::Float
            | Self::Bytes
            | Self::Quantity
            | Self::IntOrString
            | Self::Time
            | Self::MicroTime
            | Self::Any => None,
        }
    }
}

/// A message's place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId(pub(super) usize);

impl MessageId {
    /// The message.
    pub fn get(self) -> &'static Message {
        &messages().list[self.0]
    }
}

/// One message: a kind's root or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its name in the table; two groups may have one of a name, told apart by `group/` before it.
    pub name: &'static str,
    /// Whether server-side apply owns it as a whole.
    pub atomic: bool,
    pub(super) fields: Vec<Field>,
    pub(super) by_name: BTreeMap<&'static str, usize>,
    pub(super) by_number: BTreeMap<u32, usize>,
    pub(super) inlined: BTreeMap<u32, MessageId>,
}

impl Message {
    /// The fields in the order of the table, those of inlined messages among them.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field with this name in JSON.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.by_name.get(name).map(|&at| &self.fields[at])
    }

    /// The field with this protobuf number.
    pub fn numbered(&self, number: u32) -> Option<&Field> {
        self.by_number.get(&number).map(|&at| &self.fields[at])
    }

    /// The message whose fields stand in this one's JSON object and under this number in protobuf.
    pub fn inlined(&self, number: u32) -> Option<&'static Message> {
        self.inlined.get(&number).map(|id| id.get())
    }

    /// The name as error messages give it.
    pub fn short_name(&self) -> &'static str {
        self.name.rsplit('/').next().unwrap_or(self.name)
    }
}
