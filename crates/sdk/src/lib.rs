//! plenum-sdk
