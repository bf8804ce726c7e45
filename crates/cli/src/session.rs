//! What a command that talks to a server has at hand.

use crate::contexts::{self, Target};
use crate::failure::Failure;
use crate::global::GlobalArgs;
use plenum_client::Client;

/// A server and how to print what it says.
pub(crate) struct Session<'a> {
    pub(crate) global: &'a GlobalArgs,
    pub(crate) target: Target,
    pub(crate) client: Client,
}

impl<'a> Session<'a> {
    /// Finds the server; nothing is sent yet.
    pub(crate) fn open(global: &'a GlobalArgs) -> Result<Self, Failure> {
        let target = contexts::target(global.context.as_deref())?;
        let client = target.client()?;
        Ok(Self {
            global,
            target,
            client,
        })
    }
}
