//! Tests over real loopback sockets.

mod cancel;
mod fork;
mod guard;
mod limits;
mod load;
mod replies;
mod tls;
