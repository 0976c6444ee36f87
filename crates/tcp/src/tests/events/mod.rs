//! RFC 9293 3.10: user calls, segment arrivals and timeouts, state by state (rows `S-*`).
