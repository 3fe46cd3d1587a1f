//! Through real sockets.

use std::io::{Read, Write};

use super::*;
use crate::net::testing::{PATIENCE, sleep_ms};
use crate::net::workers::{exit_child, fork};

const GET: &str = "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n";
const LAST_GET: &str = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";

fn server(replies: Vec<Reply>) -> Server {
    let scripted = |reply| Response::Scripted(Arc::new(reply));
    let script = Script::new(replies.into_iter().map(scripted).collect(), true);
    Server::start(script, Dialect::OpenAi, &Clock::default()).unwrap()
}

fn text(body: &str) -> Reply {
    Reply { body: Body::Whole(body.into()), ..Reply::default() }
}

fn chunks(pieces: &[&str]) -> Reply {
    let body = Body::Chunks(pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect());
    Reply { body, ..Reply::default() }
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that comes until the connection ends, and how it ended.
fn rest(stream: &mut TcpStream) -> (String, io::Result<()>) {
    let mut all = Vec::new();
    let ended = stream.read_to_end(&mut all).map(drop);
    (String::from_utf8_lossy(&all).into_owned(), ended)
}

/// Reads until that has come; false if it never does.
fn up_to(stream: &mut TcpStream, end: &str) -> bool {
    let (mut all, mut byte) = (Vec::new(), [0]);
    while !all.ends_with(end.as_bytes()) {
        if stream.read_exact(&mut byte).is_err() {
            return false;
        }
        all.push(byte[0]);
    }
    true
}

fn exchange(server: &Server, request: &str) -> (String, io::Result<()>) {
    let mut stream = connect(server);
    stream.write_all(request.as_bytes()).unwrap();
    rest(&mut stream)
}

fn body_of(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let server = server(vec![text("first"), text("second")]);
    let (answers, ended) = exchange(&server, &[GET, LAST_GET].concat());
    assert!(ended.is_ok());
    let (first, second) = answers.split_once("first").unwrap();
    assert_eq!(first, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(body_of(second), "second");
    let paths: Vec<String> = server.entries().iter().map(|entry| entry.path.clone()).collect();
    assert_eq!(paths, ["/v1/models", "/"]);
}

#[test]
fn chunks_are_cut_where_the_script_cuts_them() {
    let server = server(vec![chunks(&["ab", "", "c"])]);
    let (answer, _) = exchange(&server, LAST_GET);
    assert!(answer.contains("transfer-encoding: chunked"));
    assert_eq!(body_of(&answer), "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
    let (old, _) = exchange(&server, "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(body_of(&old), "abc");
}

#[test]
fn a_body_ends_early_or_lies_about_its_length() {
    let cut = Reply { close_after: Some(3), ..text("hello") };
    let cut_chunk = Reply { close_after: Some(3), ..chunks(&["ab", "cd"]) };
    let length = vec![("Content-Length".to_owned(), "99".to_owned())];
    let lie = Reply { headers: length, ..text("hello") };
    let server = server(vec![cut, cut_chunk, lie]);
    let (answer, _) = exchange(&server, GET);
    assert!(answer.contains("content-length: 5") && answer.ends_with("hel"));
    let (answer, _) = exchange(&server, GET);
    assert_eq!(body_of(&answer), "2\r\nab\r\n2\r\nc");
    let (answer, _) = exchange(&server, GET);
    assert!(answer.contains("Content-Length: 99\r\n") && answer.ends_with("\r\n\r\nhello"));
}

#[test]
fn a_reset_comes_before_an_answer_or_in_the_middle_of_it() {
    let middle = Reply { reset: true, stall: Duration::from_millis(30), ..text("part") };
    let server = server(vec![Reply { reset: true, silent: true, ..Reply::default() }, middle]);
    let (answer, ended) = exchange(&server, GET);
    assert_eq!((answer.as_str(), ended.unwrap_err().kind()), ("", io::ErrorKind::ConnectionReset));
    let (answer, ended) = exchange(&server, GET);
    assert!(answer.ends_with("part\r\n"), "{answer}");
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn bodies_come_with_a_length_in_chunks_or_after_leave() {
    let server = server(vec![text("ok")]);
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
                   3\r\n{\"a\r\n4;x=y\r\n\":1}\r\n0\r\nTrailer: x\r\n\r\n";
    exchange(&server, chunked).1.unwrap();
    let mut stream = connect(&server);
    let head =
        "POST / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut leave = [0; 25];
    stream.read_exact(&mut leave).unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").unwrap();
    assert!(rest(&mut stream).0.ends_with("ok"));
    let bodies: Vec<Vec<u8>> = server.entries().iter().map(|entry| entry.body.clone()).collect();
    assert_eq!(bodies, [b"{\"a\":1}".to_vec(), b"body".to_vec()]);
}

#[test]
fn what_is_no_request_is_refused_in_words() {
    let server = server(vec![text("ok")]);
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    for (request, status) in [
        ("hello\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", 413),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (long.as_str(), 431),
    ] {
        let (answer, ended) = exchange(&server, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.40}: {answer}");
        assert!(ended.is_ok());
    }
    assert_eq!(server.count(), 0);
}

#[test]
fn a_script_that_is_over_says_so() {
    let script = Script::new(vec![Response::Scripted(Arc::new(text("ok")))], false);
    let server = Server::start(script, Dialect::OpenAi, &Clock::default()).unwrap();
    exchange(&server, LAST_GET).1.unwrap();
    let (answer, _) = exchange(&server, LAST_GET);
    assert!(answer.starts_with("HTTP/1.1 410 Gone") && answer.contains("has 1 response,"));
    server.rewind();
    assert_eq!(body_of(&exchange(&server, LAST_GET).0), "ok");
    assert_eq!(server.count(), 1);
}

#[test]
fn its_end_closes_the_port_and_every_connection_at_once() {
    let stalling = Reply { stall: Duration::from_secs(600), ..chunks(&["part"]) };
    let server = server(vec![stalling]);
    let (mut stalled, mut idle) = (connect(&server), connect(&server));
    stalled.write_all(GET.as_bytes()).unwrap();
    assert!(up_to(&mut stalled, "4\r\npart\r\n"));
    let (address, clock) = (server.address, Clock::default());
    let began = clock.now();
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    assert!(rest(&mut stalled).0.is_empty());
    assert!(rest(&mut idle).0.is_empty());
    assert!(clock.now().ms_since(began) < 2_000.0);
}

#[test]
fn a_client_that_hangs_up_ends_the_wait_for_it() {
    let late = Reply { delay: Duration::from_secs(600), ..text("late") };
    let server = server(vec![late]);
    let mut stream = connect(&server);
    stream.write_all(GET.as_bytes()).unwrap();
    while server.count() == 0 {
        sleep_ms(1);
    }
    drop(stream);
    for _ in 0..2_000 {
        if lock(&server.shared.state).peers.is_empty() {
            return;
        }
        sleep_ms(1);
    }
    panic!("its thread still waits");
}

#[test]
fn a_function_is_asked_and_its_answer_sent() {
    let script = Script::new(vec![Response::Asked], true);
    let server = Server::start(script, Dialect::OpenAi, &Clock::default()).unwrap();
    let notifier = crate::net::Notifier::new().unwrap();
    server.tell(Waker::new(&notifier, 7));
    let mut stream = connect(&server);
    stream.write_all(LAST_GET.as_bytes()).unwrap();
    notifier.wait(Some(PATIENCE));
    assert_eq!(notifier.take(), Some(7));
    let question = server.question().unwrap();
    assert_eq!((question.place, question.entry.path.as_str()), (0, "/"));
    assert!(server.question().is_none());
    server.answer(question.id, Response::Scripted(Arc::new(text("asked"))));
    assert_eq!(body_of(&rest(&mut stream).0), "asked");
}

#[test]
fn a_forked_child_neither_serves_nor_hangs() {
    let server = server(vec![text("ok")]);
    let Some(child) = fork() else {
        let here = server.is_here();
        drop(server);
        exit_child(i32::from(here));
    };
    let status = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
    assert_eq!(status.unwrap().unwrap().1.exit_status(), Some(0));
    assert_eq!(body_of(&exchange(&server, LAST_GET).0), "ok");
}

#[test]
fn fifty_clients_are_served_side_by_side() {
    let slow =
        Reply { chunk_delay: Duration::from_millis(20), ..chunks(&["a", "b", "c", "d", "e"]) };
    let server = server(vec![slow]);
    let clock = Clock::default();
    let began = clock.now();
    let mut clients: Vec<TcpStream> = (0..50).map(|_| connect(&server)).collect();
    clients.iter_mut().for_each(|client| client.write_all(LAST_GET.as_bytes()).unwrap());
    for client in &mut clients {
        assert!(rest(client).0.ends_with("1\r\ne\r\n0\r\n\r\n"));
    }
    assert!(clock.now().ms_since(began) < 3_000.0, "one after the other it takes four seconds");
}
