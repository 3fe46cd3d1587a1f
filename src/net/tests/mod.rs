//! Tests over real loopback sockets.

mod replies;
