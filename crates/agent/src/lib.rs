//! plenum-agent
