//! One suite per contract: an implementation is done when its suite is green. The functions panic on the
//! first promise that does not hold, as tests do; they are called from the tests of each implementation.

pub mod broker;
pub mod ledger_log;
pub mod runtime;
pub mod state_store;
