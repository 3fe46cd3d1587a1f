//! A cancel ends a call at once wherever it is, and never looks like the end of its answer.

use crate::clock::Clock;
use crate::net::testing::*;
use crate::net::{Call, Failure, Flow, Proxy, Request};

/// 50 ms is promised; a busy machine gets more.
const AT_ONCE: f64 = 500.0;

/// Cancels a request 60 ms after `ready`, and says how long its end took.
fn cancels(what: &str, request: Request, ready: impl Fn(&Got) -> bool) {
    let (got, call) = start(request);
    if !what.is_empty() {
        got.until(ready);
    }
    sleep_ms(60);
    assert!(got.look(|got| got.outcome.is_none()), "{what}: it ended before the cancel");
    cancel_and_measure(what, &got, &*call);
}

fn cancel_and_measure(what: &str, got: &Record, call: &dyn Call) {
    let at = Clock::default().now();
    call.cancel();
    assert_eq!(got.outcome(), Err(Failure::Cancelled), "{what}");
    let took = got.look(|got| got.ended_at.unwrap().ms_since(at));
    println!("cancel, {what}: {took:.2} ms");
    assert!(took < AT_ONCE, "{what}: {took} ms");
    call.cancel();
}

fn any(_: &Got) -> bool {
    true
}

fn streaming(got: &Got) -> bool {
    got.deliveries > 0
}

#[test]
fn while_the_name_is_looked_up() {
    cancels("resolving", get("http://stuck-cancel.test/"), any);
}

#[test]
fn while_connecting() {
    let backlog = FullBacklog::new();
    cancels("connecting", get(&format!("http://{}/", backlog.address)), any);
}

#[test]
fn in_a_tls_handshake() {
    let server = Server::stalling("");
    cancels("TLS handshake", get(&format!("https://{}/", server.address)), any);
}

#[test]
fn in_a_stalled_connect_proxy() {
    let server = Server::stalling("");
    let mut request = get("http://local.test/");
    request.proxy = Proxy::Url(format!("http://{}", server.address));
    cancels("CONNECT proxy", request, any);
}

#[test]
fn in_a_stalled_upload() {
    let server = Server::start(|_| {
        sleep_ms(2000);
        Ok(())
    });
    cancels("upload", post(&server.url(), vec![b'x'; 50 << 20]), any);
}

#[test]
fn while_waiting_for_the_head() {
    let server = Server::stalling("");
    cancels("waiting for the head", get(&server.url()), any);
    let server = Server::stalling("HTTP/1.1 200 OK\r\ncontent-le");
    cancels("half a head", get(&server.url()), any);
}

#[test]
fn in_the_middle_of_a_body() {
    for (what, reply) in [
        ("fixed body", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"),
        ("close-delimited body", "HTTP/1.1 200 OK\r\n\r\nhello"),
        ("chunked body", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        ("no body yet", "HTTP/1.1 200 OK\r\n\r\n"),
    ] {
        let server = Server::stalling(reply);
        cancels(what, get(&server.url()), |got| got.head.is_some());
    }
}

#[test]
fn in_a_running_and_in_a_flooding_stream() {
    for (what, pause) in [("running stream", 5), ("flooding stream", 0)] {
        let server = Server::start(move |peer| {
            peer.request()?;
            peer.write(SSE_HEAD)?;
            let events = "data: token\n\n".repeat(if pause == 0 { 1000 } else { 1 });
            loop {
                peer.chunk(&events)?;
                sleep_ms(pause);
            }
        });
        let mut request = get(&server.url());
        request.max_response_bytes = u64::MAX;
        cancels(what, request, streaming);
    }
}

#[test]
fn while_the_sink_is_full() {
    let server = Server::stalling("HTTP/1.1 200 OK\r\n\r\nhello");
    let (got, call) = start_with(get(&server.url()), |_| Flow::Full);
    got.until(streaming);
    cancel_and_measure("paused stream", &got, &*call);
}

#[test]
fn at_once_after_the_start() {
    let server = Server::stalling("HTTP/1.1 200 OK\r\n\r\nhello");
    for _ in 0..50 {
        let (got, call) = start(get(&server.url()));
        call.cancel();
        assert_eq!(got.outcome(), Err(Failure::Cancelled));
    }
}

#[test]
fn after_the_end_changes_nothing() {
    let server = Server::replying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let (got, call) = start(get(&server.url()));
    assert_eq!(got.outcome(), Ok(()));
    call.cancel();
    call.resume();
    assert_eq!(fetch(get(&server.url())).1, Ok(()));
    assert_eq!(server.connections(), 1);
}

#[test]
fn closes_the_connection() {
    let (closed, hear) = std::sync::mpsc::channel();
    let server = Server::start(move |peer| {
        peer.request()?;
        peer.write("HTTP/1.1 200 OK\r\n\r\nhello")?;
        peer.wait_for_close();
        closed.send(()).unwrap();
        Ok(())
    });
    let (got, call) = start(get(&server.url()));
    got.until(streaming);
    call.cancel();
    hear.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn virtual_time_waits_for_a_request_until_it_is_let_go() {
    let server = Server::stalling("");
    let clock = Clock::of_instance();
    assert!(clock.begin());
    let (got, call) = start(Request { clock: clock.clone(), ..get(&server.url()) });
    assert!(!clock.is_quiet());
    drop(call);
    assert!(clock.is_quiet() && got.look(|got| got.outcome.is_none()));
}
