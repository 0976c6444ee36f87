//! What every controller keeps, NewReno by tables, and the path that the controllers' tests share.

mod edges;
mod new_reno;
pub(super) mod path;
mod suite;
