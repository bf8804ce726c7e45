//! plenum-cli
