//! Reads the facts.

use std::collections::BTreeMap;

use super::message::{Field, ListKind, Merge, Message, MessageId, Shape, Type};

type Table = (Vec<Message>, BTreeMap<&'static str, MessageId>);

/// One line of a message, not yet resolved.
enum Line {
    Field(Vec<&'static str>),
    Inline(&'static str, &'static str),
}

/// The messages of these files.
///
/// # Errors
/// The line that cannot be understood, as text.
pub(super) fn messages(files: &[&'static str]) -> Result<Table, String> {
    let (heads, by_name) = heads(files)?;
    let mut list = Vec::with_capacity(heads.len());
    for (name, atomic, lines) in &heads {
        let mut message = Message {
            name,
            atomic: *atomic,
            fields: Vec::new(),
            by_name: BTreeMap::new(),
            by_number: BTreeMap::new(),
            inlined: BTreeMap::new(),
        };
        for line in lines {
            match line {
                Line::Field(words) => add(&mut message, field(words, &by_name)?),
                Line::Inline(inner, number) => {
                    let id = *by_name.get(inner).ok_or_else(|| format!("no message {inner}"))?;
                    message.inlined.insert(parsed(number)?, id);
                    for line in &heads[id.0].2 {
                        let Line::Field(words) = line else {
                            return Err(format!("{inner} inlines twice"));
                        };
                        add(
                            &mut message,
                            Field {
                                number: 0,
                                ..field(words, &by_name)?
                            },
                        );
                    }
                }
            }
        }
        list.push(message);
    }
    Ok((list, by_name))
}

type Heads = Vec<(&'static str, bool, Vec<Line>)>;

fn heads(files: &[&'static str]) -> Result<(Heads, BTreeMap<&'static str, MessageId>), String> {
    let mut heads: Heads = Vec::new();
    let mut by_name = BTreeMap::new();
    for line in files.iter().flat_map(|file| file.lines()) {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        if !line.starts_with(' ') {
            if by_name.insert(first, MessageId(heads.len())).is_some() {
                return Err(format!("{first} stands twice"));
            }
            heads.push((first, words.next() == Some("atomic"), Vec::new()));
            continue;
        }
        let (_, _, lines) = heads.last_mut().ok_or("a field before the first message")?;
        lines.push(match first.strip_prefix('+') {
            Some(inner) => Line::Inline(inner, words.next().ok_or(line)?),
            None => Line::Field(line.split_whitespace().collect()),
        });
    }
    Ok((heads, by_name))
}

fn add(message: &mut Message, field: Field) {
    let at = message.fields.len();
    message.by_name.insert(field.name, at);
    if field.number != 0 {
        message.by_number.insert(field.number, at);
    }
    message.fields.push(field);
}

fn field(words: &[&'static str], by_name: &BTreeMap<&'static str, MessageId>) -> Result<Field, String> {
    let [name, number, kind, flags @ ..] = words else {
        return Err(format!("{words:?}"));
    };
    let (pointer, kind) = kind.strip_prefix('*').map_or((false, *kind), |rest| (true, rest));
    let item = |name: &'static str| scalar(name).or_else(|| by_name.get(name).map(|id| Type::Message(*id)));
    let shape = if let Some(rest) = kind.strip_prefix("{}[]") {
        item(rest).map(Shape::MapOfLists)
    } else if let Some(rest) = kind.strip_prefix("[]") {
        item(rest).map(Shape::List)
    } else if let Some(rest) = kind.strip_prefix("{}") {
        item(rest).map(Shape::Map)
    } else {
        item(kind).map(Shape::One)
    };
    let mut field = Field {
        name,
        number: parsed(number)?,
        shape: shape.ok_or_else(|| format!("unknown type {kind} of {name}"))?,
        pointer,
        always: false,
        atomic: false,
        merge: Merge::Plain,
        retain: false,
        list: ListKind::Atomic,
    };
    for flag in flags {
        set(&mut field, flag)?;
    }
    Ok(field)
}

fn set(field: &mut Field, flag: &'static str) -> Result<(), String> {
    match flag.split_once('=') {
        None => match flag {
            "always" => field.always = true,
            "atomic" => field.atomic = true,
            "retain" => field.retain = true,
            "merge" => field.merge = Merge::Primitives,
            "replace" => field.merge = Merge::Replace,
            "set" => field.list = ListKind::Set,
            other => return Err(format!("unknown flag {other}")),
        },
        Some(("merge", key)) => field.merge = Merge::ByKey(key),
        Some(("keys", keys)) => {
            let key = |key: &'static str| {
                key.split_once(':')
                    .map_or((key, None), |(key, absent)| (key, Some(absent)))
            };
            field.list = ListKind::Keys(keys.split(',').map(key).collect());
        }
        Some((other, _)) => return Err(format!("unknown flag {other}")),
    }
    Ok(())
}

fn scalar(name: &'static str) -> Option<Type> {
    Some(match name {
        "string" => Type::String("string"),
        "bool" => Type::Bool,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "float64" => Type::Float,
        "bytes" => Type::Bytes,
        "Quantity" => Type::Quantity,
        "IntOrString" => Type::IntOrString,
        "Time" => Type::Time,
        "MicroTime" => Type::MicroTime,
        "Any" => Type::Any,
        _ => return name.strip_prefix("string:").map(Type::String),
    })
}

fn parsed(number: &str) -> Result<u32, String> {
    number.parse().map_err(|_| format!("not a number: {number}"))
}
