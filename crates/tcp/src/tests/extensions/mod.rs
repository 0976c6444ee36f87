//! The other RFCs: timers, congestion, options, attacks, TIME-WAIT.
