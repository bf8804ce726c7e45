//! "Did you mean": the known name that is nearest to an unknown one.

/// The known name nearest to `given`, if one is near enough to be meant: the same letters in another case, or
/// at most a third of them wrong.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = given.to_lowercase();
    let allowed = (given.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= allowed && *distance < name.chars().count())
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["instances", "constraints", "cmd", "cpus"];
        assert_eq!(nearest("instnaces", known), Some("instances"));
        assert_eq!(nearest("CPUS", known), Some("cpus"));
        assert_eq!(nearest("gpus", known), Some("cpus"));
        assert_eq!(nearest("volumes", known), None);
        assert_eq!(nearest("x", known), None);
    }
}
