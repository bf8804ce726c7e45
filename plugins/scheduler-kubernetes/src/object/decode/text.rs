//! The small texts round decoding.

use serde_json::Value;

use crate::object::problem::Problem;

/// The words of the real server for a syntax error in these bytes.
pub(super) fn json_error(error: &serde_json::Error, bytes: &[u8]) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let text = error.to_string();
    let context = [
        (
            "key must be a string",
            "looking for beginning of object key string",
        ),
        ("expected `:`", "after object key"),
        ("expected `,` or `}`", "after object key:value pair"),
        ("expected `,` or `]`", "after array element"),
        ("trailing characters", "after top-level value"),
        ("trailing comma", "looking for beginning of value"),
        ("expected value", "looking for beginning of value"),
        ("control character", "in string literal"),
    ];
    let context = context.iter().find(|(start, _)| text.starts_with(start));
    let line = bytes
        .split(|&byte| byte == b'\n')
        .nth(error.line().saturating_sub(1));
    let found = line.and_then(|line| line.get(error.column().saturating_sub(1)));
    match (context, found) {
        // After the comma, an object's end is where a key is due.
        (Some(("trailing comma", _)), Some(b'}')) => {
            "invalid character '}' looking for beginning of object key string".to_owned()
        }
        (Some((_, context)), Some(&byte)) => {
            format!("invalid character {} {context}", quoted(byte))
        }
        (None, Some(_)) if text.starts_with("expected ident") => line
            .and_then(|line| misspelt(line, error.column() - 1))
            .unwrap_or(text),
        _ => text,
    }
}

fn quoted(byte: u8) -> String {
    match byte {
        b'"' => "'\"'".to_owned(),
        other => format!("'{}'", char::from(other).escape_default()),
    }
}

/// What is wrong with a word that began as `true`, `false` or `null` and goes on otherwise at this place.
fn misspelt(line: &[u8], at: usize) -> Option<String> {
    let begun = line[..at]
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_lowercase())
        .count();
    let word = match line.get(at - begun)? {
        b't' => "true",
        b'f' => "false",
        b'n' => "null",
        _ => return None,
    };
    let due = *word.as_bytes().get(begun)?;
    Some(format!(
        "invalid character {} in literal {word} (expecting {})",
        quoted(*line.get(at)?),
        quoted(due)
    ))
}

/// The first bytes of a body that was not understood.
pub(super) fn summary(bytes: &[u8]) -> String {
    const SHOWN: usize = 30;
    let head = &bytes[..bytes.len().min(SHOWN)];
    let more = if bytes.len() > SHOWN { " ..." } else { "" };
    match bytes.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(head)),
        Some(_) => {
            let hex: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hex}{more}")
        }
    }
}

/// A YAML (or JSON) document as it is.
pub(super) fn plain_yaml(bytes: &[u8]) -> Result<Value, Problem> {
    let failed = |why: String| Problem::bad_request(format!("error decoding YAML: {why}"));
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(_) => serde_yaml_ng::from_slice(bytes).map_err(|error| failed(error.to_string()))?,
    };
    match value {
        Value::Object(_) => Ok(value),
        _ => Err(failed(
            "json: cannot unmarshal into Go value of type map[string]interface {}".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_is_told_as_the_real_server_tells_it() {
        for (text, want) in [
            ("{\"a\":", "unexpected end of JSON input"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            (
                "{a: 1}",
                "invalid character 'a' looking for beginning of object key string",
            ),
            (
                "{\"a\": 1 \"b\"}",
                "invalid character '\"' after object key:value pair",
            ),
            ("{\"a\": [1 2]}", "invalid character '2' after array element"),
            (
                "{\"a\": x}",
                "invalid character 'x' looking for beginning of value",
            ),
            (
                "{\"a\": tru}",
                "invalid character '}' in literal true (expecting 'e')",
            ),
            (
                "{\"a\": 1,}",
                "invalid character '}' looking for beginning of object key string",
            ),
            ("{} x", "invalid character 'x' after top-level value"),
        ] {
            let error = serde_json::from_str::<Value>(text).expect_err(text);
            assert_eq!(json_error(&error, text.as_bytes()), want, "{text}");
        }
    }
}
