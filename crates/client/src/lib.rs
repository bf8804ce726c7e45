//! plenum-client
