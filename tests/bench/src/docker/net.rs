//! Machines that are none: network namespaces, each with one cable to a bridge in a namespace of its own. The
//! machine's own network is not touched.

use super::process::run;
use crate::report::Failed;
use std::path::PathBuf;
use std::process::Command;

/// The namespaces; removed when dropped.
pub(super) struct Net {
    tag: String,
    nodes: u8,
}

impl Net {
    /// Namespaces 1 to `nodes` on one bridge.
    pub(super) fn new(nodes: u8) -> Result<Self, Failed> {
        let net = Self {
            // Names of interfaces have 15 characters at most.
            tag: format!("pb{}", std::process::id() % 1_000_000),
            nodes,
        };
        let hub = net.name(0);
        run("ip", &["netns", "add", &hub])?;
        run("ip", &["-n", &hub, "link", "add", "br0", "type", "bridge"])?;
        run("ip", &["-n", &hub, "link", "set", "br0", "up"])?;
        for node in 1..=nodes {
            net.plug(node)?;
        }
        Ok(net)
    }

    fn plug(&self, node: u8) -> Result<(), Failed> {
        let (hub, name) = (self.name(0), self.name(node));
        let (port, cidr) = (format!("port{node}"), format!("{}/24", Self::address(node)));
        run("ip", &["netns", "add", &name])?;
        run(
            "ip",
            &[
                "-n", &name, "link", "add", "eth0", "type", "veth", "peer", "name", &port, "netns", &hub,
            ],
        )?;
        run("ip", &["-n", &hub, "link", "set", &port, "master", "br0", "up"])?;
        run("ip", &["-n", &name, "addr", "add", &cidr, "dev", "eth0"])?;
        run("ip", &["-n", &name, "link", "set", "eth0", "up"])?;
        run("ip", &["-n", &name, "link", "set", "lo", "up"])
    }

    fn name(&self, node: u8) -> String {
        format!("{}n{node}", self.tag)
    }

    /// The address of a node, as the others see it.
    pub(super) fn address(node: u8) -> String {
        format!("10.77.8.{node}")
    }

    /// The file that stands for a namespace.
    pub(super) fn path(&self, node: u8) -> PathBuf {
        PathBuf::from("/run/netns").join(self.name(node))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for node in (0..=self.nodes).filter(|n| self.path(*n).exists()) {
            match Command::new("ip")
                .args(["netns", "del", &self.name(node)])
                .output()
            {
                Ok(out) if out.status.success() => {}
                _ => eprintln!("plenum-bench: network namespace {} is left", self.name(node)),
            }
        }
    }
}
