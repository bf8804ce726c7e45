//! A number or a percentage, as in `maxSurge: 25%`.

use serde_json::Value;

/// Which way a percentage that does not come out even is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    Up,
    Down,
}

/// The value is neither a number nor a percentage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid value for IntOrString: {0}")]
pub struct NotAnAmount(pub String);

/// How many of `total` the value means: itself if it is a number, else that percentage of them.
///
/// # Errors
/// [`NotAnAmount`] if it is something else.
pub fn scaled(value: &Value, total: i64, round: Round) -> Result<i64, NotAnAmount> {
    match value {
        Value::Number(number) => number.as_i64().ok_or_else(|| NotAnAmount(value.to_string())),
        Value::String(text) => {
            let percent = percent(text).ok_or_else(|| NotAnAmount(format!("invalid type: {text}")))?;
            let exact = i128::from(percent) * i128::from(total);
            let whole = match round {
                Round::Up => exact.div_euclid(100) + i128::from(exact.rem_euclid(100) != 0),
                Round::Down => exact.div_euclid(100),
            };
            i64::try_from(whole).map_err(|_| NotAnAmount(text.clone()))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(NotAnAmount(value.to_string()))
        }
    }
}

/// The number before the percent sign, if the text is a percentage.
pub fn percent(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('%')?;
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn percentages_round_as_asked() {
        let cases = [
            (json!(3), 10, Round::Up, Some(3)),
            (json!("25%"), 10, Round::Up, Some(3)),
            (json!("25%"), 10, Round::Down, Some(2)),
            (json!("0%"), 10, Round::Up, Some(0)),
            (json!("100%"), 7, Round::Down, Some(7)),
            (json!("25"), 10, Round::Up, None),
            (json!("-5%"), 10, Round::Up, None),
            (json!("%"), 10, Round::Up, None),
            (json!(true), 10, Round::Up, None),
        ];
        for (value, total, round, want) in cases {
            assert_eq!(scaled(&value, total, round).ok(), want, "{value} of {total}");
        }
    }
}
