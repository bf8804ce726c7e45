//! In which form a client wants its answer.

use crate::object::problem::Problem;
use http::HeaderMap;
use http::header::ACCEPT;

/// How objects are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As they are.
    Whole,
    /// As a table of this version of `meta.k8s.io`.
    Table(&'static str),
    /// Only their metadata, in this version of `meta.k8s.io`.
    Metadata(&'static str),
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As JSON.
    Json,
    /// As YAML.
    Yaml,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accept {
    /// What is shown.
    pub view: View,
    /// How it is written.
    pub format: Format,
}

struct Clause<'a> {
    media: &'a str,
    view: &'a str,
    group: &'a str,
    version: &'a str,
}

fn clauses(text: &str) -> impl Iterator<Item = Clause<'_>> {
    text.split(',').map(|clause| {
        let mut parts = clause.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let mut found = Clause {
            media,
            view: "",
            group: "",
            version: "",
        };
        for part in parts {
            match part.split_once('=') {
                Some(("as", value)) => found.view = value,
                Some(("g", value)) => found.group = value,
                Some(("v", value)) => found.version = value,
                Some(_) | None => {}
            }
        }
        found
    })
}

fn text(headers: &HeaderMap) -> String {
    let values = headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

impl Accept {
    /// The first form that the client names and the server has; JSON where it does not care.
    ///
    /// # Errors
    /// 406 when there is none.
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let text = text(headers);
        if text.trim().is_empty() {
            return Ok(Self::json());
        }
        let found = clauses(&text).find_map(|clause| {
            let format = match clause.media {
                "application/json" | "application/*" | "*/*" => Format::Json,
                "application/yaml" => Format::Yaml,
                _ => return None,
            };
            let version = match (clause.group, clause.version) {
                ("meta.k8s.io", "v1") => "meta.k8s.io/v1",
                ("meta.k8s.io", "v1beta1") => "meta.k8s.io/v1beta1",
                _ => "",
            };
            let view = match (clause.view, version) {
                ("", _) => View::Whole,
                (_, "") => return None,
                ("Table", version) => View::Table(version),
                ("PartialObjectMetadata" | "PartialObjectMetadataList", version) => View::Metadata(version),
                _ => return None,
            };
            Some(Self { view, format })
        });
        found.ok_or_else(|| Problem::not_acceptable(&["application/json", "application/yaml"]))
    }

    /// JSON, whole.
    #[must_use]
    pub fn json() -> Self {
        Self {
            view: View::Whole,
            format: Format::Json,
        }
    }
}

/// Whether the client takes discovery in one piece, and in which version.
#[must_use]
pub fn aggregated_discovery(headers: &HeaderMap) -> Option<&'static str> {
    let text = text(headers);
    clauses(&text).find_map(|clause| {
        if clause.media == "application/json" && clause.view.is_empty() {
            // Clauses stand in the order of preference: what follows is not wanted more.
            return Some(None);
        }
        let known = clause.view == "APIGroupDiscoveryList" && clause.group == "apidiscovery.k8s.io";
        match clause.version {
            "v2" if known => Some(Some("v2")),
            "v2beta1" if known => Some(Some("v2beta1")),
            _ => None,
        }
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &'static str) -> Result<Accept, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, http::HeaderValue::from_static(text));
        Accept::of(&headers)
    }

    #[test]
    fn the_first_form_that_the_server_has_is_taken() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(of(kubectl).unwrap().view, View::Table("meta.k8s.io/v1"));
        let describe = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(of(describe).unwrap(), Accept::json());
        assert_eq!(
            of("application/vnd.kubernetes.protobuf, */*").unwrap(),
            Accept::json()
        );
        assert_eq!(of("application/yaml").unwrap().format, Format::Yaml);
        assert_eq!(of("application/vnd.kubernetes.protobuf").unwrap_err().code, 406);
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        assert_eq!(of(metadata).unwrap().view, View::Metadata("meta.k8s.io/v1"));
    }

    #[test]
    fn discovery_comes_in_one_piece_to_those_who_ask_first() {
        let mut headers = HeaderMap::new();
        assert_eq!(aggregated_discovery(&headers), None);
        let both = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        headers.insert(ACCEPT, http::HeaderValue::from_static(both));
        assert_eq!(aggregated_discovery(&headers), Some("v2"));
        headers.insert(ACCEPT, http::HeaderValue::from_static("application/json, */*"));
        assert_eq!(aggregated_discovery(&headers), None);
    }
}
