//! The version in front of every path, and the headers from which clients learn ours.

use crate::error::ApiError;
use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::SERVER;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Uri};
use tower::ServiceExt;

/// The newest version of the API that is spoken: the oldest that every client since 2024 takes.
pub(crate) const NEWEST: u32 = 44;
/// The oldest one.
pub(crate) const OLDEST: u32 = 24;

/// The minor number of the version a request was made in; an extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ApiVersion(pub u32);

/// The routes under `/v1.24` to the newest, and without a version.
pub(crate) fn versioned(routes: Router) -> Router {
    Router::new().fallback(move |request: Request| {
        let routes = routes.clone();
        async move {
            let mut response = match strip(request) {
                Ok(request) => routes.oneshot(request).await.into_response(),
                Err(refused) => refused.into_response(),
            };
            sign(&mut response);
            response
        }
    })
}

fn sign(response: &mut Response) {
    let headers = response.headers_mut();
    let texts = [
        ("api-version", "1.44"),
        ("docker-experimental", "false"),
        ("ostype", "linux"),
        ("swarm", "active/manager"),
    ];
    for (name, text) in texts {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(text));
    }
    let server = concat!("Docker/", env!("CARGO_PKG_VERSION"), " (linux)");
    headers.insert(SERVER, HeaderValue::from_static(server));
}

/// Takes the version off the path.
fn strip(mut request: Request) -> Result<Request, ApiError> {
    let uri = std::mem::take(request.uri_mut());
    let (version, uri) = match minor(uri.path())? {
        None => (NEWEST, uri),
        Some((version, rest)) => (version, with_path(&uri, rest)?),
    };
    *request.uri_mut() = uri;
    request.extensions_mut().insert(ApiVersion(version));
    Ok(request)
}

/// The minor number in front of a path, and the rest of it.
fn minor(path: &str) -> Result<Option<(u32, &str)>, ApiError> {
    let Some(after) = path.strip_prefix("/v") else {
        return Ok(None);
    };
    let (version, rest) = after.split_at(after.find('/').unwrap_or(after.len()));
    let Some((major, minor)) = version.split_once('.') else {
        return Ok(None);
    };
    let (Ok(major), Ok(minor)) = (major.parse::<u32>(), minor.parse::<u32>()) else {
        return Ok(None);
    };
    if (major, minor) > (1, NEWEST) {
        return Err(ApiError::bad(format!(
            "client version {version} is too new. Maximum supported API version is 1.{NEWEST}"
        )));
    }
    if (major, minor) < (1, OLDEST) {
        return Err(ApiError::bad(format!(
            "client version {version} is too old. Minimum supported API version is 1.{OLDEST}, please upgrade your client to a newer version"
        )));
    }
    Ok(Some((minor, rest)))
}

fn with_path(uri: &Uri, path: &str) -> Result<Uri, ApiError> {
    let path = if path.is_empty() { "/" } else { path };
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let bad = |_| ApiError::bad("the request target cannot be read");
    let target: PathAndQuery = target
        .parse()
        .map_err(|_| ApiError::bad("the request target cannot be read"))?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_taken_off_and_those_out_of_range_are_refused() {
        assert_eq!(minor("/v1.41/services/a").unwrap(), Some((41, "/services/a")));
        assert_eq!(minor("/version").unwrap(), None);
        assert_eq!(minor("/volumes").unwrap(), None);
        assert_eq!(
            minor("/v1.99/info").unwrap_err().message,
            "client version 1.99 is too new. Maximum supported API version is 1.44"
        );
        assert!(minor("/v1.12/info").is_err());
        let uri: Uri = "/v1.41/tasks?filters=%7B%7D".parse().unwrap();
        assert_eq!(
            with_path(&uri, "/tasks").unwrap().to_string(),
            "/tasks?filters=%7B%7D"
        );
    }
}
