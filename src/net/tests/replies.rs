//! Answers of every shape arrive whole, and what is not whole is an error.

use crate::error::Phase;
use crate::net::testing::*;
use crate::net::{Failure, Flow, Notifier, Proxy, Waker, Woke};

#[test]
fn a_plain_reply() {
    let server = Server::replying("HTTP/1.1 200 OK\r\nX-Id: 7\r\ncontent-length: 5\r\n\r\nhello");
    let (got, outcome) = fetch(get(&server.url()));
    assert_eq!(outcome, Ok(()));
    assert_eq!((got.status(), got.text().as_str()), (Some(200), "hello"));
    got.look(|got| assert_eq!(got.head.as_ref().unwrap().header("x-id"), Some("7")));
}

#[test]
fn a_post_sends_its_headers_and_body() {
    let server = Server::start(|peer| {
        let request = peer.request()?.unwrap();
        peer.write(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", request.len()))?;
        peer.write(&request)
    });
    let mut request = post(&server.url(), "{\"a\":1}");
    request.headers = vec![("Authorization".into(), "Bearer k".into())];
    let (got, outcome) = fetch(request);
    assert_eq!(outcome, Ok(()));
    let echo = got.text();
    assert!(echo.starts_with("POST /v1 HTTP/1.1\r\n"), "{echo}");
    assert!(echo.ends_with("\r\n\r\n{\"a\":1}"), "{echo}");
    assert!(echo.contains("authorization: Bearer k\r\n"), "{echo}");
    assert!(echo.contains("user-agent: zigllms/"), "{echo}");
    assert!(!echo.contains("accept-encoding"), "{echo}");
}

#[test]
fn chunked_and_close_delimited_replies() {
    let server = Server::start(|peer| {
        peer.request()?;
        peer.write(SSE_HEAD)?;
        peer.chunk("data: a\n\n")?;
        peer.chunk("data: b\n\n")?;
        peer.write("0\r\n\r\n")?;
        if peer.request()?.is_some() {
            peer.write("HTTP/1.1 200 OK\r\n\r\nuntil the end")?;
        }
        Ok(())
    });
    let (got, outcome) = fetch(get(&server.url()));
    assert_eq!((outcome, got.text().as_str()), (Ok(()), "data: a\n\ndata: b\n\n"));
    let (got, outcome) = fetch(get(&server.url()));
    assert_eq!((outcome, got.text().as_str()), (Ok(()), "until the end"));
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_dribbled_stream_is_byte_exact() {
    for size in [1, 7] {
        let text: String = (0..200).map(|n| format!("data: {n}\n\n")).collect();
        let sent = text.clone();
        let server = Server::start(move |peer| {
            peer.request()?;
            peer.dribble(SSE_HEAD, size)?;
            let mut body = String::new();
            for event in sent.split_inclusive("\n\n") {
                body += &format!("{:x}\r\n{event}\r\n", event.len());
            }
            peer.dribble(&body, size)?;
            peer.dribble("0\r\n\r\n", size)
        });
        let (got, outcome) = fetch(get(&server.url()));
        assert_eq!((outcome, got.text()), (Ok(()), text), "writes of {size}");
    }
}

#[test]
fn replies_without_a_body() {
    for reply in ["204 No Content\r\n", "200 OK\r\ncontent-length: 0\r\n"] {
        let text: &'static str = Box::leak(format!("HTTP/1.1 {reply}\r\n").into_boxed_str());
        let server = Server::replying(text);
        let (got, outcome) = fetch(get(&server.url()));
        assert_eq!((outcome, got.text().as_str()), (Ok(()), ""), "{reply}");
        assert!(got.status().is_some());
    }
}

#[test]
fn connections_are_kept_and_used_again() {
    let server = Server::replying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    for _ in 0..10 {
        assert_eq!(fetch(post(&server.url(), "x")).1, Ok(()));
    }
    assert_eq!((server.connections(), server.requests()), (1, 10));
}

/// The server takes the second request on a connection and closes without a word, as one does
/// whose keep-alive time ran out just then.
fn closes_second_request(reply_to_retry: &'static str) -> Server {
    Server::start(move |peer| {
        peer.request()?;
        if peer.number == 0 {
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
            peer.request()?;
            return Ok(());
        }
        peer.write(reply_to_retry)
    })
}

#[test]
fn a_stale_connection_is_replaced_once() {
    let server = closes_second_request("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nagain");
    assert_eq!(fetch(post(&server.url(), "1")).1, Ok(()));
    let (got, outcome) = fetch(post(&server.url(), "2"));
    assert_eq!((outcome, got.text().as_str()), (Ok(()), "again"));
    assert_eq!((server.connections(), server.requests()), (2, 3));
}

#[test]
fn a_new_connection_that_dies_is_not_tried_again() {
    let server = Server::start(|peer| peer.request().map(drop));
    let (_, outcome) = fetch(post(&server.url(), "1"));
    assert!(matches!(outcome, Err(Failure::Broken(_))), "{outcome:?}");
    let server = closes_second_request("");
    assert_eq!(fetch(post(&server.url(), "1")).1, Ok(()));
    let (_, outcome) = fetch(post(&server.url(), "2"));
    assert!(matches!(outcome, Err(Failure::Broken(_))), "{outcome:?}");
    assert_eq!(server.connections(), 2);
}

#[test]
fn redirects_and_errors_are_answers() {
    for (status, line) in [(302, "302 Found\r\nlocation: /x"), (500, "500 No"), (429, "429 Slow")] {
        let reply = format!("HTTP/1.1 {line}\r\ncontent-length: 2\r\n\r\nno");
        let server = Server::replying(Box::leak(reply.into_boxed_str()));
        let (got, outcome) = fetch(get(&server.url()));
        assert_eq!((outcome, got.status()), (Ok(()), Some(status)));
        assert_eq!(got.text(), "no");
        assert_eq!(server.requests(), 1);
    }
}

#[test]
fn the_body_cap_is_exact() {
    let fixed = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789";
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n";
    for reply in [fixed, chunked] {
        let server = Server::replying(reply);
        let capped = |most| {
            let mut request = get(&server.url());
            request.max_response_bytes = most;
            fetch(request).1
        };
        assert_eq!(capped(10), Ok(()));
        assert_eq!(capped(9), Err(Failure::TooLarge(9)));
    }
}

#[test]
fn a_cut_off_body_is_an_error() {
    for reply in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\n01234",
    ] {
        let server = Server::start(move |peer| {
            peer.request()?;
            peer.write(reply)
        });
        let (got, outcome) = fetch(get(&server.url()));
        assert!(matches!(outcome, Err(Failure::Broken(_))), "{outcome:?}");
        assert_eq!(got.text(), "01234");
    }
}

#[test]
fn a_reset_is_not_the_end_of_a_body() {
    let server = Server::start(|peer| {
        peer.request()?;
        peer.write("HTTP/1.1 200 OK\r\n\r\nhalf")?;
        sleep_ms(50);
        // Closing with this set resets the connection.
        rustix::net::sockopt::set_socket_linger(&peer.stream, Some(Default::default()))?;
        Ok(())
    });
    let (got, outcome) = fetch(get(&server.url()));
    assert!(matches!(outcome, Err(Failure::Broken(_))), "{outcome:?}");
    assert_eq!(got.text(), "half");
}

#[test]
fn who_closes_while_we_send_is_heard() {
    let server = Server::start(|peer| {
        let mut start = [0; 1024];
        std::io::Read::read(&mut peer.stream, &mut start)?;
        peer.write("HTTP/1.1 413 Too large\r\ncontent-length: 2\r\n\r\nno")
    });
    for _ in 0..20 {
        let mut request = post(&server.url(), "");
        request.body = vec![b'x'; 8 << 20];
        let (got, outcome) = fetch(request);
        assert_eq!((outcome, got.status(), got.text().as_str()), (Ok(()), Some(413), "no"));
    }
    assert_eq!(server.connections(), 20);
}

#[test]
fn an_answer_that_is_over_gets_a_moment_to_end() {
    let server = Server::start(|peer| {
        for last in ["0\r\n\r\n", ""] {
            peer.request()?;
            peer.write(SSE_HEAD)?;
            peer.chunk("data: [DONE]\n\n")?;
            sleep_ms(30);
            peer.write(last)?;
        }
        // Pings do not make it longer.
        loop {
            peer.chunk(": ping\n\n")?;
            sleep_ms(30);
        }
    });
    for outcome in [Ok(()), Err(Failure::Timeout(Phase::Idle))] {
        let (got, _call) = start_with(get(&server.url()), |_| Flow::Over);
        assert_eq!(got.outcome(), outcome);
        assert!(got.text().starts_with("data: [DONE]"));
    }
    assert_eq!((server.connections(), server.requests()), (1, 2));
}

#[test]
fn a_server_that_speaks_tls_is_recognised() {
    let server = Server::replying("\u{15}\u{3}\u{3}\0\u{2}\u{2}\u{16}");
    let Err(Failure::Malformed(why)) = fetch(get(&server.url())).1 else { panic!() };
    assert!(why.contains("https://"), "{why}");
}

#[test]
fn what_is_not_http_is_malformed() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    for reply in ["SSH-2.0-OpenSSH_9.2\r\n\r\n", Box::leak(long.into_boxed_str())] {
        let server = Server::replying(reply);
        let (_, outcome) = fetch(get(&server.url()));
        assert!(matches!(outcome, Err(Failure::Malformed(_))), "{outcome:?}");
    }
}

#[test]
fn unusable_requests_fail_without_showing_secrets() {
    let mut requests = vec![
        get("ftp://user:secret@127.0.0.1/"),
        get("/v1?key=secret"),
        get("http:// secret/"),
        get("http:///secret"),
    ];
    let mut header = get("http://127.0.0.1:1/");
    header.headers = vec![("x-key".into(), "secret\nx".into())];
    requests.push(header);
    let mut socks = get("http://127.0.0.1:1/");
    socks.proxy = Proxy::Url("socks5://user:secret@127.0.0.1:1".into());
    assert!(!format!("{:?}", socks.proxy).contains("secret"));
    requests.push(socks);
    for request in requests {
        let Err(Failure::Invalid(why)) = fetch(request.clone()).1 else {
            panic!("{}", request.url)
        };
        assert!(!why.contains("secret"), "{why}");
    }
}

#[test]
fn names_are_looked_up_once_and_every_address_tried() {
    let server =
        Server::replying("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    let at = |name: &str| get(&format!("http://{name}.test:{}/", server.address.port()));
    assert_eq!(fetch(at("second")).1, Ok(()));
    assert_eq!(fetch(at("counted")).1, Ok(()));
    assert_eq!(fetch(at("counted")).1, Ok(()));
    let (_, outcome) = fetch(at("missing"));
    assert_eq!(outcome, Err(Failure::Dns("missing.test: no such host".into())));
}

#[test]
fn nobody_listening_is_a_connect_failure() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_, outcome) = fetch(get(&format!("http://{address}/")));
    let Err(Failure::Connect(why)) = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("refused"), "{why}");
}

#[test]
fn stop_closes_and_ends_well() {
    let server = Server::start(|peer| {
        peer.request()?;
        peer.write(SSE_HEAD)?;
        loop {
            peer.chunk("data: x\n\n")?;
        }
    });
    let (got, _call) = start_with(get(&server.url()), |_| Flow::Stop);
    assert_eq!(got.outcome(), Ok(()));
    got.look(|got| assert_eq!(got.deliveries, 1));
}

#[test]
fn a_sink_can_wake_the_owner() {
    let server = Server::replying("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let notifier = Notifier::new().unwrap();
    let waker = Waker::new(&notifier, 42);
    let (_got, _call) = start_with(get(&server.url()), move |_| {
        waker.wake();
        Flow::Content
    });
    assert_eq!(notifier.wait(Some(PATIENCE)), Woke::Ready);
    assert_eq!(notifier.take(), Some(42));
}

#[test]
fn a_sink_that_panics_ends_its_call_and_no_other() {
    let server = Server::replying("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let (got, _call) = start_with(get(&server.url()), |_| panic!("a sink that panics on purpose"));
    assert!(matches!(got.outcome(), Err(Failure::Broken(_))));
    assert_eq!(fetch(get(&server.url())).1, Ok(()));
}
