//! `plenum version`: of the command, and of the server if one answers.

use crate::failure::Done;
use crate::global::GlobalArgs;
use crate::output;
use crate::session::Session;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct Versions {
    client: &'static str,
    server: Option<String>,
    address: String,
}

pub(crate) async fn run(global: &GlobalArgs) -> Done {
    let session = Session::open(global)?;
    let server = session.client.info().await;
    let reason = server.as_ref().err().map(ToString::to_string);
    let versions = Versions {
        client: env!("CARGO_PKG_VERSION"),
        server: server.ok().map(|i| i.version),
        address: session.client.address().to_owned(),
    };
    output::one(global, "version", &versions, versions.client, |v| {
        let server = match &v.server {
            Some(version) => format!("{version}  {}", v.address),
            None => format!("-  {}", reason.unwrap_or_default()),
        };
        format!("client  {}\nserver  {server}\n", v.client)
    })?;
    Ok(ExitCode::SUCCESS)
}
