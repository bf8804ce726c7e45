//! Reading `container` and `networks`.

use crate::app::{Docker, Engine, HostVolume, NetworkMode, VolumeMode};
use crate::request::fields::{ContainerFields, DockerNetwork, MappingFields, NetworkFields};
use crate::request::names::{CONTAINER, DOCKER, NETWORK, VOLUME};
use crate::request::ports;
use crate::request::reader::{At, NOT_SUPPORTED, Object, Reader};

/// `container`.
pub fn container(r: &mut Reader, at: At<'_>) -> Option<ContainerFields> {
    const ENGINES: [(&str, Engine); 2] = [("MESOS", Engine::Mesos), ("DOCKER", Engine::Docker)];
    let object = r.object(at, &CONTAINER)?;
    let engine = r
        .optional(&object, "type", |r, at| r.choice(at, &ENGINES))
        .unwrap_or_default();
    let mut fields = ContainerFields {
        engine,
        ..ContainerFields::default()
    };
    if let Some(docker) = r.optional(&object, "docker", |r, at| r.object(at, &DOCKER)) {
        fields.docker = image(r, &docker);
        fields.docker_network = r.optional(&docker, "network", docker_network);
        fields.docker_port_mappings = mappings(r, &docker);
    }
    fields.volumes = r
        .optional(&object, "volumes", |r, at| r.list(at, volume))
        .unwrap_or_default();
    fields.port_mappings = mappings(r, &object);
    Some(fields)
}

fn mappings(r: &mut Reader, object: &Object<'_>) -> Option<Vec<MappingFields>> {
    r.optional(object, "portMappings", |r, at| r.list(at, ports::mapping))
}

fn image(r: &mut Reader, object: &Object<'_>) -> Option<Docker> {
    let image = r.required(object, "image", Reader::filled);
    let force_pull_image = r
        .optional(object, "forcePullImage", Reader::boolean)
        .unwrap_or(false);
    let privileged = r.optional(object, "privileged", Reader::boolean).unwrap_or(false);
    Some(Docker {
        image: image?,
        force_pull_image,
        privileged,
    })
}

fn docker_network(r: &mut Reader, at: At<'_>) -> Option<DockerNetwork> {
    let path = at.path.clone();
    let words = [
        ("BRIDGE", Some(DockerNetwork::Bridge)),
        ("HOST", Some(DockerNetwork::Host)),
        ("NONE", None),
        ("USER", None),
    ];
    let known = r.choice(at, &words)?;
    known.or_else(|| r.unserved(&path, NOT_SUPPORTED))
}

fn volume(r: &mut Reader, at: At<'_>) -> Option<HostVolume> {
    const MODES: [(&str, VolumeMode); 2] = [("RO", VolumeMode::ReadOnly), ("RW", VolumeMode::ReadWrite)];
    let object = r.object(at, &VOLUME)?;
    if ["external", "persistent", "secret"]
        .iter()
        .any(|kind| object.get(kind).is_some())
    {
        return None; // the reader has said already that this kind is not served
    }
    let container_path = r.required(&object, "containerPath", Reader::filled);
    let host_path = r.required(&object, "hostPath", Reader::filled);
    let mode = r.required(&object, "mode", |r, at| r.choice(at, &MODES));
    Some(HostVolume {
        container_path: container_path?,
        host_path: host_path?,
        mode: mode?,
    })
}

/// An element of `networks`.
pub fn network(r: &mut Reader, at: At<'_>) -> Option<NetworkFields> {
    let path = format!("{}/mode", at.path);
    let words = [
        ("host", Some(NetworkMode::Host)),
        ("container/bridge", Some(NetworkMode::Bridge)),
        ("container", None),
    ];
    let object = r.object(at, &NETWORK)?;
    // without a mode it is a named container network, Marathon's default
    let known = match object.get("mode") {
        Some(at) => r.choice(at, &words)?,
        None => None,
    };
    let mode = known.or_else(|| r.unserved(&path, format!("'container' {NOT_SUPPORTED}")));
    let name = r.optional(&object, "name", Reader::text);
    Some(NetworkFields { mode: mode?, name })
}
