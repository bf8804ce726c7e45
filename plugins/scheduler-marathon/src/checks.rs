//! Health and readiness checks of an app, in canonical form.

use serde::{Deserialize, Serialize};

/// What a health check asks, and who asks it in Marathon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckProtocol {
    /// A GET.
    #[default]
    Http,
    /// A GET over TLS, not verified.
    Https,
    /// A connection.
    Tcp,
    /// A command inside the container.
    Command,
    /// A GET, from the node.
    MesosHttp,
    /// A GET over TLS, from the node.
    MesosHttps,
    /// A connection, from the node.
    MesosTcp,
}

impl CheckProtocol {
    /// As requests write it.
    pub const WORDS: [(&'static str, Self); 7] = [
        ("HTTP", Self::Http),
        ("HTTPS", Self::Https),
        ("TCP", Self::Tcp),
        ("COMMAND", Self::Command),
        ("MESOS_TCP", Self::MesosTcp),
        ("MESOS_HTTP", Self::MesosHttp),
        ("MESOS_HTTPS", Self::MesosHttps),
    ];

    /// Whether the node's executor does it in Marathon. Here the node does all; the numbers differ.
    #[must_use]
    pub fn is_of_node(self) -> bool {
        match self {
            Self::Http | Self::Https | Self::Tcp => false,
            Self::Command | Self::MesosHttp | Self::MesosHttps | Self::MesosTcp => true,
        }
    }

    /// Whether it is a GET.
    #[must_use]
    pub fn is_http(self) -> bool {
        match self {
            Self::Http | Self::Https | Self::MesosHttp | Self::MesosHttps => true,
            Self::Tcp | Self::Command | Self::MesosTcp => false,
        }
    }
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// What is asked.
    pub protocol: CheckProtocol,
    /// The command, for the shell; of `Command` alone.
    pub command: Option<String>,
    /// Path and query of a GET; none: `/`.
    pub path: Option<String>,
    /// A port by number.
    pub port: Option<u16>,
    /// A port by its index among the app's.
    pub port_index: Option<u16>,
    /// Seconds from the start within which failures do not count, until the first success.
    pub grace_seconds: u32,
    /// Seconds between two.
    pub interval_seconds: u32,
    /// Seconds one may take.
    pub timeout_seconds: u32,
    /// After how many failures in a row the instance is killed, see [`HealthCheck::kills_at`].
    pub max_failures: u32,
    /// Seconds before the first one; counts where the node does it.
    pub delay_seconds: u32,
}

impl HealthCheck {
    /// Seconds before the first check where a request says nothing, and always where Marathon does it itself.
    pub const DEFAULT_DELAY: u32 = 15;

    /// The failure in a row at which the instance is killed; none: it never is. Marathon's own checks compare the
    /// count before the failure, so they take one more than they say; the executor's take as many, and at least one.
    #[must_use]
    pub fn kills_at(&self) -> Option<u32> {
        match (self.protocol.is_of_node(), self.max_failures) {
            (false, 0) => None,
            (false, most) => Some(most.saturating_add(1)),
            (true, most) => Some(most.max(1)),
        }
    }
}

/// The readiness check of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadinessCheck {
    /// What results are called by.
    pub name: String,
    /// Whether over TLS.
    pub protocol: HttpScheme,
    /// Path and query.
    pub path: String,
    /// The port, by its name among the app's.
    pub port_name: String,
    /// Seconds between two.
    pub interval_seconds: u32,
    /// Seconds one may take.
    pub timeout_seconds: u32,
    /// The status codes that say ready.
    pub statuses: Vec<u16>,
}

/// Whether over TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HttpScheme {
    /// No.
    #[default]
    Http,
    /// Yes, not verified.
    Https,
}

impl HttpScheme {
    /// As requests write it.
    pub const WORDS: [(&'static str, Self); 2] = [("HTTP", Self::Http), ("HTTPS", Self::Https)];
}
