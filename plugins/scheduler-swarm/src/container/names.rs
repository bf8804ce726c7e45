//! Names of containers: checked when given, made up when not.

use crate::error::{ApiError, ApiResult};
use crate::ids;

const ADJECTIVES: [&str; 32] = [
    "agile", "bold", "brave", "bright", "busy", "calm", "clever", "cosy", "daring", "eager", "fair", "fancy",
    "gentle", "happy", "keen", "kind", "lively", "lucid", "merry", "mild", "neat", "noble", "plucky",
    "proud", "quick", "quiet", "sharp", "snug", "steady", "sunny", "witty", "zealous",
];
const NOUNS: [&str; 32] = [
    "badger", "beaver", "bison", "crane", "dolphin", "eagle", "falcon", "ferret", "finch", "gecko", "heron",
    "ibis", "jackal", "koala", "lemur", "lynx", "magpie", "marten", "newt", "otter", "panda", "puffin",
    "quail", "raven", "robin", "salmon", "seal", "stoat", "swift", "tapir", "walrus", "wren",
];

/// The `n`-th name for this id.
pub(crate) fn made_up(id: &str, n: u32) -> String {
    let digest = ids::digest(format!("{id}/{n}").as_bytes());
    let byte = |at: usize| usize::from_str_radix(&digest[at..at + 2], 16).unwrap_or(0);
    let (adjective, noun) = (ADJECTIVES[byte(0) % 32], NOUNS[byte(2) % 32]);
    match n {
        0 => format!("{adjective}_{noun}"),
        _ => format!("{adjective}_{noun}{}", byte(4) % 100),
    }
}

/// A name that was given.
pub(super) fn checked(given: &str) -> ApiResult<String> {
    let name = given.strip_prefix('/').unwrap_or(given);
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = name.len() > 1 && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if first && rest && name.len() <= 253 {
        return Ok(name.to_owned());
    }
    Err(ApiError::bad(format!(
        "Invalid container name ({given}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_made_up_ones_pass() {
        assert_eq!(checked("/web-1").unwrap(), "web-1");
        for bad in ["", "a", "-a", "a b", "ü1", "a/b"] {
            assert!(checked(bad).is_err(), "{bad}");
        }
        for n in 0..50 {
            let name = made_up("abc", n);
            assert_eq!(checked(&name).unwrap(), name);
        }
        assert_ne!(made_up("abc", 1), made_up("abd", 1));
    }
}
