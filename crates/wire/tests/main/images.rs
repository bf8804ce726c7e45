//! The images of a node, through `Streams` on both sides of the wire.

use crate::fake_images::{FakeImages, detail, events, every_error, pieces, summary};
use crate::nouns::node_id;
use crate::wired::{Fakes, Wired, soon};
use bytes::Bytes;
use futures::stream::{StreamExt, TryStreamExt, iter};
use plenum_contract::error::Classified;
use plenum_contract::images::carried::NodeImages;
use plenum_contract::images::reference::ImageRef;
use plenum_contract::images::{
    ImageError, ImageSummary, Images, PullRequest, RegistryAuth, Removal, Removed,
};
use plenum_contract::streams::Streams;
use plenum_wire::RemoteStreams;
use std::sync::Arc;

/// The same test in process and over the wire.
macro_rules! both {
    ($($name:ident)*) => {$(
        mod $name {
            #[tokio::test]
            async fn in_process() {
                let fakes = super::Fakes::default();
                super::$name(fakes.streams.clone(), &fakes.streams.images).await;
            }

            #[tokio::test]
            async fn over_the_wire() {
                let wired = super::Wired::start().await;
                let streams = super::RemoteStreams::new(wired.channel.clone());
                super::$name(super::Arc::new(streams), &wired.fakes.streams.images).await;
            }
        }
    )*};
}

both! {
    what_is_short_is_answered_whole
    errors_keep_their_class_and_their_fields
    a_pull_carries_its_password_and_tells_how_it_goes_on
    an_archive_goes_both_ways_whole
    an_archive_that_breaks_is_never_taken_for_whole
}

fn on(streams: Arc<dyn Streams>, node: usize) -> NodeImages {
    NodeImages::new(streams, node_id(node), "docker")
}

fn image(text: &str) -> ImageRef {
    ImageRef::parse(text).unwrap()
}

async fn what_is_short_is_answered_whole(streams: Arc<dyn Streams>, _: &Arc<FakeImages>) {
    let node = on(streams, 1);
    let listed = soon("the list", node.list()).await.unwrap();
    assert_eq!(listed, [summary(), ImageSummary::default()]);
    assert_eq!(
        soon("the image", node.inspect(&image("a:1"))).await.unwrap(),
        detail()
    );
    soon("the name", node.tag(&image("a:1"), &image("b:2")))
        .await
        .unwrap();
    let removal = Removal {
        force: true,
        keep_parents: false,
    };
    let removed = soon("the removal", node.remove(&image("a:1"), removal))
        .await
        .unwrap();
    let untagged = Removed::Untagged(format!("a:1 {removal:?}"));
    assert_eq!(removed, [untagged, Removed::Deleted("sha256:aa".into())]);
}

async fn errors_keep_their_class_and_their_fields(streams: Arc<dyn Streams>, _: &Arc<FakeImages>) {
    for (n, expected) in every_error().into_iter().enumerate() {
        let asked = image(&format!("error:{n}"));
        let error = soon("the error", on(Arc::clone(&streams), 1).inspect(&asked))
            .await
            .unwrap_err();
        assert_eq!((&error, error.class()), (&expected, expected.class()));
    }
    let nowhere = soon("the error", on(streams, 2).list()).await.unwrap_err();
    assert!(matches!(nowhere, ImageError::Unavailable { .. }), "{nowhere:?}");
}

async fn a_pull_carries_its_password_and_tells_how_it_goes_on(
    streams: Arc<dyn Streams>,
    fake: &Arc<FakeImages>,
) {
    let pull = PullRequest {
        image: image("127.0.0.1:5000/a:1"),
        platform: Some("linux/arm64".into()),
        auth: Some(RegistryAuth {
            username: Some("u".into()),
            password: Some("p".into()),
            server: Some("s".into()),
            identity_token: Some("i".into()),
            registry_token: Some("r".into()),
        }),
    };
    let told = on(streams, 1).pull(pull.clone()).await.unwrap();
    let told: Vec<_> = soon("the news", told.collect()).await;
    let mut expected: Vec<_> = events().into_iter().map(Ok).collect();
    expected.push(Err(every_error().remove(6)));
    assert_eq!(told, expected);
    assert_eq!(*fake.pulls.lock().unwrap(), [pull]);
}

async fn an_archive_goes_both_ways_whole(streams: Arc<dyn Streams>, fake: &Arc<FakeImages>) {
    let node = on(streams, 1);
    let archive = iter(pieces().into_iter().map(Ok)).boxed();
    let told = soon("the load", node.load(archive)).await.unwrap();
    let told: Vec<_> = soon("the news", told.try_collect()).await.unwrap();
    assert_eq!(told, events());
    let whole = pieces().concat();
    assert_eq!(fake.loaded.lock().unwrap().concat(), whole);
    let saved = node.save(&[image("a:1"), image("b:2")]).await.unwrap();
    let saved: Vec<Bytes> = soon("the archive", saved.try_collect()).await.unwrap();
    assert_eq!(saved.concat(), whole);
    let Err(missing) = node.save(&[image("c:3")]).await else {
        panic!("it was saved")
    };
    assert_eq!(missing, ImageError::NotFound { image: "c:3".into() });
}

async fn an_archive_that_breaks_is_never_taken_for_whole(streams: Arc<dyn Streams>, fake: &Arc<FakeImages>) {
    let broken = iter([Ok(Bytes::from_static(b"half")), Err(every_error().remove(5))]).boxed();
    let told = on(streams, 1).load(broken).await.unwrap();
    let told: Vec<_> = soon("the error", told.collect()).await;
    assert_eq!(told, [Err(every_error().remove(5))]);
    assert!(fake.loaded.lock().unwrap().is_empty());
}
