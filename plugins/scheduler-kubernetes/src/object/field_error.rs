//! One thing wrong with one field, in the words of the real server.

use std::fmt;

use serde_json::Value;

/// What is wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Wrong {
    /// The value, and why not.
    Invalid(Value, String),
    /// What is missing; may be empty.
    Required(String),
    Forbidden(String),
    /// The value and those that are supported.
    NotSupported(Value, Vec<String>),
    Duplicate(Value),
    /// The value names something that is not there.
    NotFound(Value),
    /// The most that there may be, in bytes.
    TooLong(usize),
    /// How many there are and may be.
    TooMany(usize, usize),
}

/// A field and what is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    /// Such as `spec.containers[0].name`.
    pub field: String,
    pub wrong: Wrong,
}

impl FieldError {
    /// `field: Invalid value: value: why`.
    pub fn invalid(field: impl Into<String>, value: impl Into<Value>, why: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            wrong: Wrong::Invalid(value.into(), why.into()),
        }
    }

    /// `field: Required value: what`.
    pub fn required(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            wrong: Wrong::Required(what.into()),
        }
    }

    /// `field: Forbidden: why`.
    pub fn forbidden(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            wrong: Wrong::Forbidden(why.into()),
        }
    }

    /// `field: Unsupported value: value: supported values: ...`.
    pub fn not_supported(field: impl Into<String>, value: impl Into<Value>, supported: &[&str]) -> Self {
        let supported = supported.iter().map(|&value| value.to_owned()).collect();
        Self {
            field: field.into(),
            wrong: Wrong::NotSupported(value.into(), supported),
        }
    }

    /// `field: Duplicate value: value`.
    pub fn duplicate(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            field: field.into(),
            wrong: Wrong::Duplicate(value.into()),
        }
    }

    /// `field: Not found: value`.
    pub fn not_found(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            field: field.into(),
            wrong: Wrong::NotFound(value.into()),
        }
    }

    /// `field: Too long: may not be more than n bytes`.
    pub fn too_long(field: impl Into<String>, most_bytes: usize) -> Self {
        Self {
            field: field.into(),
            wrong: Wrong::TooLong(most_bytes),
        }
    }

    /// `field: Too many: have: must have at most n items`.
    pub fn too_many(field: impl Into<String>, have: usize, most: usize) -> Self {
        Self {
            field: field.into(),
            wrong: Wrong::TooMany(have, most),
        }
    }

    /// The reason of its cause, such as `FieldValueInvalid`.
    pub fn reason(&self) -> &'static str {
        match self.wrong {
            Wrong::Invalid(..) => "FieldValueInvalid",
            Wrong::Required(_) => "FieldValueRequired",
            Wrong::Forbidden(_) => "FieldValueForbidden",
            Wrong::NotSupported(..) => "FieldValueNotSupported",
            Wrong::Duplicate(_) => "FieldValueDuplicate",
            Wrong::NotFound(_) => "FieldValueNotFound",
            Wrong::TooLong(_) => "FieldValueTooLong",
            Wrong::TooMany(..) => "FieldValueTooMany",
        }
    }

    /// The text without the field, as in its cause.
    pub fn message(&self) -> String {
        match &self.wrong {
            Wrong::Invalid(value, why) => followed(&format!("Invalid value: {value}"), why),
            Wrong::Required(what) => followed("Required value", what),
            Wrong::Forbidden(why) => followed("Forbidden", why),
            Wrong::NotSupported(value, supported) => {
                let quoted: Vec<_> = supported.iter().map(|value| format!("{value:?}")).collect();
                format!(
                    "Unsupported value: {value}: supported values: {}",
                    quoted.join(", ")
                )
            }
            Wrong::Duplicate(value) => format!("Duplicate value: {value}"),
            Wrong::NotFound(value) => format!("Not found: {value}"),
            Wrong::TooLong(most) => format!("Too long: may not be more than {most} bytes"),
            Wrong::TooMany(have, most) => {
                let items = if *most == 1 { "item" } else { "items" };
                format!("Too many: {have}: must have at most {most} {items}")
            }
        }
    }
}

fn followed(text: &str, detail: &str) -> String {
    if detail.is_empty() {
        text.to_owned()
    } else {
        format!("{text}: {detail}")
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_the_real_server() {
        let cases = [
            (
                FieldError::invalid("a.b", "x", "no"),
                "a.b: Invalid value: \"x\": no",
            ),
            (
                FieldError::invalid("a.b", -1, "must be greater than or equal to 0"),
                "a.b: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                FieldError::required("spec.containers", ""),
                "spec.containers: Required value",
            ),
            (FieldError::forbidden("spec", "no"), "spec: Forbidden: no"),
            (
                FieldError::not_supported("spec.restartPolicy", "Often", &["Always", "Never"]),
                "spec.restartPolicy: Unsupported value: \"Often\": supported values: \"Always\", \"Never\"",
            ),
            (
                FieldError::not_found("v[0].name", "x"),
                "v[0].name: Not found: \"x\"",
            ),
            (
                FieldError::too_long("data", 1_048_576),
                "data: Too long: may not be more than 1048576 bytes",
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }
}
