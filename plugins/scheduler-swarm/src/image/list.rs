//! Many nodes' lists as one: an image is listed once, with every name that any node knows it by. Pure.

use crate::error::{ApiError, ApiResult};
use crate::filters::Filters;
use crate::time::moment;
use plenum_contract::images::ImageSummary;
use plenum_model::ids::NodeId;
use std::collections::BTreeMap;

/// An image and the nodes that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) image: ImageSummary,
    pub(super) nodes: Vec<NodeId>,
}

/// All images, the newest first.
pub(super) fn merged(lists: Vec<(NodeId, Vec<ImageSummary>)>) -> Vec<Listed> {
    let mut all: BTreeMap<String, Listed> = BTreeMap::new();
    for (node, images) in lists {
        for image in images {
            match all.get_mut(&image.id) {
                Some(have) => {
                    add(&mut have.image.tags, image.tags);
                    add(&mut have.image.digests, image.digests);
                    have.nodes.push(node.clone());
                }
                None => {
                    let nodes = vec![node.clone()];
                    all.insert(image.id.clone(), Listed { image, nodes });
                }
            }
        }
    }
    let mut all: Vec<_> = all.into_values().collect();
    for listed in &mut all {
        listed.image.tags.sort();
        listed.image.digests.sort();
    }
    all.sort_by(|a, b| {
        let newest = b.image.created_nanos.cmp(&a.image.created_nanos);
        newest.then_with(|| a.image.id.cmp(&b.image.id))
    });
    all
}

fn add(have: &mut Vec<String>, more: Vec<String>) {
    for name in more {
        if !have.contains(&name) {
            have.push(name);
        }
    }
}

/// The filters that are served.
pub(super) const FILTERS: [&str; 6] = ["dangling", "label", "reference", "before", "since", "until"];

/// Keeps what the filters let pass.
///
/// # Errors
/// 400 for a value that makes no sense, 404 for an image named in one that is not there.
pub(super) fn filtered(mut all: Vec<Listed>, filters: &Filters, now_ms: u64) -> ApiResult<Vec<Listed>> {
    let made = |name: &str| {
        let named = all.iter().find(|listed| is(&listed.image, name));
        let missing = || ApiError::missing(format!("No such image: {name}"));
        named.map(|l| l.image.created_nanos).ok_or_else(missing)
    };
    let before = filters
        .values("before")
        .map(made)
        .collect::<ApiResult<Vec<_>>>()?;
    let since = filters.values("since").map(made).collect::<ApiResult<Vec<_>>>()?;
    let until = filters.values("until").map(|text| {
        let at = moment(text, now_ms).map(|ms| ms.saturating_mul(1_000_000));
        at.ok_or_else(|| ApiError::bad(format!("invalid filter 'until={text}'")))
    });
    let until = until.collect::<ApiResult<Vec<_>>>()?;
    let dangling = filters.values("dangling").map(|text| {
        let flag = plenum_sdk::door::lenient::boolean(text);
        flag.ok_or_else(|| ApiError::bad(format!("invalid filter 'dangling=[{text}]'")))
    });
    let dangling = dangling.collect::<ApiResult<Vec<_>>>()?;
    all.retain(|Listed { image, .. }| {
        let made = image.created_nanos;
        filters.labels("label", &image.labels)
            && filters.any("reference", |pattern| {
                image.tags.iter().any(|t| matches(pattern, t))
            })
            && dangling.iter().all(|wanted| image.tags.is_empty() == *wanted)
            && before.iter().chain(&until).all(|at| made < *at)
            && since.iter().all(|at| made > *at)
    });
    // Of what is asked for by name, only the names that were asked for.
    for Listed { image, .. } in &mut all {
        image
            .tags
            .retain(|t| filters.any("reference", |pattern| matches(pattern, t)));
    }
    Ok(all)
}

fn is(image: &ImageSummary, name: &str) -> bool {
    let latest = format!("{name}:latest");
    let hex = image.id.strip_prefix("sha256:").unwrap_or(&image.id);
    image
        .tags
        .iter()
        .chain(&image.digests)
        .any(|t| *t == name || *t == latest)
        || image.id.starts_with(name) && name.len() > "sha256:".len()
        || !name.is_empty() && hex.starts_with(name)
}

/// Whether a pattern means a name with its tag, or the name alone.
fn matches(pattern: &str, tag: &str) -> bool {
    let name = tag.rsplit_once(':').map_or(tag, |(name, _)| name);
    glob(pattern.as_bytes(), tag.as_bytes()) || glob(pattern.as_bytes(), name.as_bytes())
}

/// `*` is any text and `?` any character, neither with a slash. Without backtracking beyond the last star.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') if text[t] != b'/' => (p, t) = (p + 1, t + 1),
            Some(c) if *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) if text[from] != b'/' => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                _ => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, tags: &[&str], created: u64) -> ImageSummary {
        ImageSummary {
            id: format!("sha256:{id}"),
            tags: tags.iter().map(|t| (*t).to_owned()).collect(),
            created_nanos: created,
            labels: [("k".to_owned(), id.to_owned())].into(),
            ..ImageSummary::default()
        }
    }

    fn node(n: u8) -> NodeId {
        NodeId::new(format!("n{n}")).unwrap()
    }

    fn all() -> Vec<Listed> {
        merged(vec![
            (node(1), vec![image("aa", &["app:1"], 1), image("bb", &[], 2)]),
            (
                node(2),
                vec![image("aa", &["app:2", "app:1"], 1), image("cc", &["team/x:1"], 3)],
            ),
        ])
    }

    #[test]
    fn an_image_is_listed_once_with_all_its_names_and_nodes() {
        let all = all();
        let ids: Vec<_> = all.iter().map(|l| l.image.id.as_str()).collect();
        assert_eq!(ids, ["sha256:cc", "sha256:bb", "sha256:aa"], "the newest first");
        assert_eq!(all[2].image.tags, ["app:1", "app:2"]);
        assert_eq!(all[2].nodes, [node(1), node(2)]);
    }

    #[test]
    fn filters_keep_what_docker_keeps() {
        for (filter, kept) in [
            (r#"{"reference":["app"]}"#, vec!["aa"]),
            (r#"{"reference":["app:*","team/*"]}"#, vec!["cc", "aa"]),
            (r#"{"reference":["*"]}"#, vec!["aa"]),
            (r#"{"reference":["te?m/x"]}"#, vec!["cc"]),
            (r#"{"dangling":["true"]}"#, vec!["bb"]),
            (r#"{"dangling":["false"],"label":["k=aa"]}"#, vec!["aa"]),
            (r#"{"before":["team/x:1"]}"#, vec!["bb", "aa"]),
            (r#"{"since":["app:2"]}"#, vec!["cc", "bb"]),
            (r#"{"until":["1970-01-01T00:00:00.000001Z"]}"#, vec![]),
        ] {
            let filters = Filters::parse(Some(filter), &FILTERS).unwrap();
            let left = filtered(all(), &filters, 0).unwrap();
            let ids: Vec<_> = left.iter().map(|l| &l.image.id[7..]).collect();
            assert_eq!(ids, kept, "{filter}");
        }
        for bad in [
            r#"{"dangling":["maybe"]}"#,
            r#"{"before":["nosuch"]}"#,
            r#"{"until":["soon"]}"#,
        ] {
            let filters = Filters::parse(Some(bad), &FILTERS).unwrap();
            assert!(filtered(all(), &filters, 0).is_err(), "{bad}");
        }
    }
}
