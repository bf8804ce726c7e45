//! plenum-gateway
