//! Requests that may connect to some addresses only.

use std::net::{IpAddr, TcpListener};

use super::super::testing::{Server, get, start};
use super::super::{Failure, Guard, Request};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn only(url: &str, admitted: &'static str) -> Request {
    let admitted: IpAddr = admitted.parse().unwrap();
    Request { guard: Guard::new(move |_, address| address == admitted), ..get(url) }
}

fn end(request: Request) -> Result<(), Failure> {
    start(request).0.outcome()
}

/// A listener beside a server's, on the same port of another address.
fn beside(server: &Server) -> TcpListener {
    let listener = TcpListener::bind(("127.0.0.2", server.address.port())).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

#[test]
fn a_name_leads_to_the_admitted_addresses_only() {
    let server = Server::replying(OK);
    let inner = beside(&server);
    let url = format!("http://mixed-guard.test:{}/", server.address.port());
    assert_eq!(end(only(&url, "127.0.0.1")), Ok(()));
    assert!(inner.accept().is_err(), "the forbidden address was connected to");
    let forbidden: IpAddr = "127.0.0.2".parse().unwrap();
    assert_eq!(end(only(&url, "10.0.0.1")), Err(Failure::Forbidden(forbidden)));
    assert!(inner.accept().is_err());
    assert_eq!(server.connections(), 1);
}

#[test]
fn every_spelling_of_an_address_is_asked_about() {
    let server = Server::replying(OK);
    let port = server.address.port();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost", "[::1]"] {
        let outcome = end(only(&format!("http://{host}:{port}/"), "10.0.0.1"));
        assert!(matches!(outcome, Err(Failure::Forbidden(_))), "{host}: {outcome:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn no_connection_of_an_unguarded_request_is_used() {
    let server = Server::replying(OK);
    let url = format!("http://mixed-pool.test:{}/", server.address.port());
    // Nobody listens on the first address of that name: the second one is taken.
    assert_eq!(end(get(&url)), Ok(()));
    assert!(matches!(end(only(&url, "10.0.0.1")), Err(Failure::Forbidden(_))));
    assert_eq!(end(only(&url, "127.0.0.1")), Ok(()));
    assert_eq!(server.connections(), 2);
}
