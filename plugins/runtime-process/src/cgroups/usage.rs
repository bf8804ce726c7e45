//! What the files of cgroups say. Pure.

/// The value of `key` in lines of `key value`.
pub(crate) fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse().ok())?
    })
}

/// A file with one number; `max` is none.
pub(crate) fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "oom 3\noom_kill 2\nnonsense\n";
        assert_eq!(
            (field(text, "oom_kill"), field(text, "oom"), field(text, "kill")),
            (Some(2), Some(3), None)
        );
        assert_eq!((number("12\n"), number("max\n")), (Some(12), None));
    }
}
