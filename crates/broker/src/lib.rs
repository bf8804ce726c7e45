//! plenum-broker
