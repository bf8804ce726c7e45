//! `plenum run`: start something, as an app of the Marathon door.

use crate::failure::{Done, Failure};
use crate::marathon::Marathon;
use crate::output::text::{parse_bytes, parse_cpu};
use crate::session::Session;
use crate::wait::{Change, WaitArgs};
use clap::Args;
use plenum_model::code;
use serde_json::{Map, Value, json};

/// What to run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Its name
    #[arg(long)]
    pub name: String,
    /// Run this image; without it the command runs as a plain process
    #[arg(long)]
    pub image: Option<String>,
    /// Cores for each instance
    #[arg(long, value_name = "CORES", default_value = "0.1", value_parser = parse_cpu)]
    pub cpus: u64,
    /// Memory for each instance (64M, 1.5G; MiB without unit)
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = parse_mib)]
    pub mem: u64,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub instances: u32,
    /// An environment variable (may be repeated)
    #[arg(short = 'e', long = "env", value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// A port (may be repeated): PORT inside an image, on any port of the node; HOST:PORT on that port; without an
    /// image PORT of the node, 0 for any ($PORT0)
    #[arg(short = 'p', long = "port", value_name = "[HOST:]PORT[/udp]")]
    pub ports: Vec<String>,
    #[command(flatten)]
    pub wait: WaitArgs,
    /// The command, after `--`
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

fn parse_mib(text: &str) -> Result<u64, String> {
    parse_bytes(text, 1 << 20)
}

pub(crate) async fn run(args: &RunArgs, session: &Session<'_>) -> Done {
    let app = app(args)?;
    let marathon = Marathon::new(session.target.door("marathon")?)?;
    let name = args.name.trim_start_matches('/').to_owned();
    let undo = format!("plenum delete {name}");
    let change = Change::new(session, &marathon, vec![name.clone()], undo).await?;
    let deployments = marathon.create(&app).await.map_err(|f| exists(f, &name))?;
    change.taken(&deployments, &args.wait).await
}

fn exists(failure: Failure, name: &str) -> Failure {
    if failure.body.code == code::CONFLICT.to_string() {
        return failure.hint(format!(
            "plenum apply -f FILE    (changes it)\nplenum delete {name}    (removes it first)"
        ));
    }
    failure
}

/// The app as Marathon knows it.
fn app(args: &RunArgs) -> Result<Value, Failure> {
    if args.image.is_none() && args.command.is_empty() {
        return Err(Failure::usage("there is nothing to run")
            .hint("give a command after `--`, or an image:\nplenum run --name hello -- sleep 1000"));
    }
    let mut app = Map::new();
    app.insert(
        "id".into(),
        json!(format!("/{}", args.name.trim_start_matches('/'))),
    );
    app.insert("cpus".into(), json!(number(args.cpus, 1_000)));
    app.insert("mem".into(), json!(number(args.mem, 1 << 20)));
    app.insert("instances".into(), json!(args.instances));
    if !args.command.is_empty() {
        app.insert("args".into(), json!(args.command));
    }
    if !args.env.is_empty() {
        app.insert("env".into(), Value::Object(env(&args.env)?));
    }
    let ports = args
        .ports
        .iter()
        .map(|p| port(p))
        .collect::<Result<Vec<_>, _>>()?;
    match &args.image {
        Some(image) => with_image(&mut app, image, &ports),
        None => with_host_ports(&mut app, &ports)?,
    }
    Ok(Value::Object(app))
}

/// Exact as long as a float can be: thousandths of a core, bytes as MiB.
#[allow(clippy::cast_precision_loss, reason = "what Marathon takes is a float")]
fn number(value: u64, unit: u64) -> f64 {
    value as f64 / unit as f64
}

fn env(pairs: &[String]) -> Result<Map<String, Value>, Failure> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty())?;
        Some((name.to_owned(), json!(value)))
    };
    let named = pairs
        .iter()
        .map(|p| pair(p).ok_or_else(|| Failure::usage(format!("`{p}` is not NAME=VALUE")).at("--env")));
    named.collect()
}

struct Port {
    host: Option<u16>,
    inside: u16,
    protocol: &'static str,
}

fn port(text: &str) -> Result<Port, Failure> {
    let bad = || {
        Failure::usage(format!(
            "`{text}` is not a port: it is written 80, 8080:80 or 53/udp"
        ))
        .at("--port")
    };
    let (numbers, protocol) = match text.split_once('/') {
        None | Some((_, "tcp")) => (text.trim_end_matches("/tcp"), "tcp"),
        Some((numbers, "udp")) => (numbers, "udp"),
        Some(_) => return Err(bad()),
    };
    let (host, inside) = match numbers.split_once(':') {
        Some((host, inside)) => (Some(host.parse().map_err(|_| bad())?), inside),
        None => (None, numbers),
    };
    Ok(Port {
        host,
        inside: inside.parse().map_err(|_| bad())?,
        protocol,
    })
}

fn with_image(app: &mut Map<String, Value>, image: &str, ports: &[Port]) {
    let mappings: Vec<Value> = ports
        .iter()
        .map(|p| json!({"containerPort": p.inside, "hostPort": p.host.unwrap_or(0), "protocol": p.protocol}))
        .collect();
    app.insert("networks".into(), json!([{"mode": "container/bridge"}]));
    app.insert(
        "container".into(),
        json!({"type": "DOCKER", "docker": {"image": image}, "portMappings": mappings}),
    );
    if ports.iter().any(|p| p.host.is_some()) {
        app.insert("requirePorts".into(), json!(true));
    }
}

fn with_host_ports(app: &mut Map<String, Value>, ports: &[Port]) -> Result<(), Failure> {
    if ports.iter().any(|p| p.host.is_some_and(|host| host != p.inside)) {
        return Err(
            Failure::usage("a plain process has the ports of its node: they cannot be forwarded")
                .at("--port")
                .hint("-p PORT, or -p 0 for any port, which the process finds in $PORT0"),
        );
    }
    let definitions: Vec<Value> = ports
        .iter()
        .map(|p| json!({"port": p.inside, "protocol": p.protocol}))
        .collect();
    if ports.iter().any(|p| p.inside != 0) {
        app.insert("requirePorts".into(), json!(true));
    }
    app.insert("portDefinitions".into(), Value::Array(definitions));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        run: RunArgs,
    }

    fn of(line: &str) -> Result<Value, Failure> {
        let words = std::iter::once("run").chain(line.split(' ').filter(|w| !w.is_empty()));
        app(&Only::try_parse_from(words).unwrap().run)
    }

    #[test]
    fn a_command_becomes_an_app_with_host_ports() {
        assert_eq!(
            of("--name hello -e A=b=c -p 0 --cpus 0.25 --mem 1.5G --instances 3 -- sh -c date").unwrap(),
            json!({
                "id": "/hello", "cpus": 0.25, "mem": 1536.0, "instances": 3, "args": ["sh", "-c", "date"],
                "env": {"A": "b=c"}, "portDefinitions": [{"port": 0, "protocol": "tcp"}],
            })
        );
    }

    #[test]
    fn an_image_becomes_an_app_with_forwarded_ports() {
        assert_eq!(
            of("--name /shop/web --image nginx -p 8080:80 -p 53/udp").unwrap(),
            json!({
                "id": "/shop/web", "cpus": 0.1, "mem": 64.0, "instances": 1, "requirePorts": true,
                "networks": [{"mode": "container/bridge"}],
                "container": {"type": "DOCKER", "docker": {"image": "nginx"}, "portMappings": [
                    {"containerPort": 80, "hostPort": 8080, "protocol": "tcp"},
                    {"containerPort": 53, "hostPort": 0, "protocol": "udp"},
                ]},
            })
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (line, field) in [
            ("--name a", None),
            ("--name a -e =x -- true", Some("--env")),
            ("--name a -p 80/sctp --image i", Some("--port")),
            ("--name a -p 80:90 -- true", Some("--port")),
        ] {
            assert_eq!(of(line).unwrap_err().body.field.as_deref(), field, "{line}");
        }
    }
}
