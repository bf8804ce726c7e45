//! What a path under `/v2/groups/` means.

use super::request::checked;
use crate::path::AppId;
use crate::refusal::Refusal;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GroupPath {
    /// `ID`
    Group(AppId),
    /// `ID/apps`
    Apps(AppId),
    /// `ID/versions`
    Versions(AppId),
    /// `ID/versions/VERSION`
    Version(AppId, String),
}

impl GroupPath {
    /// Reads the unescaped path behind `/v2/groups/`.
    pub(super) fn parse(path: &str) -> Result<Self, Refusal> {
        checked(path)?;
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let id = |behind: usize| AppId::from_root(&segments[..segments.len() - behind].join("/"));
        Ok(match segments.as_slice() {
            [.., "apps"] => Self::Apps(id(1)),
            [.., "versions"] => Self::Versions(id(1)),
            [.., "versions", version] => Self::Version(id(2), (*version).to_owned()),
            _ => Self::Group(id(0)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_is_asked_of_which_group() {
        let id = AppId::from_root;
        for (path, means) in [
            ("", GroupPath::Group(id("/"))),
            ("shop", GroupPath::Group(id("shop"))),
            ("//shop//back/", GroupPath::Group(id("shop/back"))),
            ("apps", GroupPath::Apps(id("/"))),
            ("shop/apps", GroupPath::Apps(id("shop"))),
            ("versions", GroupPath::Versions(id("/"))),
            ("shop/back/versions", GroupPath::Versions(id("shop/back"))),
            ("versions/v", GroupPath::Version(id("/"), "v".into())),
            ("shop/versions/v", GroupPath::Version(id("shop"), "v".into())),
        ] {
            assert_eq!(GroupPath::parse(path), Ok(means), "{path}");
        }
        assert_eq!(GroupPath::parse("{"), Err(Refusal::BadUri));
    }
}
