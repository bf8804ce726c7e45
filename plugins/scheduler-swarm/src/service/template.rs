//! Go templates in environment values and host names: the closed set of placeholders that a swarm knows.

use super::record::ServiceRecord;
use plenum_model::template::{Part, Placeholder, Template};

/// What stands for the service's own placeholders.
pub struct Context<'a> {
    record: &'a ServiceRecord,
}

impl<'a> Context<'a> {
    /// Of this service.
    #[must_use]
    pub fn of(record: &'a ServiceRecord) -> Self {
        Self { record }
    }

    /// The text with its placeholders.
    ///
    /// # Errors
    /// The first one that is not known.
    pub fn expand(&self, text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((inside, behind)) = after.split_once("}}") else {
                break;
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(self.part(inside.trim())?);
            rest = behind;
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Template(parts))
    }

    fn part(&self, name: &str) -> Result<Part, String> {
        let text = |t: &str| Ok(Part::Text(t.to_owned()));
        match name {
            ".Service.ID" => text(&self.record.id),
            ".Service.Name" => text(self.record.spec.name()),
            ".Node.Hostname" => Ok(Part::Fill(Placeholder::NodeName)),
            ".Task.Slot" => Ok(Part::Fill(Placeholder::Slot)),
            ".Task.Name" => Ok(Part::Fill(Placeholder::TaskName)),
            other => Err(format!(
                "template `{{{{{other}}}}}` is not served; those are .Service.ID, .Service.Name, .Node.Hostname, .Task.Name, .Task.Slot"
            )),
        }
    }
}
