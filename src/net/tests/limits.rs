//! Each deadline ends its phase, names it, and lets a healthy stream live.

use crate::clock::Clock;
use crate::error::Phase;
use crate::net::testing::*;
use crate::net::{Failure, Flow, Limits, Proxy, Request};

/// The limit of every test here.
const LIMIT: u64 = 200;

/// Runs a request that must end in `phase`, not before its limit and not long after.
fn times_out(phase: Phase, request: Request) {
    let clock = Clock::default();
    let started = clock.now();
    let (got, _call) =
        start_with(
            request,
            |bytes| {
                if bytes.starts_with(b": ping") { Flow::Quiet } else { Flow::Content }
            },
        );
    assert_eq!(got.outcome(), Err(Failure::Timeout(phase)));
    let took = clock.now().ms_since(started);
    assert!((LIMIT as f64..LIMIT as f64 + 500.0).contains(&took), "{took} ms");
    println!("{}: {:.1} ms after its limit", phase.name(), took - LIMIT as f64);
}

fn limited(url: &str, set: impl FnOnce(&mut Limits)) -> Request {
    let mut request = post(url, "{}");
    set(&mut request.limits);
    request
}

#[test]
fn connect_covers_a_full_backlog() {
    let backlog = FullBacklog::new();
    let url = format!("http://{}/", backlog.address);
    times_out(Phase::Connect, limited(&url, |limits| limits.connect = ms(LIMIT)));
}

#[test]
fn connect_covers_name_lookup() {
    let request = limited("http://stuck-limit.test/", |limits| limits.connect = ms(LIMIT));
    times_out(Phase::Connect, request);
}

#[test]
fn connect_covers_a_stalled_tls_handshake() {
    let server = Server::start(|peer| {
        peer.wait_for_close();
        Ok(())
    });
    let url = format!("https://{}/", server.address);
    times_out(Phase::Connect, limited(&url, |limits| limits.connect = ms(LIMIT)));
}

#[test]
fn connect_covers_a_stalled_proxy() {
    let server = Server::stalling("");
    let mut request = limited("http://local.test/", |limits| {
        limits.connect = ms(LIMIT);
        limits.first_token = ms(1);
    });
    request.proxy = Proxy::Url(format!("http://{}", server.address));
    times_out(Phase::Connect, request);
    assert_eq!(server.requests(), 1);
}

#[test]
fn first_token_covers_a_silent_server() {
    let server = Server::stalling("");
    times_out(
        Phase::FirstToken,
        limited(&server.url(), |limits| {
            limits.connect = ms(5000);
            limits.first_token = ms(LIMIT);
            limits.idle = ms(1);
        }),
    );
}

#[test]
fn first_token_runs_on_a_pooled_connection_and_past_the_head() {
    let server = Server::start(|peer| {
        peer.request()?;
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
        peer.request()?;
        peer.write(SSE_HEAD)?;
        loop {
            peer.chunk(": ping\n\n")?;
            sleep_ms(40);
        }
    });
    assert_eq!(fetch(post(&server.url(), "{}")).1, Ok(()));
    let request = limited(&server.url(), |limits| limits.first_token = ms(LIMIT));
    times_out(Phase::FirstToken, request);
    assert_eq!(server.connections(), 1);
}

#[test]
fn first_token_covers_a_stalled_upload() {
    let server = Server::start(|_| {
        sleep_ms(2000);
        Ok(())
    });
    let mut request = limited(&server.url(), |limits| limits.first_token = ms(LIMIT));
    request.body = vec![b'x'; 50 << 20];
    times_out(Phase::FirstToken, request);
}

#[test]
fn idle_is_not_reset_by_pings() {
    let server = Server::start(|peer| {
        peer.request()?;
        peer.write(SSE_HEAD)?;
        peer.chunk("data: first\n\n")?;
        sleep_ms(40);
        loop {
            peer.chunk(": ping\n\n")?;
            sleep_ms(40);
        }
    });
    times_out(
        Phase::Idle,
        limited(&server.url(), |limits| {
            limits.first_token = ms(5000);
            limits.idle = ms(LIMIT);
        }),
    );
}

#[test]
fn idle_is_nearer_than_the_first_token_limit_it_follows() {
    let server = Server::start(|peer| {
        peer.request()?;
        peer.write(SSE_HEAD)?;
        // Late enough for the reader to have it, and to sleep until the first-token limit.
        sleep_ms(50);
        peer.chunk("data: only\n\n")?;
        peer.wait_for_close();
        Ok(())
    });
    let request = limited(&server.url(), |limits| {
        limits.first_token = ms(10_000);
        limits.idle = ms(LIMIT);
    });
    times_out(Phase::Idle, request);
}

#[test]
fn a_healthy_stream_outlives_idle_and_ends_at_total() {
    let server = Server::start(|peer| {
        peer.request()?;
        peer.write(SSE_HEAD)?;
        loop {
            peer.chunk("data: token\n\n")?;
            sleep_ms(20);
        }
    });
    let request = limited(&server.url(), |limits| {
        limits.idle = ms(120);
        limits.total = Some(Clock::default().now().after_ms(LIMIT));
    });
    times_out(Phase::Total, request);
}

#[test]
fn total_ends_a_flood() {
    let server = Server::start(|peer| {
        peer.request()?;
        peer.write(SSE_HEAD)?;
        let events = "data: token\n\n".repeat(1000);
        loop {
            peer.chunk(&events)?;
        }
    });
    let mut request = limited(&server.url(), |limits| {
        limits.total = Some(Clock::default().now().after_ms(LIMIT));
    });
    request.max_response_bytes = u64::MAX;
    times_out(Phase::Total, request);
}

#[test]
fn a_full_sink_is_not_idleness_of_the_peer() {
    let server = Server::start(|peer| {
        peer.request()?;
        peer.write(SSE_HEAD)?;
        peer.chunk("data: a\n\n")?;
        sleep_ms(300);
        peer.chunk("data: b\n\n")?;
        peer.write("0\r\n\r\n")
    });
    let request = limited(&server.url(), |limits| limits.idle = ms(100));
    let (got, call) = start_with(request, |_| Flow::Full);
    got.until(|got| got.deliveries == 1);
    sleep_ms(350);
    assert!(got.look(|got| got.outcome.is_none()));
    call.resume();
    got.until(|got| got.deliveries == 2);
    call.resume();
    assert_eq!(got.outcome(), Ok(()));
}
