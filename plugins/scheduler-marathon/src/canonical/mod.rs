//! From fields to a canonical app, in Marathon's order: rules on old forms, translation of old forms, rules
//! on the app, defaults. The first stage that finds something answers alone.

pub mod checks;
pub mod finish;
pub mod migrate;
pub mod old_rules;
pub mod rules;

use crate::app::Config;
use crate::path::AppId;
use crate::refusal::{Detail, Refusal, add_detail};
use crate::request::fields::AppFields;

/// A canonical app that has no version yet and whose service ports may still be 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Canonical {
    /// Absolute.
    pub id: AppId,
    /// Everything but the count.
    pub config: Config,
    /// The count.
    pub instances: u32,
}

/// Makes a whole app canonical.
///
/// # Errors
/// `Rules` from the first stage that finds something; `Contradiction` where Marathon answers 500.
pub fn canonical(fields: AppFields) -> Result<Canonical, Refusal> {
    Violations::check(|v| old_rules::check(&fields, v))?;
    let mut migrated = migrate::whole(fields)?;
    checks::default_ports(&mut migrated);
    Violations::check(|v| rules::check(&migrated, v))?;
    let canonical = finish::finish(migrated);
    Violations::check(|v| rules::check_model(&canonical, v))?;
    Ok(canonical)
}

/// What rules have found.
#[derive(Debug, Default)]
pub struct Violations(Vec<Detail>);

impl Violations {
    /// Adds an error unless `holds`.
    pub fn require(&mut self, holds: bool, path: &str, error: impl Into<String>) {
        if !holds {
            add_detail(&mut self.0, path, error);
        }
    }

    fn check(find: impl FnOnce(&mut Self)) -> Result<(), Refusal> {
        let mut violations = Self::default();
        find(&mut violations);
        if violations.0.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Rules(violations.0))
        }
    }
}
