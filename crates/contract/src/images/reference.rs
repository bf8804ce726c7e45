//! How an image is named: `[registry/]name[:tag][@digest]`, or an id. Pure.

use super::ImageError;
use std::fmt;

/// A name has at most so many characters.
const NAME_MAX: usize = 255;

/// A tag has at most so many characters.
const TAG_MAX: usize = 128;

/// A well-formed reference to an image, as it was written. Safe in the path of a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef(String);

impl ImageRef {
    /// Reads a reference.
    ///
    /// # Errors
    /// `Refused` with what is wrong.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        if is_id(text) {
            return Ok(Self(text.to_owned()));
        }
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = cut_tag(named);
        if name.chars().any(|c| c.is_ascii_uppercase())
            && is_name(&name.to_ascii_lowercase())
            && !is_name(name)
        {
            return Err(refused(
                "invalid reference format: repository name must be lowercase",
            ));
        }
        let good = is_name(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
        if !good {
            return Err(refused("invalid reference format"));
        }
        Ok(Self(text.to_owned()))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is an id with its algorithm (`sha256:...`), which no registry knows.
    #[must_use]
    pub fn is_id(&self) -> bool {
        is_id(&self.0)
    }

    /// The same with `:latest` where it has neither tag nor digest.
    #[must_use]
    pub fn tagged(&self) -> Self {
        if self.is_id() || self.0.contains('@') || cut_tag(&self.0).1.is_some() {
            return self.clone();
        }
        Self(format!("{}:latest", self.0))
    }

    /// Name and tag, where it has these and nothing else.
    #[must_use]
    pub fn name_and_tag(&self) -> Option<(&str, &str)> {
        if self.is_id() || self.0.contains('@') {
            return None;
        }
        let (name, tag) = cut_tag(&self.0);
        Some((name, tag?))
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn refused(why: &str) -> ImageError {
    ImageError::Refused { why: why.to_owned() }
}

/// The tag follows the last colon of the last component: one before is a registry's port.
fn cut_tag(named: &str) -> (&str, Option<&str>) {
    let last = named.rfind('/').map_or(0, |i| i + 1);
    match named[last..].find(':') {
        Some(at) => (&named[..last + at], Some(&named[last + at + 1..])),
        None => (named, None),
    }
}

fn is_id(text: &str) -> bool {
    let hex = |t: &str| {
        t.bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    match text.strip_prefix("sha256:") {
        Some(rest) => (1..=64).contains(&rest.len()) && hex(rest),
        None => text.len() == 64 && hex(text),
    }
}

fn is_name(name: &str) -> bool {
    if name.len() > NAME_MAX {
        return false;
    }
    match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => rest.split('/').all(is_component),
        _ => name.split('/').all(is_component),
    }
}

/// What has a dot, a port or a capital is a registry, not a part of a name.
fn is_registry(first: &str) -> bool {
    let looks =
        first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|b| b.is_ascii_uppercase());
    let (host, port) = match first.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => (host, Some(port)),
        _ => (first, None),
    };
    let v6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host_is_good = match v6 {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    };
    looks && host_is_good && port.is_none_or(|p| p.parse::<u16>().is_ok())
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|b| b.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

/// Letters and digits, with one dot, one or two underscores or any dashes between.
fn is_component(part: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    plain(*first)
        && plain(*last)
        && bytes.split(|b| plain(*b)).all(|between| match between {
            [] | b"." | b"_" | b"__" => true,
            dashes => dashes.iter().all(|b| *b == b'-'),
        })
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut bytes = tag.bytes();
    tag.len() <= TAG_MAX && bytes.next().is_some_and(word) && bytes.all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else {
        return false;
    };
    let named = algorithm
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"+._-".contains(&b));
    let starts = algorithm.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    named && starts && (32..=128).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn what_registries_and_engines_take_is_taken() {
        for good in [
            "busybox",
            "busybox:1.36",
            "library/busy_box__x--y.z:A-b_c.1",
            "localhost/x",
            "127.0.0.1:5000/team/app:1",
            "[::1]:5000/app",
            "Registry.example:443/app",
            "sha256:88ee",
            "88ee67e3d208",
        ] {
            assert_eq!(ImageRef::parse(good).unwrap().as_str(), good);
        }
        for good in [
            format!("app@sha256:{HEX}"),
            format!("app:1@sha256:{HEX}"),
            HEX.to_owned(),
        ] {
            ImageRef::parse(&good).unwrap();
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_engines_words() {
        for bad in [
            "",
            "/",
            "a//b",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a:",
            "a:-",
            "a b",
            "a?x",
            "../x",
            "a/../b",
            "x%2f",
            "app@sha256:12",
            "app@",
            "http://x/y",
            "a:b:c",
            "ü",
        ] {
            let error = ImageRef::parse(bad).unwrap_err();
            assert_eq!(error.to_string(), "invalid reference format", "{bad}");
        }
        let upper = ImageRef::parse("team/App:1").unwrap_err();
        assert!(upper.to_string().ends_with("must be lowercase"));
        assert!(ImageRef::parse(&"a".repeat(NAME_MAX + 1)).is_err());
        assert!(ImageRef::parse(&format!("a:{}", "b".repeat(TAG_MAX + 1))).is_err());
    }

    #[test]
    fn a_name_without_a_tag_means_the_latest() {
        let digest = format!("app@sha256:{HEX}");
        for (given, tagged) in [
            ("app", "app:latest"),
            ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"),
            ("app:1", "app:1"),
            ("sha256:88ee", "sha256:88ee"),
            (digest.as_str(), digest.as_str()),
        ] {
            assert_eq!(ImageRef::parse(given).unwrap().tagged().as_str(), tagged);
        }
        let port = ImageRef::parse("127.0.0.1:5000/app:1").unwrap();
        assert_eq!(port.name_and_tag(), Some(("127.0.0.1:5000/app", "1")));
        assert_eq!(ImageRef::parse("app").unwrap().name_and_tag(), None);
    }
}
