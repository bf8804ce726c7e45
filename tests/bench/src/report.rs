//! What every benchmark returns: rows with a figure, what it should be, and what a peer reaches.

use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// What is measured did not work.
    #[error("{what}: {why}")]
    Measured {
        /// Which part.
        what: String,
        /// What it said.
        why: String,
    },
    /// The report could not be written.
    #[error("cannot write `{path}`: {source}")]
    Write {
        /// Where to.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Failed {
    /// For `map_err`: `what` did not work.
    pub(crate) fn in_<E: fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self::Measured {
            what,
            why: error.to_string(),
        }
    }
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(clippy::enum_variant_names, reason = "a target reads as it is said")]
pub(crate) enum Target {
    /// No less.
    AtLeast(f64),
    /// No more.
    AtMost(f64),
    /// No more than so many times what the peer has.
    AtMostOfPeer(f64),
}

impl Target {
    /// A peer that was not measured is not beaten.
    fn met(self, value: f64, peer: Option<&Peer>) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::AtMostOfPeer(most) => peer.is_some_and(|p| value <= most * p.value),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {}", figure(*least)),
            Self::AtMost(most) => write!(f, "<= {}", figure(*most)),
            Self::AtMostOfPeer(most) => write!(f, "<= x{}", figure(*most)),
        }
    }
}

/// What somebody else reaches, on the same machine in the same run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Peer {
    /// Who.
    pub(crate) name: String,
    /// Their figure, in the unit of the row.
    pub(crate) value: f64,
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) name: String,
    /// The figure.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// What it should be.
    pub(crate) target: Option<Target>,
    /// What a peer reaches.
    pub(crate) peer: Option<Peer>,
}

impl Row {
    /// A figure without target and peer.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            target: None,
            peer: None,
        }
    }

    fn met(&self) -> Option<bool> {
        self.target
            .map(|target| target.met(self.value, self.peer.as_ref()))
    }

    fn cells(&self) -> [String; 6] {
        [
            self.name.clone(),
            figure(self.value),
            self.unit.to_owned(),
            self.target.map(|t| t.to_string()).unwrap_or_default(),
            match self.met() {
                Some(true) => "yes".to_owned(),
                Some(false) => "NO".to_owned(),
                None => String::new(),
            },
            self.peer
                .as_ref()
                .map(|p| match self.value / p.value {
                    times if times.is_finite() => format!("{} {} (x{times:.2})", p.name, figure(p.value)),
                    _ => format!("{} {}", p.name, figure(p.value)),
                })
                .unwrap_or_default(),
        ]
    }
}

/// A row as it stands in the file.
#[derive(Serialize)]
struct Written<'r> {
    name: &'r str,
    value: f64,
    unit: &'r str,
    target: Option<String>,
    met: Option<bool>,
    peer: Option<&'r Peer>,
}

/// All rows of a run.
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// Whether every target was met.
    pub(crate) fn met(&self) -> bool {
        self.rows.iter().all(|row| row.met() != Some(false))
    }

    /// Writes the rows to `path`, as a JSON array.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failed> {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| Written {
                name: &row.name,
                value: row.value,
                unit: row.unit,
                target: row.target.map(|t| t.to_string()),
                met: row.met(),
                peer: row.peer.as_ref(),
            })
            .collect();
        let text = serde_json::to_string_pretty(&rows).map_err(Failed::in_("the report"))?;
        std::fs::write(path, text + "\n").map_err(|source| Failed::Write {
            path: path.to_owned(),
            source,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEADS: [&str; 6] = ["NAME", "VALUE", "UNIT", "TARGET", "MET", "PEER"];
        let mut lines = vec![HEADS.map(str::to_owned)];
        lines.extend(self.rows.iter().map(Row::cells));
        let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
        let [name, value, unit, target, met] = [0, 1, 2, 3, 4].map(width);
        for [n, v, u, t, m, peer] in &lines {
            let line = format!("{n:name$}  {v:>value$}  {u:unit$}  {t:target$}  {m:met$}  {peer}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Three digits are as many as a measurement holds.
fn figure(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_of_a_peer_is_met_by_what_is_no_slower() {
        let row = |value| Row {
            target: Some(Target::AtMostOfPeer(1.0)),
            peer: Some(Peer {
                name: "other".to_owned(),
                value: 4.0,
            }),
            ..Row::new("a", value, "ms")
        };
        assert_eq!(row(4.0).met(), Some(true));
        assert_eq!(row(4.1).met(), Some(false));
        let alone = Row {
            peer: None,
            ..row(1.0)
        };
        assert_eq!(alone.met(), Some(false));
    }

    #[test]
    fn one_missed_target_is_a_missed_report() {
        let mut row = Row::new("a", 9.0, "x/s");
        row.target = Some(Target::AtLeast(10.0));
        row.peer = Some(Peer {
            name: "other".to_owned(),
            value: 4.5,
        });
        let report = Report {
            rows: vec![Row::new("b", 1.0, "x/s"), row],
        };
        assert!(!report.met());
        let text = report.to_string();
        assert!(
            text.contains(">= 10.0") && text.contains("NO") && text.contains("(x2.00)"),
            "{text}"
        );
    }
}
