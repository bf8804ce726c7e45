//! Which Plenum a command talks to: a named context, or the one that runs on this machine.

use crate::failure::Failure;
use plenum_client::Client;
use plenum_client::endpoints::Endpoints;
use plenum_model::code;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the API listens unless told otherwise.
pub(crate) const DEFAULT_ADDRESS: &str = "http://127.0.0.1:7717";

/// The file of contexts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    /// The one that is used when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// All, by name: URLs by name, as in `endpoints.json`.
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Endpoints>,
}

/// What a command talks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// How it was found, for people (`context prod`).
    pub(crate) source: String,
    pub(crate) endpoints: Endpoints,
}

impl Contexts {
    /// Where the file is: `$XDG_CONFIG_HOME/plenum/contexts.toml`, or below `~/.config`.
    pub(crate) fn path() -> PathBuf {
        let config = std::env::var_os("XDG_CONFIG_HOME")
            .filter(|d| !d.is_empty())
            .map(PathBuf::from);
        let config = config.unwrap_or_else(|| home().join(".config"));
        config.join("plenum").join("contexts.toml")
    }

    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map_err(|e| bad_file(path, &e)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(bad_file(path, &e)),
        }
    }

    pub(crate) fn save(&self, path: &Path) -> Result<(), Failure> {
        let text = toml::to_string_pretty(self).map_err(|e| bad_file(path, &e))?;
        let write = || {
            if let Some(dir) = path.parent() {
                std::fs::create_dir_all(dir)?;
            }
            let draft = path.with_extension("new");
            std::fs::write(&draft, text)?;
            std::fs::rename(&draft, path)
        };
        write().map_err(|e| bad_file(path, &e))
    }

    pub(crate) fn find(&self, name: &str) -> Result<&Endpoints, Failure> {
        self.contexts.get(name).ok_or_else(|| {
            let near = self
                .contexts
                .keys()
                .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
            let failure = Failure::new(code::NOT_FOUND, format!("there is no context `{name}`"));
            match near {
                Some(near) => {
                    failure.hint(format!("did you mean `{near}`?  `plenum context list` shows all"))
                }
                None => failure.hint("plenum context add NAME URL"),
            }
        })
    }
}

fn bad_file(path: &Path, e: &dyn std::error::Error) -> Failure {
    Failure::new(code::CONFIG, format!("contexts in `{}`: {e}", path.display()))
}

fn home() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// The data directory of a Plenum on this machine: `PLENUM_DATA`, else the machine's for root, the user's else.
pub(crate) fn data_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("PLENUM_DATA").filter(|d| !d.is_empty()) {
        return PathBuf::from(dir);
    }
    if nix::unistd::geteuid().is_root() {
        PathBuf::from("/var/lib/plenum")
    } else {
        home().join(".plenum")
    }
}

/// What is asked for by name or URL, else the current context, else what runs on this machine.
pub(crate) fn target(named: Option<&str>) -> Result<Target, Failure> {
    // A variable that is set to nothing is a variable that is not set.
    let named = named.filter(|n| !n.is_empty());
    resolve(named, &Contexts::path(), &data_dir())
}

fn resolve(named: Option<&str>, file: &Path, data: &Path) -> Result<Target, Failure> {
    if let Some(url) = named.filter(|n| n.contains("://")) {
        return Ok(Target {
            source: "the URL that was given".into(),
            endpoints: only_api(url),
        });
    }
    let contexts = Contexts::load(file)?;
    if let Some(name) = named.or(contexts.current.as_deref()) {
        let endpoints = contexts.find(name)?.clone();
        return Ok(Target {
            source: format!("context {name}"),
            endpoints,
        });
    }
    let local = Endpoints::load(data).map_err(|e| {
        Failure::new(
            code::CONFIG,
            format!("`{}`: {e}", data.join(Endpoints::FILE).display()),
        )
    })?;
    Ok(match local.filter(|e| e.get(Endpoints::API).is_some()) {
        Some(endpoints) => Target {
            source: format!("data directory {}", data.display()),
            endpoints,
        },
        None => Target {
            source: "the default address".into(),
            endpoints: only_api(DEFAULT_ADDRESS),
        },
    })
}

pub(crate) fn only_api(url: &str) -> Endpoints {
    Endpoints([(Endpoints::API.to_owned(), url.to_owned())].into())
}

impl Target {
    /// A client of its API.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let address = self.endpoints.get(Endpoints::API).ok_or_else(|| {
            Failure::new(
                code::CONFIG,
                format!("{} says no address of the API", self.source),
            )
            .hint("plenum context add NAME URL")
        })?;
        Ok(Client::new(address)?)
    }

    /// The URL of a door.
    pub(crate) fn door(&self, kind: &str) -> Result<&str, Failure> {
        self.endpoints.get(kind).ok_or_else(|| {
            Failure::new(
                code::UNAVAILABLE,
                format!("no {kind} door is known from {}", self.source),
            )
            .hint(format!(
                "start Plenum on this machine (`plenum up`), or name the door: \
                 plenum context add NAME URL --door {kind}=URL"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_before_the_current_context_and_that_before_what_runs_here() {
        let dir = tempfile::tempdir().unwrap();
        let (file, data) = (dir.path().join("contexts.toml"), dir.path().join("data"));
        let api = |named: Option<&str>| {
            resolve(named, &file, &data).map(|t| t.endpoints.get("api").map(str::to_owned))
        };
        assert_eq!(api(None), Ok(Some(DEFAULT_ADDRESS.into())));

        std::fs::create_dir(&data).unwrap();
        std::fs::write(
            data.join("endpoints.json"),
            r#"{"api":"http://here:1","marathon":"http://here:2"}"#,
        )
        .unwrap();
        assert_eq!(api(None), Ok(Some("http://here:1".into())));

        let mut contexts = Contexts {
            current: Some("prod".into()),
            ..Contexts::default()
        };
        contexts.contexts.insert("prod".into(), only_api("http://prod:1"));
        contexts
            .contexts
            .insert("stage".into(), only_api("http://stage:1"));
        contexts.save(&file).unwrap();
        assert_eq!(api(None), Ok(Some("http://prod:1".into())));
        assert_eq!(api(Some("stage")), Ok(Some("http://stage:1".into())));
        assert_eq!(api(Some("http://other:1")), Ok(Some("http://other:1".into())));
        let refused = api(Some("stagee")).unwrap_err();
        assert!(refused.to_string().contains("did you mean `stage`?"), "{refused}");
        std::fs::write(&file, "currant = 'x'").unwrap();
        assert!(
            api(None).unwrap_err().to_string().contains("currant"),
            "an unknown key is named"
        );
    }
}
