//! Strategic merges that the real machinery (strategicpatch of API version 1.33) was asked for: random objects, random
//! patches with all directives, and what came out, one case a line.

use serde_json::Value;

use super::{PatchType, apply};
use crate::object::decode::FieldValidation;
use crate::object::schema::lookup;

#[test]
fn what_the_real_machinery_makes_of_a_patch_is_what_comes_out() {
    let mut seen = 0;
    for line in include_str!("recorded/cases.jsonl").lines() {
        let case: Value = serde_json::from_str(line).expect("a case");
        let (group, kind) = case["kind"]
            .as_str()
            .expect("kind")
            .split_once('/')
            .expect("group/kind");
        let kind = lookup(group, "v1", kind).expect("known kind");
        let patch = case["patch"].to_string();
        let patched = apply(
            PatchType::Strategic,
            &case["current"],
            patch.as_bytes(),
            kind,
            FieldValidation::Ignore,
        );
        assert_eq!(patched.expect("patched").object, case["want"], "{line}");
        seen += 1;
    }
    assert!(seen >= 40, "{seen} cases");
}
