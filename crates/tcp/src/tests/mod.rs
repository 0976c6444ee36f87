//! Tests of the protocol through the harnesses of [`crate::testing`]: scripted peers and pairs in virtual time. Each cites
//! the rows of the requirements that it exercises (`req:` comments).

mod events;
mod extensions;
mod fingerprint;
mod labels;
mod reach;
mod states;
pub(crate) mod witness;
