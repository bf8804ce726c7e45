//! Reading ports.

use crate::app::{PortDefinition, Protocol};
use crate::request::fields::MappingFields;
use crate::request::names::{PORT_DEFINITION, PORT_MAPPING};
use crate::request::reader::{At, Reader};

/// An element of `portDefinitions`.
pub fn definition(r: &mut Reader, at: At<'_>) -> Option<PortDefinition> {
    let object = r.object(at, &PORT_DEFINITION)?;
    Some(PortDefinition {
        port: r.optional(&object, "port", Reader::port).unwrap_or(0),
        protocol: r
            .optional(&object, "protocol", |r, at| r.choice(at, &Protocol::WORDS))
            .unwrap_or_default(),
        name: r.optional(&object, "name", port_name),
        labels: r
            .optional(&object, "labels", Reader::text_map)
            .unwrap_or_default(),
    })
}

/// An element of `container.portMappings`.
pub fn mapping(r: &mut Reader, at: At<'_>) -> Option<MappingFields> {
    let object = r.object(at, &PORT_MAPPING)?;
    Some(MappingFields {
        container_port: r.optional(&object, "containerPort", Reader::port).unwrap_or(0),
        host_port: r.optional(&object, "hostPort", Reader::port),
        service_port: r.optional(&object, "servicePort", Reader::port).unwrap_or(0),
        protocol: r
            .optional(&object, "protocol", |r, at| r.choice(at, &Protocol::WORDS))
            .unwrap_or_default(),
        name: r.optional(&object, "name", port_name),
        labels: r
            .optional(&object, "labels", Reader::text_map)
            .unwrap_or_default(),
    })
}

/// A name of lower-case letters, digits and inner dashes, of any length.
pub fn port_name(r: &mut Reader, at: At<'_>) -> Option<String> {
    let path = at.path.clone();
    let name = r.filled(at)?;
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if plain && !name.starts_with('-') && !name.ends_with('-') {
        return Some(name);
    }
    r.wrong(&path, "error.pattern")
}
