//! The plugin's section of the configuration.

use plenum_model::ids::TenantPath;
use serde::{Deserialize, Serialize};

/// The word for the API server of this plugin.
pub const EMBEDDED: &str = "embedded";

/// Every key has a default; unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KubernetesConfig {
    /// Which parts run here: `adapter`, `apiserver`.
    pub parts: Vec<Part>,
    /// Loopback address and port of the embedded API server; port 0 takes any free one.
    pub listen: String,
    /// An address that others can reach, in place of `listen`: whoever reaches it administers everything.
    pub insecure_listen: String,
    /// Names, beside `localhost` and loopback addresses, under which the embedded API server answers.
    pub allowed_hosts: Vec<String>,
    /// The API server the adapter works with: `embedded`, an URL without credentials, or the path of a kubeconfig.
    pub api_server: String,
    /// The context of the kubeconfig; empty: its current one.
    pub context: String,
    /// Values of `schedulerName` whose pods are scheduled.
    pub scheduler_names: Vec<String>,
    /// Who is charged where a namespace is no tenant.
    pub tenant: TenantPath,
    /// Whether a namespace is a tenant of its own name.
    pub namespace_is_tenant: bool,
    /// The runtime that runs pods.
    pub runtime: String,
    /// Where the port of all nodes listens (`10.0.0.5:10250`); empty: each on its node's own address.
    pub node_listen: String,
    /// The address under which the API server reaches all nodes; empty: each node's own.
    pub node_address: String,
    /// A taint of new nodes, `key=value:effect`; empty: none.
    pub node_taint: String,
    /// Files with the certificate and the key of the nodes' port, in PEM; empty: self-made ones.
    pub node_certificate: String,
    /// See `node_certificate`.
    pub node_key: String,
    /// A file with the authority of the API server's client certificate, in PEM; empty: only the token opens it.
    pub node_client_ca: String,
}

/// A part of the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Nodes, scheduling and pods.
    Adapter,
    /// The embedded API server with its controllers.
    Apiserver,
}

impl Default for KubernetesConfig {
    fn default() -> Self {
        Self {
            parts: vec![Part::Apiserver, Part::Adapter],
            listen: "127.0.0.1:6443".to_owned(),
            insecure_listen: String::new(),
            allowed_hosts: Vec::new(),
            api_server: EMBEDDED.to_owned(),
            context: String::new(),
            scheduler_names: vec!["default-scheduler".to_owned(), "plenum".to_owned()],
            tenant: TenantPath::new("default").expect("a constant that keeps the rules of names"),
            namespace_is_tenant: true,
            runtime: "docker".to_owned(),
            node_listen: String::new(),
            node_address: String::new(),
            node_taint: String::new(),
            node_certificate: String::new(),
            node_key: String::new(),
            node_client_ca: String::new(),
        }
    }
}

impl KubernetesConfig {
    /// Whether a part runs here.
    #[must_use]
    pub fn runs(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// What contradicts itself: the key and why.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, String)> {
        let embedded = self.api_server == EMBEDDED;
        let (adapter, server) = (self.runs(Part::Adapter), self.runs(Part::Apiserver));
        let pair = self.node_certificate.is_empty() == self.node_key.is_empty();
        let taint = self.node_taint.rsplit_once(':').map(|(_, effect)| effect);
        if !adapter && !server {
            Some(("parts", "nothing is to run".to_owned()))
        } else if adapter && embedded && !server {
            let why = "`embedded` is not in `parts`: say the URL or the kubeconfig of the API server";
            Some(("api_server", why.to_owned()))
        } else if adapter && !embedded && server {
            let why = "`apiserver` is in `parts`, so the adapter works with the embedded one";
            Some(("api_server", why.to_owned()))
        } else if !pair {
            Some(("node_key", "certificate and key belong together".to_owned()))
        } else if !self.node_taint.is_empty()
            && !matches!(taint, Some("NoSchedule" | "PreferNoSchedule" | "NoExecute"))
        {
            Some((
                "node_taint",
                format!("`{}` is no key=value:effect", self.node_taint),
            ))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_default_and_no_other_is_taken() {
        let default = serde_json::to_value(KubernetesConfig::default()).unwrap();
        let read: KubernetesConfig = serde_json::from_value(default).unwrap();
        assert_eq!(read, serde_json::from_str("{}").unwrap());
        assert_eq!(read.fault(), None);
        assert!(serde_json::from_str::<KubernetesConfig>(r#"{"liste":"x"}"#).is_err());
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        let with = |text: &str| {
            serde_json::from_str::<KubernetesConfig>(text)
                .unwrap()
                .fault()
                .map(|(key, _)| key)
        };
        assert_eq!(with(r#"{"parts":[]}"#), Some("parts"));
        assert_eq!(with(r#"{"parts":["adapter"]}"#), Some("api_server"));
        assert_eq!(with(r#"{"parts":["adapter"],"api_server":"/k"}"#), None);
        assert_eq!(with(r#"{"api_server":"/k"}"#), Some("api_server"));
        assert_eq!(with(r#"{"node_key":"/k"}"#), Some("node_key"));
        assert_eq!(with(r#"{"node_taint":"a"}"#), Some("node_taint"));
        assert_eq!(with(r#"{"node_taint":"a=b:NoSchedule"}"#), None);
    }
}
