//! Templates.

use crate::malformed::{Fault, Malformed, each, need, required, small};
use crate::proto::model::v1 as wire;
use plenum_model::template::{Part, Placeholder, Template};
use wire::PlaceholderKind as Kind;

impl From<&Template> for wire::Template {
    fn from(template: &Template) -> Self {
        Self {
            parts: template.0.iter().map(wire::Part::from).collect(),
        }
    }
}

impl TryFrom<wire::Template> for Template {
    type Error = Malformed;
    fn try_from(template: wire::Template) -> Result<Self, Malformed> {
        each(template.parts).map(Self)
    }
}

impl From<&Part> for wire::Part {
    fn from(part: &Part) -> Self {
        use wire::part::Part as P;
        let part = match part {
            Part::Text(text) => P::Text(text.clone()),
            Part::Fill(placeholder) => P::Fill((*placeholder).into()),
        };
        Self { part: Some(part) }
    }
}

impl TryFrom<wire::Part> for Part {
    type Error = Malformed;
    fn try_from(part: wire::Part) -> Result<Self, Malformed> {
        use wire::part::Part as P;
        match need(part.part, "part")? {
            P::Text(text) => Ok(Self::Text(text)),
            P::Fill(placeholder) => placeholder.try_into().map(Self::Fill),
        }
    }
}

impl From<Placeholder> for wire::Placeholder {
    fn from(placeholder: Placeholder) -> Self {
        let (kind, port) = match placeholder {
            Placeholder::TaskId => (Kind::TaskId, 0),
            Placeholder::TaskName => (Kind::TaskName, 0),
            Placeholder::Slot => (Kind::Slot, 0),
            Placeholder::NodeName => (Kind::NodeName, 0),
            Placeholder::NodeHostname => (Kind::NodeHostname, 0),
            Placeholder::NodeAddress => (Kind::NodeAddress, 0),
            Placeholder::TaskAddress => (Kind::TaskAddress, 0),
            Placeholder::HostPort(n) => (Kind::HostPort, n),
            Placeholder::ContainerPort(n) => (Kind::ContainerPort, n),
            Placeholder::Sandbox => (Kind::Sandbox, 0),
            Placeholder::File(n) => (Kind::File, n),
        };
        Self {
            kind: kind.into(),
            port: port.into(),
        }
    }
}

impl TryFrom<wire::Placeholder> for Placeholder {
    type Error = Malformed;
    fn try_from(placeholder: wire::Placeholder) -> Result<Self, Malformed> {
        let wire::Placeholder { kind, port } = placeholder;
        let plain = match Kind::try_from(kind) {
            Ok(Kind::Unspecified) => return Err(Malformed::missing("placeholder.kind")),
            Ok(Kind::HostPort) => return small(port, "placeholder.port").map(Self::HostPort),
            Ok(Kind::ContainerPort) => return small(port, "placeholder.port").map(Self::ContainerPort),
            Ok(Kind::File) => return small(port, "placeholder.port").map(Self::File),
            Ok(Kind::TaskId) => Self::TaskId,
            Ok(Kind::TaskName) => Self::TaskName,
            Ok(Kind::Slot) => Self::Slot,
            Ok(Kind::NodeName) => Self::NodeName,
            Ok(Kind::NodeHostname) => Self::NodeHostname,
            Ok(Kind::NodeAddress) => Self::NodeAddress,
            Ok(Kind::TaskAddress) => Self::TaskAddress,
            Ok(Kind::Sandbox) => Self::Sandbox,
            Err(_) => {
                return Err(Malformed {
                    field: "placeholder.kind",
                    fault: Fault::Unknown(kind),
                });
            }
        };
        match port {
            0 => Ok(plain),
            _ => Err(Malformed::unexpected("placeholder.port")),
        }
    }
}

/// A command line.
pub(crate) fn command(words: &[Template]) -> wire::Command {
    wire::Command {
        words: words.iter().map(wire::Template::from).collect(),
    }
}

/// The words of a command line.
pub(crate) fn words(command: wire::Command) -> Result<Vec<Template>, Malformed> {
    each(command.words)
}

/// An environment variable.
pub(crate) fn variable((name, value): &(String, Template)) -> wire::Variable {
    wire::Variable {
        name: name.clone(),
        value: Some(value.into()),
    }
}

/// Name and value of an environment variable; absent means empty.
pub(crate) fn named(variable: wire::Variable) -> Result<(String, Template), Malformed> {
    let value = variable.value.or_else(|| Some(wire::Template::default()));
    Ok((variable.name, required(value, "variable.value")?))
}
