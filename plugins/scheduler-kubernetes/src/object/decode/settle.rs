//! The form in which an object is kept: what is empty and need not be there is left out, what is always there is
//! put in, as the real server's own types do when they are written.

use serde_json::{Map, Value};

use crate::object::schema::{Field, Kind, Message, Shape, Type};

/// Brings an object of this kind, whose values are known to fit, into the form in which it is kept.
pub fn settle(kind: &Kind, object: &mut Value) {
    let Value::Object(fields) = object else { return };
    fields.insert("apiVersion".to_owned(), Value::from(kind.api_version()));
    fields.insert("kind".to_owned(), Value::from(kind.kind));
    message(kind.root(), fields);
}

fn message(message: &Message, object: &mut Map<String, Value>) {
    for known in message.fields() {
        let keep = match object.get_mut(known.name) {
            None => {
                if let Some(zero) = always_there(known) {
                    object.insert(known.name.to_owned(), zero);
                }
                continue;
            }
            Some(value) => {
                field(known, value);
                !value.is_null() && (known.pointer || known.always || !is_empty(value, known.shape))
            }
        };
        if !keep {
            object.remove(known.name);
            if let Some(zero) = always_there(known) {
                object.insert(known.name.to_owned(), zero);
            }
        }
    }
}

fn field(known: &Field, value: &mut Value) {
    let Some(inner) = known.message() else { return };
    match (known.shape, value) {
        (Shape::One(_), Value::Object(fields)) => message(inner, fields),
        (Shape::List(_), Value::Array(items)) => {
            for item in items {
                if item.is_null() {
                    *item = Value::Object(Map::new());
                }
                item.as_object_mut()
                    .into_iter()
                    .for_each(|fields| message(inner, fields));
            }
        }
        (Shape::Map(_), Value::Object(entries)) => {
            for entry in entries.values_mut() {
                entry
                    .as_object_mut()
                    .into_iter()
                    .for_each(|fields| message(inner, fields));
            }
        }
        _ => {}
    }
}

/// What stands there when nothing was said: an object that is no pointer, a scalar that is always written.
fn always_there(known: &Field) -> Option<Value> {
    if known.pointer {
        return None;
    }
    let Shape::One(item) = known.shape else {
        return None;
    };
    match item {
        Type::Message(id) => {
            let mut fields = Map::new();
            message(id.get(), &mut fields);
            Some(Value::Object(fields))
        }
        Type::Quantity => Some(Value::from("0")),
        Type::IntOrString => Some(Value::from(0)),
        _ if !known.always => None,
        Type::String(_) => Some(Value::from("")),
        Type::Bool => Some(Value::from(false)),
        Type::Int32 | Type::Int64 | Type::Float => Some(Value::from(0)),
        Type::Bytes | Type::Time | Type::MicroTime | Type::Any => None,
    }
}

fn is_empty(value: &Value, shape: Shape) -> bool {
    match (shape, value) {
        (Shape::One(Type::Message(_) | Type::Quantity | Type::IntOrString | Type::Any), _) => false,
        (_, Value::Null) => true,
        (_, Value::Bool(value)) => !value,
        (_, Value::Number(number)) => number.as_f64() == Some(0.0),
        (_, Value::String(text)) => text.is_empty(),
        (_, Value::Array(items)) => items.is_empty(),
        (_, Value::Object(entries)) => entries.is_empty(),
    }
}
