//! runtime-process
