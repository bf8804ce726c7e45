//! Objects as the adapter and the controllers follow them: read without their managed fields, which nobody here
//! looks at and which are a third of a pod's bytes and most of its memory.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::ApiResource;
use kube::core::DynamicResourceScope;
use kube::runtime::watcher::Event;
use serde::de::value::CowStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use std::borrow::Cow;
use std::fmt;

/// The field of objects that leads to the one that is left out.
const METADATA: &str = "metadata";
const MANAGED_FIELDS: &str = "managedFields";

/// A pod.
#[derive(Debug, Clone)]
pub(crate) struct LeanPod(pub(crate) Pod);

/// What every object has, whatever its kind.
#[derive(Debug, Clone, Deserialize)]
struct Meta {
    #[serde(default)]
    metadata: ObjectMeta,
}

/// An object of any kind, its metadata alone.
#[derive(Debug, Clone)]
pub(crate) struct LeanMeta(pub(crate) ObjectMeta);

impl LeanPod {
    /// The same event of what `make` makes of the pod.
    pub(crate) fn event(event: Event<Self>, make: impl Fn(Pod) -> Pod) -> Event<Pod> {
        match event {
            Event::Apply(pod) => Event::Apply(make(pod.0)),
            Event::Delete(pod) => Event::Delete(make(pod.0)),
            Event::Init => Event::Init,
            Event::InitApply(pod) => Event::InitApply(make(pod.0)),
            Event::InitDone => Event::InitDone,
        }
    }
}

impl<'de> Deserialize<'de> for LeanPod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Pod::deserialize(Lean::object(deserializer)).map(Self)
    }
}

impl<'de> Deserialize<'de> for LeanMeta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Meta::deserialize(Lean::object(deserializer)).map(|it| Self(it.metadata))
    }
}

impl Resource for LeanPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        Pod::kind(&())
    }

    fn group(_: &()) -> Cow<'_, str> {
        Pod::group(&())
    }

    fn version(_: &()) -> Cow<'_, str> {
        Pod::version(&())
    }

    fn plural(_: &()) -> Cow<'_, str> {
        Pod::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.0.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.0.metadata
    }
}

impl Resource for LeanMeta {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(of: &ApiResource) -> Cow<'_, str> {
        of.kind.as_str().into()
    }

    fn group(of: &ApiResource) -> Cow<'_, str> {
        of.group.as_str().into()
    }

    fn version(of: &ApiResource) -> Cow<'_, str> {
        of.version.as_str().into()
    }

    fn api_version(of: &ApiResource) -> Cow<'_, str> {
        of.api_version.as_str().into()
    }

    fn plural(of: &ApiResource) -> Cow<'_, str> {
        of.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.0
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.0
    }
}

/// Which part of an object is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Object,
    Metadata,
}

/// Whatever reads an object, told nothing of its managed fields. It stands in front of the object itself and of its
/// metadata; all below is read as it is.
struct Lean<T> {
    inner: T,
    part: Part,
}

impl<T> Lean<T> {
    fn object(inner: T) -> Self {
        let part = Part::Object;
        Self { inner, part }
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Lean<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Lean {
            inner: visitor,
            part: self.part,
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_option(Lean {
            inner: visitor,
            part: self.part,
        })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Lean<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Lean {
            inner: deserializer,
            part: self.part,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        let fields = Fields {
            map,
            of: self.part,
            next: None,
        };
        self.inner.visit_map(fields)
    }
}

/// The fields of an object or of its metadata.
struct Fields<A> {
    map: A,
    of: Part,
    /// What of the object the next value is, if it is not read as it is.
    next: Option<Part>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(Name(name)) = self.map.next_key()? {
            if self.of == Part::Metadata && name == MANAGED_FIELDS {
                self.map.next_value::<IgnoredAny>()?;
                continue;
            }
            let leads = self.of == Part::Object && name == METADATA;
            self.next = leads.then_some(Part::Metadata);
            return seed.deserialize(CowStrDeserializer::new(name)).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        match self.next {
            Some(part) => self.map.next_value_seed(Lean { inner: seed, part }),
            None => self.map.next_value_seed(seed),
        }
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Lean<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Lean {
            inner: deserializer,
            part: self.part,
        })
    }
}

/// The name of a field, borrowed from the text where that is possible.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(name.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::WatchEvent;
    use serde_json::json;

    fn pod() -> serde_json::Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "a", "uid": "u", "labels": {"managedFields": "stays"},
                "managedFields": [{"manager": "m", "operation": "Update", "fieldsV1": {"f:spec": {}}}],
                "finalizers": ["f"],
            },
            "spec": {"containers": [{"name": "c", "image": "i"}]},
            "status": {"phase": "Running"},
        })
    }

    #[test]
    fn a_pod_is_what_it_is_but_for_its_managed_fields() {
        let mut whole: Pod = serde_json::from_value(pod()).unwrap();
        assert!(whole.metadata.managed_fields.take().is_some());
        let text = json!({"type": "MODIFIED", "object": pod()}).to_string();
        let event: WatchEvent<LeanPod> = serde_json::from_str(&text).unwrap();
        let WatchEvent::Modified(LeanPod(lean)) = event else {
            panic!("{event:?}")
        };
        assert_eq!(lean, whole);
        let LeanPod(lean) = serde_json::from_value(pod()).unwrap();
        assert_eq!(lean, whole);
        assert!(serde_json::from_str::<LeanPod>(r#"{"spec": 1}"#).is_err());
    }

    #[test]
    fn of_any_object_the_metadata_is_read_alone() {
        let LeanMeta(meta) = serde_json::from_str(&pod().to_string()).unwrap();
        assert_eq!(meta.name.as_deref(), Some("a"));
        assert_eq!(meta.finalizers, Some(vec!["f".to_owned()]));
        assert_eq!(meta.managed_fields, None);
    }
}
