//! The small texts round decoding.

use serde_json::Value;

use crate::object::problem::Problem;

/// The words for a syntax error.
pub(super) fn json_error(error: serde_json::Error) -> String {
    if error.is_eof() {
        "unexpected end of JSON input".to_owned()
    } else {
        error.to_string()
    }
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
