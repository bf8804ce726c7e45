//! The calls of the agent API that are served, in JSON. A field that is not here is refused by its name.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Call {
    LaunchNestedContainerSession { launch_nested_container_session: Launch },
    AttachContainerInput { attach_container_input: Attached },
    WaitNestedContainer { wait_nested_container: Wait },
    WaitContainer { wait_container: Wait },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContainerId {
    pub(super) value: String,
    pub(super) parent: Option<Box<ContainerId>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    pub(super) container_id: ContainerId,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Launch {
    pub(super) container_id: ContainerId,
    pub(super) command: Command,
    pub(super) container: Option<Container>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Container {
    #[serde(rename = "type")]
    _kind: Mesos,
    pub(super) tty_info: Option<Tty>,
}

#[derive(Debug, Deserialize)]
enum Mesos {
    #[serde(rename = "MESOS")]
    Mesos,
}

/// That a terminal is wanted; its size comes later.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tty {
    #[serde(rename = "window_size")]
    _window_size: Option<Size>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Command {
    value: Option<String>,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default = "yes")]
    shell: bool,
    pub(super) user: Option<String>,
    #[serde(default)]
    environment: Environment,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Environment {
    #[serde(default)]
    variables: Vec<Variable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    name: String,
    value: String,
}

impl Command {
    /// What to run. Mesos names the program twice, as `execvp` does; its `arguments` begin with its own name.
    pub(super) fn argv(&self) -> Result<Vec<String>, &'static str> {
        let value = self.value.clone().filter(|v| !v.is_empty());
        let value = value.ok_or("a command has a `value`")?;
        if self.shell {
            return Ok(vec!["/bin/sh".to_owned(), "-c".to_owned(), value]);
        }
        Ok(std::iter::once(value)
            .chain(self.arguments.iter().skip(1).cloned())
            .collect())
    }

    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let all = self.environment.variables.iter();
        all.map(|v| (v.name.clone(), v.value.clone())).collect()
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Attached {
    ContainerId { container_id: ContainerId },
    ProcessIo { process_io: ProcessIo },
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ProcessIo {
    Data { data: Data },
    Control { control: Control },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Data {
    #[serde(rename = "type")]
    _kind: Stdin,
    /// Base64; nothing: the end of the input.
    pub(super) data: String,
}

#[derive(Debug, Deserialize)]
enum Stdin {
    #[serde(rename = "STDIN")]
    Stdin,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Control {
    /// Keeps the connection from looking dead.
    Heartbeat {},
    TtyInfo {
        tty_info: Terminal,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Terminal {
    pub(super) window_size: Size,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Size {
    pub(super) rows: u16,
    pub(super) columns: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(json: &str) -> Command {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_program_is_run_with_its_arguments_and_a_line_by_a_shell() {
        let plain = command(r#"{"value":"ls","arguments":["ls","-l","/"],"shell":false}"#);
        assert_eq!(plain.argv().unwrap(), ["ls", "-l", "/"]);
        let line = command(r#"{"value":"echo $X","environment":{"variables":[{"name":"X","value":"1"}]}}"#);
        assert_eq!(line.argv().unwrap(), ["/bin/sh", "-c", "echo $X"]);
        assert_eq!(line.environment(), [("X".to_owned(), "1".to_owned())]);
        assert!(command(r#"{"shell":false}"#).argv().is_err());
    }

    #[test]
    fn fields_that_are_not_served_are_refused() {
        let launch =
            r#"{"container_id":{"value":"a","parent":{"value":"b"}},"command":{"value":"x","uris":[]}}"#;
        let error = serde_json::from_str::<Launch>(launch).unwrap_err();
        assert!(error.to_string().contains("uris"), "{error}");
        assert!(serde_json::from_str::<Call>(r#"{"type":"GET_FLAGS"}"#).is_err());
    }
}
