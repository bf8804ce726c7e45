//! From a container's plan to what its shim is told. Refuses by name what cannot be had here.

use crate::abilities::Abilities;
use crate::blocking::NAME;
use crate::cgroups::hierarchy::Controller;
use crate::mounts;
use crate::users::{self, Identity};
use plenum_contract::runtime::{ContainerPlan, RuntimeError};
use plenum_model::node::capability;
use plenum_model::spec::{Confinement, Network};
use plenum_model::task::ExitReason;
use plenum_shim::config::{Config, LogLimits, Stdin, WindowSize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where programs are searched when the spec says nothing.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The size of a terminal before anybody looks at it.
const FIRST_SIZE: WindowSize = WindowSize { cols: 80, rows: 24 };

/// What a plan comes to.
#[derive(Debug)]
pub(crate) struct Order {
    /// For the shim; the cgroups are still missing.
    pub(crate) config: Config,
    /// Who shall own the sandbox, if somebody was asked for.
    pub(crate) owner: Option<plenum_shim::config::User>,
}

/// Makes the order of `plan` on a machine with these abilities, and the places for its mounts.
pub(crate) fn make(plan: &ContainerPlan, can: &Abilities) -> Result<Order, RuntimeError> {
    check(plan, can)?;
    let argv: Vec<String> = plan
        .entrypoint
        .iter()
        .chain(&plan.args)
        .flatten()
        .cloned()
        .collect();
    if argv.first().is_none_or(String::is_empty) {
        return Err(refused(ExitReason::Command, "there is no command to run"));
    }
    let identity = identity(plan, can)?;
    let mut config = Config::new(argv, workdir(plan));
    config.env = environment(plan, &identity);
    config.namespaces = can.namespaces;
    config.hostname.clone_from(&plan.hostname);
    config.mounts =
        mounts::prepare(&plan.mounts, &plan.sandbox).map_err(|why| refused(ExitReason::Setup, &why))?;
    config.terminal = plan.tty.then_some(FIRST_SIZE);
    config.stdin = if plan.stdin { Stdin::Open } else { Stdin::Closed };
    config.log = LogLimits {
        max_bytes: plan.logs.max_bytes,
        files: plan.logs.files,
    };
    config.hold = true;
    let owner = plan
        .user
        .as_ref()
        .map(|_| identity.user.clone())
        .filter(|_| can.users);
    config.user.clone_from(&owner);
    Ok(Order { config, owner })
}

/// A refusal that reaches the user.
pub(crate) fn refused(reason: ExitReason, why: &str) -> RuntimeError {
    RuntimeError::Refused {
        reason,
        why: why.to_owned(),
    }
}

/// The caps of `plan` that this machine cannot enforce. The broker knows (they are not among this runtime's
/// capabilities); where it places by its own rules all the same, the container runs without them.
pub(crate) fn unenforced(plan: &ContainerPlan, can: &Abilities) -> Vec<&'static str> {
    [
        (
            plan.caps.memory_limit_bytes.is_some(),
            Controller::Memory,
            capability::MEMORY_LIMIT,
        ),
        (
            plan.caps.cpu_limit_millis.is_some(),
            Controller::Cpu,
            capability::CPU_LIMIT,
        ),
        (plan.caps.pids.is_some(), Controller::Pids, capability::PIDS_LIMIT),
    ]
    .into_iter()
    .filter(|(asked, by, _)| *asked && !can.controllers.contains(by))
    .map(|(_, _, name)| name)
    .collect()
}

fn check(plan: &ContainerPlan, can: &Abilities) -> Result<(), RuntimeError> {
    let needs = [
        (plan.image.is_some(), format!("runtime {NAME} runs no images")),
        (
            plan.network == Network::Bridge,
            format!("runtime {NAME} has no bridge network"),
        ),
        (
            plan.hostname.is_some() && !can.namespaces.uts,
            "this node cannot give containers a host name of their own".to_owned(),
        ),
        (
            !plan.mounts.is_empty() && !can.namespaces.mount,
            "this node cannot give containers mounts of their own".to_owned(),
        ),
        (
            plan.privileged && (!can.users || plan.user.is_some()),
            format!("runtime {NAME} can run a container with all privileges only as root"),
        ),
        (
            plan.confinement != Confinement::default(),
            format!(
                "runtime {NAME} has no read-only file system, no choice of capabilities and no bar to new privileges"
            ),
        ),
        (
            plan.logs.max_bytes == 0 || plan.logs.files == 0,
            "log limits must not be zero".to_owned(),
        ),
    ];
    match needs.into_iter().find(|(missing, _)| *missing) {
        Some((_, why)) => Err(refused(ExitReason::Setup, &why)),
        None => Ok(()),
    }
}

fn identity(plan: &ContainerPlan, can: &Abilities) -> Result<Identity, RuntimeError> {
    let own = users::own();
    let Some(wanted) = &plan.user else { return Ok(own) };
    let identity = users::resolve(wanted).map_err(|why| refused(ExitReason::Setup, &why))?;
    if !can.users && identity.user.uid != own.user.uid {
        let why = format!("cannot run as user '{wanted}': the agent of this node does not run as root");
        return Err(refused(ExitReason::Setup, &why));
    }
    Ok(identity)
}

fn workdir(plan: &ContainerPlan) -> PathBuf {
    // Joining an absolute path gives that path.
    plan.workdir
        .as_ref()
        .map_or_else(|| plan.sandbox.clone(), |dir| plan.sandbox.join(dir))
}

fn environment(plan: &ContainerPlan, identity: &Identity) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([("PATH".to_owned(), PATH.to_owned())]);
    if let Some(home) = identity.home.as_deref().and_then(Path::to_str) {
        env.insert("HOME".to_owned(), home.to_owned());
    }
    if let Some(name) = &identity.name {
        env.insert("USER".to_owned(), name.clone());
    }
    if plan.tty {
        env.insert("TERM".to_owned(), "xterm".to_owned());
    }
    env.extend(plan.env.iter().cloned());
    env
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use plenum_contract::runtime::ContainerKey;
    use plenum_model::ids::{Incarnation, TaskId};
    use plenum_model::spec::Caps;

    fn plan() -> ContainerPlan {
        ContainerPlan {
            key: ContainerKey {
                task: TaskId([1; 16]),
                container: "main".into(),
                incarnation: Incarnation(0),
            },
            image: None,
            entrypoint: Some(vec!["/bin/sh".into(), "-c".into()]),
            args: Some(vec!["true".into()]),
            env: vec![("A".into(), "1".into()), ("A".into(), "2".into())],
            workdir: None,
            user: None,
            hostname: None,
            tty: false,
            stdin: false,
            caps: Caps::default(),
            mounts: Vec::new(),
            network: Network::Host,
            ports: Vec::new(),
            stop_signal: None,
            logs: plenum_model::spec::LogLimits::default(),
            privileged: false,
            confinement: Confinement::default(),
            labels: BTreeMap::new(),
            sandbox: "/sandbox".into(),
            among: None,
        }
    }

    fn why(change: impl FnOnce(&mut ContainerPlan)) -> String {
        let mut plan = plan();
        change(&mut plan);
        make(&plan, &Abilities::default()).unwrap_err().to_string()
    }

    #[test]
    fn a_plain_command_runs_in_its_sandbox_with_its_last_words_of_environment() {
        let order = make(&plan(), &Abilities::default()).unwrap();
        assert_eq!(order.config.argv, ["/bin/sh", "-c", "true"]);
        assert_eq!(order.config.cwd, Path::new("/sandbox"));
        assert_eq!(order.config.env["A"], "2");
        assert_eq!(order.config.env["PATH"], PATH);
        assert_eq!(order.owner, None);
        assert!(order.config.hold);
        let mut relative = plan();
        relative.workdir = Some("sub".into());
        let order = make(&relative, &Abilities::default()).unwrap();
        assert_eq!(order.config.cwd, Path::new("/sandbox/sub"));
    }

    #[test]
    fn caps_that_cannot_be_enforced_are_told() {
        let mut plan = plan();
        plan.caps.memory_limit_bytes = Some(1 << 20);
        plan.caps.pids = Some(5);
        let mut can = Abilities::default();
        assert!(make(&plan, &can).is_ok());
        assert_eq!(
            unenforced(&plan, &can),
            [capability::MEMORY_LIMIT, capability::PIDS_LIMIT]
        );
        can.controllers.extend([Controller::Memory, Controller::Pids]);
        assert!(unenforced(&plan, &can).is_empty());
    }

    #[test]
    fn what_cannot_be_had_is_refused_by_name() {
        assert_eq!(
            why(|p| (p.entrypoint, p.args) = (None, None)),
            "there is no command to run"
        );
        assert_eq!(why(|p| p.user = Some("bad".into())), "No such user 'bad'");
        assert!(why(|p| p.network = Network::Bridge).contains("bridge network"));
        assert!(why(|p| p.hostname = Some("a".into())).contains("host name"));
        assert!(why(|p| p.privileged = true).contains("as root"));
        assert!(why(|p| p.confinement.read_only_root = true).contains("read-only file system"));
        assert!(why(|p| p.logs.files = 0).contains("log limits"));
        assert!(why(|p| p.user = Some("4242".into())).contains("does not run as root"));
        let image = plenum_model::spec::Image {
            reference: "a".into(),
            pull: plenum_model::spec::Pull::Never,
        };
        assert!(why(|p| p.image = Some(image)).contains("no images"));
    }
}
