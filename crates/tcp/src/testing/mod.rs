//! The virtual-time pair.
