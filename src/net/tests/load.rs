//! Many calls at once, and calls that must not disturb each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::net::testing::*;
use crate::net::{Failure, Flow};

/// Sweeps run for seconds; ZIGLLMS_SWEEP makes them longer.
fn sweep_time() -> Duration {
    let seconds = std::env::var("ZIGLLMS_SWEEP").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(1.5))
}

/// A cancel that comes after its call's end finds the connection in the pool or already serving
/// somebody else, who must not notice.
#[test]
fn late_cancels_do_not_hit_the_next_call_on_the_connection() {
    let server = Server::start(|peer| {
        while peer.request()?.is_some() {
            peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n")?;
            peer.write("0\r\n\r\n")?;
        }
        Ok(())
    });
    let (clock, url) = (Clock::default(), Arc::new(server.url()));
    let until = clock.now().after(sweep_time());
    let (calls, cancelled) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let (clock, url) = (clock.clone(), url.clone());
            let (calls, cancelled) = (calls.clone(), cancelled.clone());
            std::thread::spawn(move || {
                while clock.now() < until {
                    calls.fetch_add(1, Ordering::Relaxed);
                    if thread % 2 == 0 {
                        let (got, outcome) = fetch(get(&url));
                        assert_eq!(outcome, Ok(()), "an innocent call failed");
                        assert_eq!(got.text(), "ok");
                        continue;
                    }
                    // The body came in one piece, so its connection is in the pool while the
                    // sink takes its time, and the cancel comes before the call has ended.
                    let (got, call) = start_with(get(&url), |_| {
                        sleep_ms(2);
                        Flow::Content
                    });
                    got.until(|got| got.deliveries > 0);
                    call.cancel();
                    match got.outcome() {
                        Ok(()) => assert_eq!(got.text(), "ok"),
                        Err(Failure::Cancelled) => {
                            cancelled.fetch_add(1, Ordering::Relaxed);
                        }
                        other => panic!("{other:?}"),
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
    println!("{} calls, {} cancelled in time", count(&calls), count(&cancelled));
    assert!(count(&calls) > 50);
}

#[test]
fn two_hundred_streams_at_once_end_properly() {
    let server = Server::start(|peer| {
        peer.request()?;
        peer.write(SSE_HEAD)?;
        for n in 0..10 {
            peer.chunk(&format!("data: {n}\n\n"))?;
            sleep_ms(20);
        }
        peer.write("0\r\n\r\n")
    });
    let whole: String = (0..10).map(|n| format!("data: {n}\n\n")).collect();
    let running: Vec<_> = (0..200).map(|_| start(get(&server.url()))).collect();
    for (got, _call) in &running {
        assert_eq!(got.outcome(), Ok(()));
        assert_eq!(got.text(), whole);
    }
}

#[test]
fn cancelling_two_hundred_streams_is_quick() {
    let server = Server::start(|peer| {
        peer.request()?;
        peer.write(SSE_HEAD)?;
        loop {
            peer.chunk("data: token\n\n")?;
            sleep_ms(50);
        }
    });
    let running: Vec<_> = (0..200).map(|_| start(get(&server.url()))).collect();
    running.iter().for_each(|(got, _)| got.until(|got| got.deliveries > 0));
    let at = Clock::default().now();
    running.iter().for_each(|(_, call)| call.cancel());
    for (got, _) in &running {
        assert_eq!(got.outcome(), Err(Failure::Cancelled));
    }
    let took = Clock::default().now().ms_since(at);
    println!("200 streams cancelled in {took:.1} ms");
    assert!(took < 1000.0, "{took} ms");
}

#[test]
fn calls_beyond_the_threads_wait_time_out_and_can_be_cancelled() {
    let server = Server::stalling("");
    let blocking: Vec<_> = (0..300).map(|_| start(get(&server.url()))).collect();
    let mut request = get(&server.url());
    request.limits.connect = ms(100);
    let (late, _call) = start(request);
    let (last, last_call) = start(get(&server.url()));
    assert_eq!(late.outcome(), Err(Failure::Timeout(crate::error::Phase::Connect)));
    last_call.cancel();
    assert_eq!(last.outcome(), Err(Failure::Cancelled));
    blocking.iter().for_each(|(_, call)| call.cancel());
    for (got, _) in &blocking {
        assert_eq!(got.outcome(), Err(Failure::Cancelled));
    }
}

#[test]
fn a_full_sink_stops_the_reading() {
    const WHOLE: usize = 32 << 20;
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    let server = Server::start(move |peer| {
        peer.request()?;
        peer.write(&format!("HTTP/1.1 200 OK\r\ncontent-length: {WHOLE}\r\n\r\n"))?;
        let piece = "x".repeat(1 << 16);
        while counter.fetch_add(piece.len(), Ordering::SeqCst) < WHOLE {
            peer.write(&piece)?;
        }
        peer.wait_for_close();
        Ok(())
    });
    let (got, call) = start_with(get(&server.url()), |_| Flow::Full);
    got.until(|got| got.deliveries == 1);
    sleep_ms(200);
    assert!(got.look(|got| got.deliveries) == 1, "it was read on");
    // What the kernel buffers on both sides, and no more.
    assert!(sent.load(Ordering::SeqCst) < WHOLE);
    let mut deliveries = 1;
    while got.look(|got| got.outcome.is_none()) {
        call.resume();
        got.until(|got| got.deliveries > deliveries || got.outcome.is_some());
        deliveries = got.look(|got| got.deliveries);
    }
    assert_eq!(got.outcome(), Ok(()));
    assert_eq!(got.look(|got| got.bytes.len()), WHOLE);
}

#[test]
fn one_full_sink_does_not_hold_up_the_others() {
    let flood = Server::start(|peer| {
        peer.request()?;
        peer.write("HTTP/1.1 200 OK\r\n\r\n")?;
        let piece = "x".repeat(1 << 16);
        loop {
            peer.write(&piece)?;
        }
    });
    let (full, full_call) = start_with(get(&flood.url()), |_| Flow::Full);
    full.until(|got| got.deliveries == 1);
    let mut endless = get(&flood.url());
    endless.max_response_bytes = u64::MAX;
    let (_flooded, flood_call) = start_with(endless, |_| Flow::Quiet);
    let server = Server::replying(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    for _ in 0..20 {
        assert_eq!(fetch(get(&server.url())).1, Ok(()));
    }
    full_call.cancel();
    flood_call.cancel();
}
