//! TCP Fast Open (RFC 7413).

mod active;
mod passive;
mod streams;

use netstack_wire::tcp::FastOpenCookie;

use super::config;
use crate::config::TcpConfig;
use crate::fast_open::FastOpenOffer;

/// The cookie of the scripts, as their notation has it.
const COOKIE: &str = "cookie 0707070707070707";

fn cookie() -> FastOpenCookie {
    FastOpenCookie::new(&[7; 8]).unwrap()
}

/// What a client knows of a server that it has been to before.
fn offer(mss: u16) -> FastOpenOffer {
    FastOpenOffer { cookie: Some(cookie()), mss: Some(mss) }
}

/// Without timestamps: the scripts tell the options.
fn bare() -> TcpConfig {
    let mut config = config();
    config.timestamps(false);
    config
}
