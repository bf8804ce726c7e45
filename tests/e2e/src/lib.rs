//! End-to-end tests of Plenum; all of it is in `tests/`.
