//! Scalars: whether a value is one of the type, and its canonical form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Number, Value};

use crate::object::quantity::{NotAQuantity, Quantity};
use crate::object::schema::Type;

/// The zero time of the real server's language, the first second of year 1: no time at all.
pub(super) const NO_TIME: i64 = -62_135_596_800;

/// Why a scalar does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It is of another type; how messages call what it is.
    Type(String),
    /// It is of the right type but its content is wrong.
    Content(String),
}

fn other(what: &str) -> Misfit {
    Misfit::Type(what.to_owned())
}

pub(super) fn string(text: &str, expected: Type) -> Result<Value, Misfit> {
    match expected {
        Type::String(_) | Type::IntOrString | Type::Any => Ok(Value::from(text)),
        Type::Bytes => bytes(text),
        Type::Quantity => quantity(text)
            .map(Value::from)
            .map_err(|error| Misfit::Content(error.to_string())),
        Type::Time => time(text).map(|at| at.map_or(Value::Null, |at| Value::from(seconds(at)))),
        Type::MicroTime => time(text).map(|at| at.map_or(Value::Null, |at| Value::from(micros(at)))),
        Type::Bool | Type::Int32 | Type::Int64 | Type::Float | Type::Message(_) => Err(other("string")),
    }
}

pub(super) fn boolean(value: bool, expected: Type) -> Result<Value, Misfit> {
    match expected {
        Type::Bool | Type::Any => Ok(Value::from(value)),
        Type::Quantity => Err(Misfit::Content(NotAQuantity::Format.to_string())),
        _ => Err(other("bool")),
    }
}

pub(super) fn number(value: &Number, expected: Type) -> Result<Value, Misfit> {
    let range = |fits: bool| {
        if fits {
            Ok(Value::Number(value.clone()))
        } else {
            Err(Misfit::Type(format!("number {value}")))
        }
    };
    match expected {
        Type::Int32 | Type::IntOrString => range(value.as_i64().is_some_and(|n| i32::try_from(n).is_ok())),
        Type::Int64 => range(value.is_i64()),
        Type::Float | Type::Any => Ok(Value::Number(value.clone())),
        Type::Quantity => quantity(&value.to_string())
            .map(Value::from)
            .map_err(|error| Misfit::Content(error.to_string())),
        _ => Err(other("number")),
    }
}

/// The canonical form of an amount; nothing is zero.
pub(super) fn quantity(text: &str) -> Result<String, NotAQuantity> {
    if text.is_empty() {
        return Ok("0".to_owned());
    }
    Quantity::parse(text).map(|quantity| quantity.to_string())
}

fn bytes(text: &str) -> Result<Value, Misfit> {
    // Line breaks are let through, as the real server does.
    let plain: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    match STANDARD.decode(&plain) {
        Ok(_) => Ok(Value::from(plain)),
        Err(error) => {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _)
                | base64::DecodeError::InvalidLastSymbol { offset: at, .. } => at,
                _ => plain.len() - plain.len() % 4,
            };
            Err(Misfit::Content(format!("illegal base64 data at input byte {at}")))
        }
    }
}

pub(super) fn encoded(bytes: &[u8]) -> Value {
    Value::from(STANDARD.encode(bytes))
}

fn time(text: &str) -> Result<Option<Timestamp>, Misfit> {
    let at: Result<Timestamp, _> = text.parse();
    at.map(|at| Some(at).filter(|at| at.as_second() != NO_TIME))
        .map_err(|_| {
            let layout = "2006-01-02T15:04:05Z07:00";
            Misfit::Content(format!(
                "parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\""
            ))
        })
}

/// To the second, in UTC.
pub(super) fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// To the microsecond, in UTC.
pub(super) fn micros(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
