//! Reads protobuf: the envelope that Kubernetes puts round it, and messages along the schema. What the schema does
//! not know is skipped, as protobuf wants it.

use serde_json::{Map, Value, json};

use super::identity::Identity;
use super::outcome::Mismatch;
use super::scalar;
use crate::object::schema::{Field, Message, Shape, Type};

/// The first bytes of every body.
const MAGIC: &[u8] = b"k8s\0";

/// Messages nest no deeper; a hostile body ends here and not in the stack.
const DEEPEST: usize = 64;

/// What the body says it is, and the bytes of its message.
pub(super) fn envelope(bytes: &[u8]) -> Result<(Identity, &[u8]), String> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or("provided data does not appear to be a protobuf message")?;
    let mut identity = Identity::default();
    let mut raw: &[u8] = &[];
    let mut wire = Wire(rest);
    while let Some((number, token)) = wire.next()? {
        match (number, token) {
            (1, Token::Bytes(meta)) => {
                let mut meta = Wire(meta);
                while let Some((number, token)) = meta.next()? {
                    match (number, token) {
                        (1, Token::Bytes(text)) => identity.api_version = utf8(text)?.to_owned(),
                        (2, Token::Bytes(text)) => identity.kind = utf8(text)?.to_owned(),
                        _ => {}
                    }
                }
            }
            (2, Token::Bytes(message)) => raw = message,
            _ => {}
        }
    }
    Ok((identity, raw))
}

/// The message as an object.
pub(super) fn message(bytes: &[u8], message: &Message) -> Result<Value, Mismatch> {
    let mut object = Map::new();
    fields(bytes, message, &mut object, 0).map_err(Mismatch)?;
    Ok(Value::Object(object))
}

fn fields(
    bytes: &[u8],
    message: &Message,
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), String> {
    if depth > DEEPEST {
        return Err("proto: nesting too deep".to_owned());
    }
    let mut wire = Wire(bytes);
    while let Some((number, token)) = wire.next()? {
        if let (Some(inner), Token::Bytes(bytes)) = (message.inlined(number), &token) {
            fields(bytes, inner, object, depth + 1)?;
        } else if let Some(known) = message.numbered(number) {
            field(known, token, object, depth)?;
        }
    }
    Ok(())
}

fn field(
    known: &Field,
    token: Token<'_>,
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), String> {
    let at = object.entry(known.name).or_insert(Value::Null);
    match known.shape {
        Shape::One(Type::Message(id)) => {
            let Token::Bytes(bytes) = token else {
                return Err(wrong_wire(known));
            };
            if !at.is_object() {
                *at = json!({});
            }
            at.as_object_mut()
                .map_or(Ok(()), |inner| fields(bytes, id.get(), inner, depth + 1))?;
        }
        Shape::One(item) => *at = one(item, &token, depth).map_err(|why| told(known, why))?,
        Shape::List(item) => {
            if !at.is_array() {
                *at = json!([]);
            }
            let Value::Array(list) = at else { return Ok(()) };
            match (item, &token) {
                // Packed numbers: not what Kubernetes writes, but what protobuf lets a client write.
                (Type::Int32 | Type::Int64 | Type::Bool, Token::Bytes(bytes)) => {
                    let mut packed = Wire(bytes);
                    while !packed.0.is_empty() {
                        let number = Token::Varint(packed.varint()?);
                        list.push(one(item, &number, depth).map_err(|why| told(known, why))?);
                    }
                }
                _ => list.push(one(item, &token, depth).map_err(|why| told(known, why))?),
            }
        }
        Shape::Map(_) | Shape::MapOfLists(_) => {
            let Token::Bytes(bytes) = token else {
                return Err(wrong_wire(known));
            };
            if !at.is_object() {
                *at = json!({});
            }
            let (key, value) = entry(known.shape, bytes, depth).map_err(|why| told(known, why))?;
            at.as_object_mut().into_iter().for_each(|entries| {
                entries.insert(key.clone(), value.clone());
            });
        }
    }
    Ok(())
}

fn entry(shape: Shape, bytes: &[u8], depth: usize) -> Result<(String, Value), String> {
    let mut key = String::new();
    let mut value = None;
    let mut wire = Wire(bytes);
    while let Some((number, token)) = wire.next()? {
        match (number, &token, shape) {
            (1, Token::Bytes(text), _) => utf8(text)?.clone_into(&mut key),
            (2, Token::Bytes(bytes), Shape::MapOfLists(_)) => value = Some(strings(bytes)?),
            (2, token, _) => value = Some(one(shape.item(), token, depth + 1)?),
            _ => {}
        }
    }
    let absent = || match shape {
        Shape::MapOfLists(_) => json!([]),
        Shape::Map(Type::Quantity) => json!("0"),
        Shape::Map(Type::Message(_)) => json!({}),
        Shape::Map(_) | Shape::One(_) | Shape::List(_) => json!(""),
    };
    Ok((key, value.unwrap_or_else(absent)))
}

fn strings(bytes: &[u8]) -> Result<Value, String> {
    let mut items = Vec::new();
    let mut wire = Wire(bytes);
    while let Some((number, token)) = wire.next()? {
        if let (1, Token::Bytes(text)) = (number, token) {
            items.push(Value::from(utf8(text)?));
        }
    }
    Ok(Value::Array(items))
}

/// One value; `Err` of an empty text means that the token cannot hold one of this type.
fn one(item: Type, token: &Token<'_>, depth: usize) -> Result<Value, String> {
    Ok(match (item, token) {
        (Type::String(_), Token::Bytes(text)) => Value::from(utf8(text)?),
        (Type::Bytes, Token::Bytes(bytes)) => scalar::encoded(bytes),
        (Type::Bool, Token::Varint(number)) => Value::from(*number != 0),
        (Type::Int32, Token::Varint(number)) => Value::from(int32(*number)),
        (Type::Int64, Token::Varint(number)) => Value::from(number.cast_signed()),
        (Type::Float, Token::Fixed64(bits)) => json!(f64::from_bits(*bits)),
        (Type::Quantity, Token::Bytes(bytes)) => quantity(bytes)?,
        (Type::IntOrString, Token::Bytes(bytes)) => int_or_string(bytes)?,
        (Type::Time, Token::Bytes(bytes)) => {
            time(bytes)?.map_or(Value::Null, |at| scalar::seconds(at).into())
        }
        (Type::MicroTime, Token::Bytes(bytes)) => {
            time(bytes)?.map_or(Value::Null, |at| scalar::micros(at).into())
        }
        (Type::Any, Token::Bytes(bytes)) => any(bytes)?,
        (Type::Message(id), Token::Bytes(bytes)) => {
            let mut object = Map::new();
            fields(bytes, id.get(), &mut object, depth + 1)?;
            Value::Object(object)
        }
        _ => return Err(String::new()),
    })
}

fn told(known: &Field, why: String) -> String {
    if why.is_empty() { wrong_wire(known) } else { why }
}

fn wrong_wire(known: &Field) -> String {
    format!("proto: wrong wireType for field {}", known.name)
}

/// A number of 32 bits is written in as many bytes as one of 64.
fn int32(number: u64) -> i32 {
    i32::try_from(number.cast_signed()).unwrap_or_else(|_| (number & u64::from(u32::MAX)) as u32 as i32)
}

fn quantity(bytes: &[u8]) -> Result<Value, String> {
    let mut text = "";
    let mut wire = Wire(bytes);
    while let Some((number, token)) = wire.next()? {
        if let (1, Token::Bytes(bytes)) = (number, token) {
            text = utf8(bytes)?;
        }
    }
    scalar::quantity(text)
        .map(Value::from)
        .map_err(|error| error.to_string())
}

fn int_or_string(bytes: &[u8]) -> Result<Value, String> {
    let (mut is_text, mut number, mut text) = (false, 0, "");
    let mut wire = Wire(bytes);
    while let Some((at, token)) = wire.next()? {
        match (at, token) {
            (1, Token::Varint(kind)) => is_text = kind == 1,
            (2, Token::Varint(value)) => number = int32(value),
            (3, Token::Bytes(bytes)) => text = utf8(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text {
        Value::from(text)
    } else {
        Value::from(number)
    })
}

/// A point in time; an empty message is none, not the year 1970.
fn time(bytes: &[u8]) -> Result<Option<jiff::Timestamp>, String> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (mut seconds, mut nanos) = (0, 0);
    let mut wire = Wire(bytes);
    while let Some((number, token)) = wire.next()? {
        match (number, token) {
            (1, Token::Varint(value)) => seconds = value.cast_signed(),
            (2, Token::Varint(value)) => nanos = int32(value),
            _ => {}
        }
    }
    if seconds == scalar::NO_TIME {
        return Ok(None);
    }
    jiff::Timestamp::new(seconds, nanos)
        .map(Some)
        .map_err(|error| error.to_string())
}

fn any(bytes: &[u8]) -> Result<Value, String> {
    let mut raw: &[u8] = &[];
    let mut wire = Wire(bytes);
    while let Some((number, token)) = wire.next()? {
        if let (1, Token::Bytes(bytes)) = (number, token) {
            raw = bytes;
        }
    }
    if raw.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(raw).map_err(|error| error.to_string())
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "string field contains invalid UTF-8".to_owned())
}

/// One value on the wire.
enum Token<'b> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'b [u8]),
    Fixed32,
}

/// The bytes that are still to be read.
struct Wire<'b>(&'b [u8]);

const SHORT: &str = "unexpected EOF";

impl<'b> Wire<'b> {
    fn next(&mut self) -> Result<Option<(u32, Token<'b>)>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|&number| number > 0);
        let number =
            number.ok_or_else(|| format!("proto: illegal tag {} (wire type {})", tag >> 3, tag & 7))?;
        let token = match tag & 7 {
            0 => Token::Varint(self.varint()?),
            1 => {
                let bytes = self.0.first_chunk::<8>().ok_or(SHORT)?;
                self.0 = &self.0[8..];
                Token::Fixed64(u64::from_le_bytes(*bytes))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| SHORT)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
                self.0 = rest;
                Token::Bytes(bytes)
            }
            5 => {
                self.0 = self.0.get(4..).ok_or(SHORT)?;
                Token::Fixed32
            }
            other => return Err(format!("proto: illegal wireType {other}")),
        };
        Ok(Some((number, token)))
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0u64;
        for shift in 0..10 {
            let (&byte, rest) = self.0.split_first().ok_or(SHORT)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << (7 * shift);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("proto: integer overflow".to_owned())
    }
}
