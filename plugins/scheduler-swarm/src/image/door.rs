//! The routes of images. Thin: reads a request, asks the nodes, answers.

use super::fleet::{Fleet, Holder, missing};
use super::list::{FILTERS, filtered, merged};
use super::{auth, news, show};
use crate::error::{ApiError, ApiResult};
use crate::filters::Filters;
use crate::state::Shared;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use futures::StreamExt;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use plenum_contract::images::reference::ImageRef;
use plenum_contract::images::{ImageError, Images, PullRequest, Removal, Removed};
use plenum_sdk::door::lenient::Pairs;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So long what a removed container leaves on its node may stand in the way of its image.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// Between two attempts.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

struct Door {
    fleet: Fleet,
    shared: Shared,
}

type All = State<Arc<Door>>;

/// The routes, without a version in front.
pub(crate) fn routes(state: Shared) -> Router {
    let fleet = Fleet {
        pool: Arc::clone(&state.pool),
        streams: Arc::clone(&state.streams),
    };
    Router::new()
        .route("/images/json", get(list))
        .route("/images/create", post(pull))
        .route("/images/load", post(load))
        .route("/images/get", get(save_all))
        .route("/images/prune", post(no_prune))
        .route("/images/search", get(no_search))
        .route("/commit", post(no_commit))
        .route("/images/{*name}", any(one))
        .with_state(Arc::new(Door { fleet, shared: state }))
}

fn flag(pairs: &Pairs, key: &str) -> bool {
    let text = pairs.get(key).unwrap_or_default().trim().to_ascii_lowercase();
    !matches!(text.as_str(), "" | "0" | "no" | "false" | "none")
}

fn given<'a>(pairs: &'a Pairs, key: &str) -> &'a str {
    pairs.get(key).unwrap_or_default()
}

async fn list(State(door): All, RawQuery(query): RawQuery) -> ApiResult {
    let pairs = Pairs::parse(query.as_deref());
    let filters = Filters::parse(pairs.get("filters"), &FILTERS)?;
    let all = merged(door.fleet.lists().await?);
    let shown = filtered(all, &filters, door.shared.now_ms())?;
    let rows: Vec<_> = shown.iter().map(show::row).collect();
    Ok(axum::Json(rows).into_response())
}

/// `POST /images/create`: a pull. One node fetches it; the others are given it when they need it.
async fn pull(State(door): All, RawQuery(query): RawQuery, headers: HeaderMap) -> ApiResult {
    let pairs = Pairs::parse(query.as_deref());
    if !given(&pairs, "fromSrc").is_empty() {
        return Err(ApiError::not_served(
            "docker import; import it elsewhere and `docker load` it here",
        ));
    }
    let (name, tag) = (given(&pairs, "fromImage"), given(&pairs, "tag"));
    let reference = match tag {
        "" => name.to_owned(),
        digest if digest.contains(':') => format!("{name}@{digest}"),
        tag => format!("{name}:{tag}"),
    };
    let image = ImageRef::parse(&reference)?;
    if image.tagged() != image {
        let why = format!("all tags of {image} (pull --all-tags); name those that are wanted");
        return Err(ApiError::not_served(why));
    }
    let platform = given(&pairs, "platform");
    let pull = PullRequest {
        image,
        platform: Some(platform.to_owned()).filter(|p| !p.is_empty()),
        auth: auth::read(&headers),
    };
    news::told(door.fleet.any().await?.pull(pull).await?, false).await
}

/// `POST /images/load`: one node takes the archive; the others are given its images when they need them.
async fn load(State(door): All, RawQuery(query): RawQuery, request: Request) -> ApiResult {
    let pairs = Pairs::parse(query.as_deref());
    refuse_platform(&pairs, "load")?;
    let archive = request.into_body().into_data_stream().map(|piece| {
        piece.map_err(|e| ImageError::Unavailable {
            why: format!("the archive was cut off on its way here: {e}"),
        })
    });
    let events = door.fleet.any().await?.load(archive.boxed()).await?;
    news::told(events, flag(&pairs, "quiet")).await
}

fn refuse_platform(pairs: &Pairs, verb: &str) -> ApiResult<()> {
    match given(pairs, "platform") {
        "" => Ok(()),
        _ => Err(ApiError::not_served(format!("platform (--platform) of {verb}"))),
    }
}

async fn save_all(State(door): All, RawQuery(query): RawQuery) -> ApiResult {
    let pairs = Pairs::parse(query.as_deref());
    refuse_platform(&pairs, "save")?;
    let names: Vec<_> = pairs
        .all("names")
        .map(ImageRef::parse)
        .collect::<Result<_, _>>()?;
    save(&door, &names).await
}

/// An archive of these images from a node that has them all.
async fn save(door: &Door, names: &[ImageRef]) -> ApiResult {
    let mut having: Option<Vec<Holder>> = None;
    for name in names {
        let holders = door.fleet.holders(name).await?;
        having = Some(match having {
            None => holders,
            Some(before) => {
                let nodes: BTreeSet<_> = holders.into_iter().map(|h| h.node).collect();
                before.into_iter().filter(|h| nodes.contains(&h.node)).collect()
            }
        });
    }
    let Some(having) = having else {
        return Err(ApiError::bad("no image is named"));
    };
    let Some(holder) = having.into_iter().next() else {
        return Err(ApiError::not_served(
            "one archive of images that are on different nodes; save them one by one",
        ));
    };
    let archive = holder.images.save(names).await?;
    Ok(([(CONTENT_TYPE, "application/x-tar")], Body::from_stream(archive)).into_response())
}

async fn no_prune() -> ApiError {
    ApiError::not_served(
        "prune of images is not served by Plenum yet; remove them by name, `docker images -f dangling=true -q` lists the nameless",
    )
}

async fn no_search() -> ApiError {
    ApiError::not_served("search of a registry is not served by Plenum yet")
}

async fn no_commit() -> ApiError {
    ApiError::not_served(
        "commit of a container is not served by Plenum yet; build the image elsewhere and load it",
    )
}

/// Everything about one image: names have slashes, so what is asked of it stands at the end of the path.
async fn one(
    State(door): All,
    method: Method,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult {
    let pairs = Pairs::parse(query.as_deref());
    if method == Method::DELETE {
        return remove(&door, &ImageRef::parse(&path)?, &pairs).await;
    }
    let Some((name, verb)) = path.rsplit_once('/') else {
        return Err(ApiError::missing("page not found"));
    };
    match (&method, verb) {
        (&Method::GET, "json") => inspect(&door, &ImageRef::parse(name)?).await,
        (&Method::GET, "get") => {
            refuse_platform(&pairs, "save")?;
            save(&door, &[ImageRef::parse(name)?]).await
        }
        (&Method::POST, "tag") => tag(&door, &ImageRef::parse(name)?, &pairs).await,
        (_, "history" | "push") => Err(ApiError::not_served(format!(
            "{verb} of an image is not served by Plenum yet"
        ))),
        _ => Err(ApiError::missing("page not found")),
    }
}

async fn inspect(door: &Door, image: &ImageRef) -> ApiResult {
    let holders = door.fleet.holders(image).await?;
    let Some(first) = holders.first() else {
        return Err(missing(image));
    };
    let same = |h: &&Holder| h.detail.summary.id == first.detail.summary.id;
    let nodes: Vec<_> = holders.iter().filter(same).map(|h| h.node.clone()).collect();
    Ok(axum::Json(show::detail(&first.detail, &nodes)).into_response())
}

async fn tag(door: &Door, image: &ImageRef, pairs: &Pairs) -> ApiResult {
    let (repo, tag) = (given(pairs, "repo"), given(pairs, "tag"));
    let name = match tag {
        "" => repo.to_owned(),
        tag => format!("{repo}:{tag}"),
    };
    let name = ImageRef::parse(&name)?;
    for holder in door.fleet.holders(image).await? {
        holder.images.tag(image, &name).await?;
    }
    Ok(StatusCode::CREATED.into_response())
}

/// Removes an image from every node that has it. Nodes that share a daemon share its images: the second has
/// none any more.
async fn remove(door: &Door, image: &ImageRef, pairs: &Pairs) -> ApiResult {
    refuse_platform(pairs, "rmi")?;
    let removal = Removal {
        force: flag(pairs, "force"),
        keep_parents: flag(pairs, "noprune"),
    };
    let mut removed = Vec::new();
    let mut kept = None;
    for holder in door.fleet.holders(image).await? {
        match removed_from(&holder, image, removal).await {
            Ok(all) => removed.extend(
                all.into_iter()
                    .filter(|r| !removed.contains(r))
                    .collect::<Vec<_>>(),
            ),
            Err(ImageError::NotFound { .. }) => {}
            Err(error) => kept = Some((holder.node, error)),
        }
    }
    match kept {
        None => Ok(axum::Json(removed.iter().map(gone).collect::<Vec<_>>()).into_response()),
        Some((node, error)) => {
            let mut refusal = ApiError::from(error);
            refusal.message = format!("{} (on node {node})", refusal.message);
            Err(refusal)
        }
    }
}

/// A container that was just removed may still be going on its node: what it used is tried again for a moment.
async fn removed_from(
    holder: &Holder,
    image: &ImageRef,
    removal: Removal,
) -> Result<Vec<Removed>, ImageError> {
    let until = Instant::now() + LEFTOVERS;
    loop {
        match holder.images.remove(image, removal).await {
            Err(ImageError::InUse { .. }) if Instant::now() < until => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            done => return done,
        }
    }
}

fn gone(removed: &Removed) -> Value {
    match removed {
        Removed::Untagged(name) => json!({ "Untagged": name }),
        Removed::Deleted(id) => json!({ "Deleted": id }),
    }
}
