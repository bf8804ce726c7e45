//! How the layers are laid over each other. The defaults are a tree of TOML values: its keys are the only
//! ones there are, and its values say of which type each is.

use super::Config;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Variables of this prefix are configuration, but for those of the CLI.
const PREFIX: &str = "PLENUM_";
const OF_THE_CLI: [&str; 4] = ["PLENUM_CONTEXT", "PLENUM_DATA", "PLENUM_CONFIG", "PLENUM_LOG"];

/// Plenum's own sections; every other one is a scheduler's.
const OWN: [&str; 4] = ["broker", "agent", "up", "telemetry"];

/// A configuration that is not acceptable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration `{path}`")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("configuration `{path}` is not TOML")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where and what.
        source: toml::de::Error,
    },
    /// There is no such key.
    #[error("{origin}: there is no key `{key}`{}", nearest.as_ref().map(|n| format!(", did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// File, variable or flag.
        origin: String,
        /// The key as given.
        key: String,
        /// The nearest one there is.
        nearest: Option<String>,
    },
    /// The value is not of the key's type.
    #[error("{origin}: `{key}` takes {expected}, not `{given}`")]
    Type {
        /// File, variable or flag.
        origin: String,
        /// The key.
        key: String,
        /// What it takes.
        expected: &'static str,
        /// What was given.
        given: String,
    },
    /// The value is of the right type and still makes no sense.
    #[error("`{key}`: {why}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong.
        why: String,
    },
}

/// A configuration while it is put together.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    tree: Table,
}

impl Layers {
    /// The defaults: Plenum's own and those of the schedulers, each a section of its own name.
    #[must_use]
    pub(crate) fn defaults(schedulers: impl IntoIterator<Item = (String, serde_json::Value)>) -> Self {
        let mut tree = Table::try_from(Config::default()).expect("the defaults are plain tables and values");
        for (name, defaults) in schedulers {
            let section = Table::try_from(defaults).unwrap_or_default();
            tree.insert(name, Value::Table(section));
        }
        Self { tree }
    }

    /// Lays a file over it. A file that was not asked for by name may be missing.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub(crate) fn file(&mut self, path: &Path, required: bool) -> Result<(), ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !required => return Ok(()),
            Err(source) => {
                return Err(ConfigError::Read {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let given: Table = text.parse().map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source,
        })?;
        let known = leaves(&self.tree);
        overlay(&mut self.tree, given, "", &path.display().to_string(), &known)
    }

    /// Lays environment variables over it: `PLENUM_BROKER_LISTEN` is `broker.listen`.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub(crate) fn environment(
        &mut self,
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        let known = leaves(&self.tree);
        for (name, value) in vars {
            if !name.starts_with(PREFIX) || OF_THE_CLI.contains(&name.as_str()) {
                continue;
            }
            let variable = |key: &String| format!("{PREFIX}{}", key.replace('.', "_").to_uppercase());
            match known.iter().find(|key| variable(key) == name) {
                Some(key) => self.set(key, &value, &format!("variable {name}"))?,
                None => {
                    let names: Vec<String> = known.iter().map(variable).collect();
                    let nearest = nearest(&name, &names);
                    return Err(ConfigError::Unknown {
                        origin: "environment".to_owned(),
                        key: name,
                        nearest,
                    });
                }
            }
        }
        Ok(())
    }

    /// Sets one key from text, as a flag does.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub(crate) fn set(&mut self, key: &str, text: &str, origin: &str) -> Result<(), ConfigError> {
        let known = leaves(&self.tree);
        let unknown = || ConfigError::Unknown {
            origin: origin.to_owned(),
            key: key.to_owned(),
            nearest: nearest(key, &known),
        };
        let slot = find(&mut self.tree, key).ok_or_else(unknown)?;
        *slot = parse(slot, text).ok_or_else(|| ConfigError::Type {
            origin: origin.to_owned(),
            key: key.to_owned(),
            expected: kind(slot),
            given: text.to_owned(),
        })?;
        Ok(())
    }

    /// The typed configuration.
    ///
    /// # Errors
    /// `Value` when something is out of its range.
    pub(crate) fn config(&self) -> Result<Config, ConfigError> {
        let config = Config {
            broker: self.own("broker")?,
            agent: self.own("agent")?,
            up: self.own("up")?,
            telemetry: self.own("telemetry")?,
        };
        super::check::check(&config, &self.tree, &OWN)?;
        Ok(config)
    }

    /// One of Plenum's own sections. Its keys and their types are checked already, so what can be wrong is a
    /// number out of range: the key is found by trying each alone over the defaults.
    fn own<T: DeserializeOwned + Default + Serialize>(&self, name: &str) -> Result<T, ConfigError> {
        let section = self.tree.get(name).cloned().unwrap_or(Value::Table(Table::new()));
        let failed = match section.clone().try_into() {
            Ok(typed) => return Ok(typed),
            Err(e) => e,
        };
        let alone = |key: &str, value: &Value| {
            let mut whole = Table::try_from(T::default()).expect("the defaults are plain values");
            whole.insert(key.to_owned(), value.clone());
            whole.try_into::<T>().is_err()
        };
        let key = section
            .as_table()
            .and_then(|keys| keys.iter().find(|(key, value)| alone(key, value)))
            .map_or_else(|| name.to_owned(), |(key, _)| format!("{name}.{key}"));
        let failed: toml::de::Error = failed;
        let why = failed.message().to_owned();
        Err(ConfigError::Value { key, why })
    }

    /// The section of a scheduler.
    #[must_use]
    pub(crate) fn section(&self, name: &str) -> serde_json::Value {
        self.tree
            .get(name)
            .and_then(|v| serde_json::to_value(v).ok())
            .unwrap_or_default()
    }

    /// The whole as TOML text.
    #[must_use]
    pub(crate) fn to_toml(&self) -> String {
        toml::to_string_pretty(&self.tree).expect("a table of plain values is TOML")
    }
}

/// The value at a dotted key.
fn find<'a>(tree: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    match key.split_once('.') {
        None => tree.get_mut(key),
        Some((first, rest)) => find(tree.get_mut(first)?.as_table_mut()?, rest),
    }
}

/// Empty tables among the defaults take any key: their names are the user's own.
fn overlay(
    base: &mut Table,
    given: Table,
    prefix: &str,
    origin: &str,
    known: &[String],
) -> Result<(), ConfigError> {
    for (name, value) in given {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match (base.get_mut(&name), value) {
            (None, _) => {
                let nearest = nearest(&key, known);
                return Err(ConfigError::Unknown {
                    origin: origin.to_owned(),
                    key,
                    nearest,
                });
            }
            (Some(Value::Table(free)), Value::Table(given)) if free.is_empty() => *free = given,
            (Some(Value::Table(inner)), Value::Table(given)) => overlay(inner, given, &key, origin, known)?,
            (Some(slot), value) if slot.same_type(&value) => *slot = value,
            (Some(slot), value) => {
                let (expected, given) = (kind(slot), value.to_string());
                return Err(ConfigError::Type {
                    origin: origin.to_owned(),
                    key,
                    expected,
                    given,
                });
            }
        }
    }
    Ok(())
}

fn leaves(table: &Table) -> Vec<String> {
    let mut out = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) if !inner.is_empty() => {
                out.extend(leaves(inner).into_iter().map(|leaf| format!("{name}.{leaf}")));
            }
            _ => out.push(name.clone()),
        }
    }
    out
}

fn nearest(key: &str, known: &[String]) -> Option<String> {
    known
        .iter()
        .map(|k| (strsim::jaro_winkler(key, k), k))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k.clone())
}

fn parse(like: &Value, text: &str) -> Option<Value> {
    match like {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Float(_) => text.parse().ok().map(Value::Float),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|s| !s.is_empty());
            Some(Value::Array(items.map(|s| Value::String(s.to_owned())).collect()))
        }
        Value::Table(_) => {
            let pairs = text
                .split(',')
                .filter(|s| !s.is_empty())
                .map(|s| s.split_once('='));
            let table: Option<Table> = pairs
                .map(|p| p.map(|(k, v)| (k.trim().to_owned(), Value::String(v.to_owned()))))
                .collect();
            table.map(Value::Table)
        }
        Value::Datetime(_) => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table (key=value, ...)",
        Value::Datetime(_) => "a date",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> Layers {
        let door = |name: &str, port: u16| {
            let listen = format!("127.0.0.1:{port}");
            (name.to_owned(), serde_json::json!({"listen": listen}))
        };
        Layers::defaults([
            door("kubernetes", 6443),
            door("marathon", 8080),
            door("swarm", 2375),
        ])
    }

    #[test]
    fn a_later_layer_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(
            &path,
            "[broker]\nlisten = '127.0.0.1:1'\nlease_ms = 5\n[agent.attributes]\nrack = 'a'\n",
        )
        .unwrap();
        let mut l = layers();
        l.file(&path, true).unwrap();
        l.environment([("PLENUM_BROKER_LISTEN".to_owned(), "127.0.0.1:2".to_owned())])
            .unwrap();
        l.set("marathon.listen", "127.0.0.1:3", "flag").unwrap();
        let c = l.config().unwrap();
        assert_eq!((c.broker.listen.as_str(), c.broker.lease_ms), ("127.0.0.1:2", 5));
        assert_eq!(c.agent.attributes["rack"], "a");
        assert_eq!(l.section("marathon")["listen"], "127.0.0.1:3");
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "[broker]\nlisen = 'x'\n").unwrap();
        let text = layers().file(&path, true).unwrap_err().to_string();
        assert!(
            text.contains("`broker.lisen`") && text.contains("`broker.listen`"),
            "{text}"
        );
        let vars = [("PLENUM_MARATHON_LISTN".to_owned(), "x".to_owned())];
        let text = layers().environment(vars).unwrap_err().to_string();
        assert!(text.contains("PLENUM_MARATHON_LISTEN"), "{text}");
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let mut l = layers();
        assert!(matches!(
            l.set("broker.lease_ms", "soon", "flag"),
            Err(ConfigError::Type { .. })
        ));
        assert!(matches!(l.set("broker.lease_ms", "-1", "flag"), Ok(())));
        let text = l.config().unwrap_err().to_string();
        assert!(text.contains("`broker.lease_ms`"), "{text}");
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused_by_its_key() {
        for (key, value) in [
            ("broker.listen", "nonsense"),
            ("broker.listen", "0.0.0.0:7717"),
            ("broker.insecure_listen", "here"),
            ("marathon.listen", "192.0.2.1:1"),
            ("broker.lease_ms", "0"),
            ("up.schedulers", "mesos"),
            ("up.nodes", "255"),
            ("agent.port_low", "70000"),
            ("telemetry.format", "xml"),
            ("telemetry.log", "a[[b"),
        ] {
            let mut l = layers();
            l.set(key, value, "flag").unwrap();
            let text = l.config().unwrap_err().to_string();
            assert!(text.contains(&format!("`{key}`")), "{key}={value}: {text}");
        }
        let mut l = layers();
        l.set("broker.insecure_listen", "0.0.0.0:7717", "flag").unwrap();
        assert!(l.config().is_ok());
    }
}
