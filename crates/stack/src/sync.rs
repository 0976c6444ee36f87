//! The primitives through which tasks and threads meet: those of `std`, or with `--cfg netstack_loom` those of the loom
//! model checker, which tries all orders in which they can be used (`models` beside the modules concerned).
//!
//! A name of its own for the cfg, since `--cfg loom` would change Tokio, too. Mere statistics stay with `std`: nothing depends
//! on their order, and each access more multiplies the orders to try.

#[cfg(netstack_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic};
#[cfg(not(netstack_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic};
