//! The embedded API server: kinds, verbs, watches and their storage.
