//! What every HTTP door needs and no orchestrator defines. A door is an axum `Router` that is guarded by
//! [`guard::guard`] and served by [`serve::serve`]; how its errors look is the door's own ([`refuse::Refuse`]).

pub mod guard;
pub mod hosts;
pub mod hub;
pub mod lenient;
pub mod listen;
pub mod nearest;
pub mod path;
pub mod refuse;
pub mod serve;
pub mod sse;
#[cfg(test)]
mod tests;
