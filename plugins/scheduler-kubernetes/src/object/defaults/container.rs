//! The defaults of one container.

use serde_json::{Value, json};

use super::set::{each, put, put_all, within};

pub(super) fn container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let policy = if is_latest(image) {
        "Always"
    } else {
        "IfNotPresent"
    };
    put_all(
        container,
        [
            ("imagePullPolicy", json!(policy)),
            ("terminationMessagePath", json!("/dev/termination-log")),
            ("terminationMessagePolicy", json!("File")),
        ],
    );
    each(container, "ports", |port| put(port, "protocol", json!("TCP")));
    each(container, "env", |variable| {
        within(variable, "valueFrom", field_reference)
    });
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        within(container, probe, |probe| {
            put_all(
                probe,
                [
                    ("timeoutSeconds", json!(1)),
                    ("periodSeconds", json!(10)),
                    ("successThreshold", json!(1)),
                    ("failureThreshold", json!(3)),
                ],
            );
            within(probe, "httpGet", http);
            within(probe, "grpc", |grpc| put(grpc, "service", json!("")));
        });
    }
    within(container, "lifecycle", |lifecycle| {
        for hook in ["postStart", "preStop"] {
            within(lifecycle, hook, |hook| within(hook, "httpGet", http));
        }
    });
}

/// A field of the pod is named by the first version unless it says otherwise.
pub(super) fn field_reference(source: &mut Value) {
    within(source, "fieldRef", |field| put(field, "apiVersion", json!("v1")));
}

fn http(request: &mut Value) {
    put_all(request, [("path", json!("/")), ("scheme", json!("HTTP"))]);
}

/// Whether an image means whatever is newest: no tag and no digest, or the tag `latest`.
fn is_latest(image: &str) -> bool {
    let (name, digest) = image
        .split_once('@')
        .map_or((image, None), |(name, digest)| (name, Some(digest)));
    // A colon before the last slash is a port.
    let tag = name
        .rsplit('/')
        .next()
        .unwrap_or(name)
        .split_once(':')
        .map(|(_, tag)| tag);
    match tag {
        Some(tag) => tag == "latest",
        None => digest.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_latest;

    #[test]
    fn an_image_without_a_tag_is_the_latest() {
        for (image, latest) in [
            ("nginx", true),
            ("nginx:latest", true),
            ("nginx:1.27", false),
            ("host:5000/nginx", true),
            ("host:5000/a/nginx:1", false),
            ("nginx@sha256:0123", false),
            ("nginx:latest@sha256:0123", true),
        ] {
            assert_eq!(is_latest(image), latest, "{image}");
        }
    }
}
