//! Reads one document along the schema: what does not fit ends it, fields that are not known or stand twice are
//! noted in the order in which they come. Works on any form that serde can read.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::outcome::{Mismatch, Typed};
use super::scalar::{self, Misfit};
use crate::object::schema::{Kind, Message, Shape, Type};

/// More than this many complaints are not told.
const MOST_COMPLAINTS: usize = 100;

/// One document on its way in.
#[derive(Default)]
pub(super) struct Reading {
    /// Whether values stay as they were written, not in their canonical form.
    plain: bool,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    path: Vec<Step>,
    complaints: Vec<String>,
    failure: Option<String>,
}

enum Step {
    /// A field, and the message it is of.
    Field(String, &'static str),
    Key(String),
    Index(usize),
}

impl Reading {
    pub(super) fn plain() -> Self {
        Self {
            plain: true,
            ..Self::default()
        }
    }

    /// What came of it: the failure that the schema found, else the reader's own.
    pub(super) fn result(self, read: Result<Value, String>) -> Typed {
        let state = self.state.into_inner();
        match (read, state.failure) {
            (_, Some(failure)) => Err(Mismatch(failure)),
            (Err(why), None) => Err(Mismatch(why)),
            (Ok(object), None) => Ok((object, state.complaints)),
        }
    }

    fn enter(&self, step: Step) {
        self.state.borrow_mut().path.push(step);
    }

    fn leave(&self) {
        self.state.borrow_mut().path.pop();
    }

    fn complain(&self, what: &str, last: &str) {
        let mut state = self.state.borrow_mut();
        let path = dotted(&state.path);
        let path = if path.is_empty() {
            last.to_owned()
        } else {
            format!("{path}.{last}")
        };
        let complaint = format!("{what} field {path:?}");
        if state.complaints.len() < MOST_COMPLAINTS && !state.complaints.contains(&complaint) {
            state.complaints.push(complaint);
        }
    }

    /// Ends the reading: `what` (a string, an object ..) is no value of this type.
    fn refuse<E: Error>(&self, misfit: Misfit, expected: &Expected) -> E {
        let mut state = self.state.borrow_mut();
        let text = match misfit {
            Misfit::Content(text) => text,
            Misfit::Type(what) => {
                let fields = state.path.iter().filter_map(|step| match step {
                    Step::Field(name, of) => Some((name.as_str(), *of)),
                    Step::Key(_) | Step::Index(_) => None,
                });
                let (names, owners): (Vec<_>, Vec<_>) = fields.unzip();
                match owners.last() {
                    Some(owner) if !expected.is_own_reader() => format!(
                        "json: cannot unmarshal {what} into Go struct field {owner}.{} of type {}",
                        names.join("."),
                        expected.go_type()
                    ),
                    _ => format!(
                        "json: cannot unmarshal {what} into Go value of type {}",
                        expected.go_type()
                    ),
                }
            }
        };
        let error = E::custom(&text);
        state.failure.get_or_insert(text);
        error
    }
}

fn dotted(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Field(name, _) | Step::Key(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Step::Index(at) => text.push_str(&format!("[{at}]")),
        }
    }
    text
}

/// The complaint in the words of server-side apply, if it is about a field that is not known.
pub(super) fn undeclared(complaint: &str) -> Option<String> {
    let path = complaint.strip_prefix("unknown field \"")?.strip_suffix('"')?;
    Some(format!(".{path}: field not declared in schema"))
}

/// What is expected at a place.
#[derive(Clone, Copy)]
enum Expected {
    Root(&'static Message),
    Shape(Shape),
    One(Type),
    Strings(Type),
}

impl Expected {
    /// Whether its type reads itself in the real server, and so does not know in which field it stands.
    fn is_own_reader(self) -> bool {
        matches!(
            self,
            Self::One(Type::Time | Type::MicroTime | Type::IntOrString)
                | Self::Shape(Shape::One(Type::Time | Type::MicroTime | Type::IntOrString))
        )
    }

    fn go_type(self) -> Cow<'static, str> {
        match self {
            Self::Root(message) => format!("v1.{}", message.short_name()).into(),
            Self::One(item) | Self::Shape(Shape::One(item)) => go_type(item),
            Self::Strings(item) | Self::Shape(Shape::List(item)) => format!("[]{}", go_type(item)).into(),
            Self::Shape(Shape::Map(Type::Quantity)) => "v1.ResourceList".into(),
            Self::Shape(Shape::Map(item)) => format!("map[string]{}", go_type(item)).into(),
            Self::Shape(Shape::MapOfLists(_)) => "map[string]v1.ExtraValue".into(),
        }
    }
}

fn go_type(item: Type) -> Cow<'static, str> {
    match item {
        Type::String(name) => name.into(),
        Type::Bool => "bool".into(),
        Type::Int32 | Type::IntOrString => "int32".into(),
        Type::Int64 => "int64".into(),
        Type::Float => "float64".into(),
        Type::Bytes => "[]uint8".into(),
        Type::Quantity => "resource.Quantity".into(),
        Type::Time | Type::MicroTime => "string".into(),
        Type::Any => "runtime.RawExtension".into(),
        Type::Message(id) => format!("v1.{}", id.get().short_name()).into(),
    }
}

/// One place in the document.
pub(super) struct Slot<'r> {
    reading: &'r Reading,
    expected: Expected,
}

impl<'r> Slot<'r> {
    pub(super) fn root(reading: &'r Reading, kind: &Kind) -> Self {
        Self {
            reading,
            expected: Expected::Root(kind.root()),
        }
    }

    fn inner(&self, expected: Expected) -> Self {
        Self {
            reading: self.reading,
            expected,
        }
    }

    fn scalar<E: Error>(
        &self,
        read: impl Fn(Type) -> Result<Value, Misfit>,
        plain: Value,
    ) -> Result<Value, E> {
        let (Expected::One(item) | Expected::Shape(Shape::One(item))) = self.expected else {
            // A scalar where a list, a map or an object is due: no type of scalar takes it.
            let misfit = match read(Type::Bytes) {
                Err(Misfit::Type(what)) => Misfit::Type(what),
                Ok(_) | Err(Misfit::Content(_)) => Misfit::Type("string".to_owned()),
            };
            return Err(self.reading.refuse(misfit, &self.expected));
        };
        match read(item) {
            Ok(_) if self.reading.plain => Ok(plain),
            Ok(value) => Ok(value),
            Err(misfit) => Err(self.reading.refuse(misfit, &self.expected)),
        }
    }

    fn fields<'de, A: MapAccess<'de>>(
        &self,
        message: &'static Message,
        mut map: A,
    ) -> Result<Value, A::Error> {
        let root = matches!(self.expected, Expected::Root(_));
        let mut object = Map::new();
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key_seed(Key)? {
            let expected = match message.field(&name) {
                Some(field) => Expected::Shape(field.shape),
                None if root && (name == "apiVersion" || name == "kind") => {
                    Expected::One(Type::String("string"))
                }
                None => {
                    self.reading.complain("unknown", &name);
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if !seen.insert(name.clone()) {
                self.reading.complain("duplicate", &name);
            }
            self.reading
                .enter(Step::Field(name.clone(), message.short_name()));
            let value = map.next_value_seed(self.inner(expected))?;
            self.reading.leave();
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }

    fn entries<'de, A: MapAccess<'de>>(&self, entry: Expected, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key_seed(Key)? {
            if object.contains_key(&name) {
                self.reading.complain("duplicate", &name);
            }
            self.reading.enter(Step::Key(name.clone()));
            let value = map.next_value_seed(self.inner(entry))?;
            self.reading.leave();
            let value = if value.is_null() { nothing(entry) } else { value };
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

/// What null means as an entry of a map: zero.
fn nothing(entry: Expected) -> Value {
    match entry {
        Expected::One(Type::String(_) | Type::Bytes) => Value::from(""),
        Expected::One(Type::Quantity) => Value::from("0"),
        _ => Value::Null,
    }
}

impl<'de> DeserializeSeed<'de> for Slot<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.expected {
            Expected::One(Type::Any) | Expected::Shape(Shape::One(Type::Any)) => {
                serde::Deserialize::deserialize(deserializer)
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Slot<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.expected.go_type())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.scalar(|item| scalar::boolean(value, item), Value::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.scalar(
            |item| scalar::number(&Number::from(value), item),
            Value::from(value),
        )
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.scalar(
            |item| scalar::number(&Number::from(value), item),
            Value::from(value),
        )
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).unwrap_or_else(|| Number::from(0));
        self.scalar(
            |item| scalar::number(&number, item),
            Value::Number(number.clone()),
        )
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.scalar(|item| scalar::string(value, item), Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let item = match self.expected {
            Expected::Shape(Shape::List(item)) | Expected::Strings(item) => item,
            _ => {
                return Err(self
                    .reading
                    .refuse(Misfit::Type("array".to_owned()), &self.expected));
            }
        };
        let mut list = Vec::new();
        loop {
            self.reading.enter(Step::Index(list.len()));
            let next = items.next_element_seed(self.inner(Expected::One(item)))?;
            self.reading.leave();
            match next {
                Some(Value::Null) => list.push(nothing(Expected::One(item))),
                Some(value) => list.push(value),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        match self.expected {
            Expected::Root(message) => self.fields(message, map),
            Expected::Shape(Shape::One(Type::Message(id))) | Expected::One(Type::Message(id)) => {
                self.fields(id.get(), map)
            }
            Expected::Shape(Shape::Map(item)) => self.entries(Expected::One(item), map),
            Expected::Shape(Shape::MapOfLists(item)) => self.entries(Expected::Strings(item), map),
            Expected::Shape(Shape::One(Type::Quantity)) | Expected::One(Type::Quantity) => {
                let text = crate::object::quantity::NotAQuantity::Format.to_string();
                Err(self.reading.refuse(Misfit::Content(text), &self.expected))
            }
            Expected::Shape(_) | Expected::One(_) | Expected::Strings(_) => Err(self
                .reading
                .refuse(Misfit::Type("object".to_owned()), &self.expected)),
        }
    }
}

/// A key of an object; YAML has keys that are no strings.
pub(super) struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        Ok(key.to_owned())
    }

    fn visit_bool<E: Error>(self, key: bool) -> Result<String, E> {
        Ok(key.to_string())
    }

    fn visit_i64<E: Error>(self, key: i64) -> Result<String, E> {
        Ok(key.to_string())
    }

    fn visit_u64<E: Error>(self, key: u64) -> Result<String, E> {
        Ok(key.to_string())
    }

    fn visit_f64<E: Error>(self, key: f64) -> Result<String, E> {
        Ok(key.to_string())
    }
}
