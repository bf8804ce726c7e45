//! What is told of containers, in the words of Docker's events.

use super::record::Container;
use super::view::image;
use crate::events::Events;

/// Something happened to a container: its labels, image and name are told with it, and what else there is.
pub(super) fn tell(
    events: &Events,
    now_ms: u64,
    container: &Container,
    action: &str,
    more: &[(&str, String)],
) {
    let image = image(&container.own.body);
    let mut attributes = container.lowered.terms.labels.clone();
    attributes.insert("image".to_owned(), image.to_owned());
    attributes.insert("name".to_owned(), container.own.name.clone());
    attributes.extend(more.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
    events.container(now_ms, action, &container.own.id, image, attributes);
}
