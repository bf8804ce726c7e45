//! Pure rules on Kubernetes objects as JSON: schema, decoding, patches, apply, validation. No I/O.
