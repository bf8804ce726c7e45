//! The rules of names, labels and keys, with the texts of the real server.

/// A rule of form as the real server tells it: what must be, examples, the expression.
macro_rules! rule {
    ($text:literal, $expression:literal, $first:literal $(, $more:literal)*) => {
        concat!($text, " (e.g. '", $first, "', ", $(" or '", $more, "', ",)* "regex used for validation is '",
            $expression, "')")
    };
}

const LABEL: &str = rule!(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
     with an alphanumeric character",
    "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
    "my-name",
    "123-abc"
);
const SUBDOMAIN: &str = rule!(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
     and end with an alphanumeric character",
    "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
    "example.com"
);
const KEY: &str = rule!(
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]",
    "MyName",
    "my.name",
    "123-abc"
);
const LABEL_VALUE: &str = rule!(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
     and end with an alphanumeric character",
    "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
    "MyValue",
    "my_value",
    "12345"
);
const DATA_KEY: &str = rule!(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "[-._a-zA-Z0-9]+",
    "key.name",
    "KEY_NAME",
    "key-name"
);
const ENV_NAME: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";

/// All annotations of an object together are no longer.
pub const MOST_ANNOTATIONS_BYTES: usize = 256 * 1024;

/// A result whose errors are texts to put behind the value; several are several errors.
pub type Checked = Result<(), Vec<String>>;

fn checked(errors: Vec<String>) -> Checked {
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn no_longer(errors: &mut Vec<String>, text: &str, most: usize) {
    if text.len() > most {
        errors.push(format!("must be no more than {most} characters"));
    }
}

/// Lower case letters, digits and dashes, neither first nor last a dash.
fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Letters, digits, dashes, underscores and dots, letters or digits first and last.
fn is_word(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    text.bytes().all(inner) && edge(text.as_bytes().first()) && edge(text.as_bytes().last())
}

/// A name that may be one part of a DNS name: namespaces, containers, volumes.
pub fn label(text: &str) -> Checked {
    let mut errors = Vec::new();
    no_longer(&mut errors, text, 63);
    if !is_label(text) {
        errors.push(LABEL.to_owned());
    }
    checked(errors)
}

/// A name that may be a DNS name: most objects.
pub fn subdomain(text: &str) -> Checked {
    let mut errors = Vec::new();
    no_longer(&mut errors, text, 253);
    if !text.split('.').all(is_label) {
        errors.push(SUBDOMAIN.to_owned());
    }
    checked(errors)
}

/// A label's or annotation's key: `name` or `prefix/name`.
pub fn key(text: &str) -> Checked {
    let mut errors = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else if let Err(more) = subdomain(prefix) {
                errors.extend(more.into_iter().map(|why| format!("prefix part {why}")));
            }
            name
        }
        _ => {
            let text = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return Err(vec![format!("a qualified name {KEY} {text}")]);
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        errors.push("name part must be no more than 63 characters".to_owned());
    }
    if !is_word(name) {
        errors.push(format!("name part {KEY}"));
    }
    checked(errors)
}

/// A label's value.
pub fn label_value(text: &str) -> Checked {
    let mut errors = Vec::new();
    no_longer(&mut errors, text, 63);
    if !text.is_empty() && !is_word(text) {
        errors.push(LABEL_VALUE.to_owned());
    }
    checked(errors)
}

/// A key in a config map or secret.
pub fn data_key(text: &str) -> Checked {
    let mut errors = Vec::new();
    no_longer(&mut errors, text, 253);
    if text.is_empty()
        || !text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    {
        errors.push(DATA_KEY.to_owned());
    }
    match text {
        "." => errors.push("must not be '.'".to_owned()),
        ".." => errors.push("must not be '..'".to_owned()),
        _ if text.starts_with("..") => errors.push("must not start with '..'".to_owned()),
        _ => {}
    }
    checked(errors)
}

/// The name of an environment variable.
pub fn env_name(text: &str) -> Checked {
    let plain = |b: u8| (0x20..0x7f).contains(&b) && b != b'=';
    if text.is_empty() {
        return Err(vec!["environment variable name must be non-empty".to_owned()]);
    }
    if text.bytes().all(plain) {
        Ok(())
    } else {
        Err(vec![ENV_NAME.to_owned()])
    }
}

/// The name of a port.
pub fn port_name(text: &str) -> Checked {
    let mut errors = Vec::new();
    no_longer(&mut errors, text, 15);
    if !text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    checked(errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_dns_has_them() {
        for (text, is_subdomain, is_label) in [
            ("a", true, true),
            ("a.b", true, false),
            ("a-b9", true, true),
            ("-a", false, false),
            ("a-", false, false),
            ("a..b", false, false),
            ("A", false, false),
            ("", false, false),
            ("Bad_Name", false, false),
        ] {
            assert_eq!(subdomain(text).is_ok(), is_subdomain, "{text}");
            assert_eq!(label(text).is_ok(), is_label, "{text}");
        }
        assert_eq!(
            label("A").expect_err("upper")[0],
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
             end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        );
    }

    #[test]
    fn keys_may_have_one_prefix() {
        for (text, good) in [
            ("app", true),
            ("app.kubernetes.io/name", true),
            ("a/b/c", false),
            ("/b", false),
            ("a/", false),
            ("A_b.c", true),
            ("-a", false),
        ] {
            assert_eq!(key(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn data_keys_are_file_names() {
        for (text, good) in [
            ("a.txt", true),
            ("..", false),
            ("..a", false),
            (".", false),
            ("a/b", false),
            ("", false),
        ] {
            assert_eq!(data_key(text).is_ok(), good, "{text}");
        }
    }
}
