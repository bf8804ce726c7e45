//! Logs to standard error, and spans to an OTLP collector when one is configured.

use crate::config::{ConfigError, TelemetrySection};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Flushes what is left when the process ends.
#[must_use = "spans are lost unless this is shut down at the end"]
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Sends what has not been sent.
    pub(crate) fn shutdown(self) {
        if let Some(provider) = self.0
            && let Err(e) = provider.shutdown()
        {
            eprintln!("plenum: spans were lost at the end: {e}");
        }
    }
}

fn bad(key: &str, why: String) -> ConfigError {
    ConfigError::Value {
        key: format!("telemetry.{key}"),
        why,
    }
}

/// Whether it makes sense; nothing is started.
///
/// # Errors
/// `ConfigError::Value`, as of [`start`].
pub(crate) fn check(section: &TelemetrySection) -> Result<(), ConfigError> {
    EnvFilter::try_new(&section.log).map_err(|e| bad("log", e.to_string()))?;
    match section.format.as_str() {
        "text" | "json" => Ok(()),
        other => Err(bad("format", format!("`{other}` is neither text nor json"))),
    }
}

/// Starts logging for this process. `name` is the part of Plenum it runs (`plenum-broker`).
///
/// # Errors
/// `ConfigError::Value` for a filter, format or address that makes no sense.
pub(crate) fn start(section: &TelemetrySection, name: &'static str) -> Result<Telemetry, ConfigError> {
    let filter = std::env::var("PLENUM_LOG").unwrap_or_else(|_| section.log.clone());
    let filter = EnvFilter::try_new(filter).map_err(|e| bad("log", e.to_string()))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match section.format.as_str() {
        "text" => lines
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .boxed(),
        "json" => lines.json().boxed(),
        other => return Err(bad("format", format!("`{other}` is neither text nor json"))),
    };
    let provider = match section.otlp.as_str() {
        "" => None,
        address => Some(exporter(address, name).map_err(|why| bad("otlp", why))?),
    };
    let spans = provider
        .as_ref()
        .map(|p| tracing_opentelemetry::layer().with_tracer(p.tracer(name)));
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(spans)
        .try_init()
        .map_err(|e| bad("log", e.to_string()))?;
    Ok(Telemetry(provider))
}

fn exporter(address: &str, name: &'static str) -> Result<SdkTracerProvider, String> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(address)
        .build()
        .map_err(|e| e.to_string())?;
    let resource = opentelemetry_sdk::Resource::builder()
        .with_service_name(name)
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}
