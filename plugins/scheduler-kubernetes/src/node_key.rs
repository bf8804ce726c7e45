//! What the two parts share beside HTTP: the key of the nodes' port. The adapter serves that port with the
//! certificate and lets in who holds the token; the embedded API server trusts exactly this certificate and
//! shows the token. Made at the first start, kept in the scheduler's own part of the state store.

use plenum_contract::state_store::{Compare, StateError, StateStore, Write};
use serde::{Deserialize, Serialize};

/// Where it is kept.
const KEY: &str = "node-port/key";
/// The name in the certificate: nodes come and go, so it is no address.
pub const SERVER_NAME: &str = "node.plenum.local";

/// The key of the nodes' port.
#[derive(Clone, Serialize, Deserialize)]
pub struct NodeKey {
    /// The certificate, in PEM; self-signed, for [`SERVER_NAME`].
    pub certificate_pem: String,
    /// Its private key, in PEM.
    pub key_pem: String,
    /// What opens the port, as `Authorization: Bearer`.
    pub token: String,
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeKey(..)")
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum NodeKeyError {
    /// The state store refused.
    #[error("the key of the nodes' port cannot be read or kept")]
    Store(#[from] StateError),
    /// What is kept does not read back.
    #[error("the kept key of the nodes' port is damaged")]
    Damaged(#[from] serde_json::Error),
    /// It could not be made.
    #[error("no certificate for the nodes' port")]
    Make(#[from] rcgen::Error),
}

impl NodeKey {
    /// The key that is kept; made and kept if there is none yet. Two who make it at once get the same.
    ///
    /// # Errors
    /// See [`NodeKeyError`].
    pub async fn of(state: &dyn StateStore) -> Result<Self, NodeKeyError> {
        loop {
            if let Some(kept) = state.get(KEY).await? {
                return Ok(serde_json::from_slice(&kept.value)?);
            }
            let made = Self::make()?;
            let value = serde_json::to_vec(&made)?.into();
            let write = Write::Put(KEY.to_owned(), value);
            match state
                .txn(vec![Compare::Absent(KEY.to_owned())], vec![write])
                .await
            {
                Ok(_) => return Ok(made),
                Err(StateError::Conflict { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn make() -> Result<Self, NodeKeyError> {
        let made = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()])?;
        let random = || uuid::Uuid::new_v4().simple().to_string();
        Ok(Self {
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
            token: random() + &random(),
        })
    }
}
