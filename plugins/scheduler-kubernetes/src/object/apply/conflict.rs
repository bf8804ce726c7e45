//! The refusal of an apply that would take fields from others.

use super::managed::{Manager, Operation};
use super::path::{Step, shown};
use crate::object::problem::{Details, Problem, Reason};

/// One field that another owns.
pub(super) struct Conflict {
    pub(super) manager: Manager,
    pub(super) path: Vec<Step>,
}

/// 409 with all conflicts, which are in order of their managers.
pub(super) fn refused(conflicts: &[Conflict]) -> Problem {
    let text = match conflicts {
        [one] => format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            named(&one.manager),
            shown(&one.path)
        ),
        many => {
            let mut lines = Vec::new();
            let mut last = None;
            for conflict in many {
                if last != Some(&conflict.manager) {
                    lines.push(format!("conflicts with {}:", named(&conflict.manager)));
                    last = Some(&conflict.manager);
                }
                lines.push(format!("- {}", shown(&conflict.path)));
            }
            format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n"))
        }
    };
    let mut problem = Problem::new(Reason::Conflict, text).with(Details::default());
    for conflict in conflicts {
        let message = format!("conflict with {}", named(&conflict.manager));
        problem = problem.cause("FieldManagerConflict", message, &shown(&conflict.path));
    }
    problem
}

fn named(manager: &Manager) -> String {
    let mut text = format!("{:?}", manager.name);
    if !manager.subresource.is_empty() {
        text.push_str(&format!(" with subresource {:?}", manager.subresource));
    }
    match manager.operation {
        Operation::Apply => text,
        Operation::Update => format!("{text} using {}", manager.api_version),
    }
}
