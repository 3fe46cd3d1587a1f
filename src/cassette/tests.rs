//! A tape, its file and its secrets, without a network.

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::clean;
use super::compare;
use super::file;
use super::player::Player;
use super::recorder::Recorder;
use super::tape::{Entry, Exchange, Tape};
use crate::clock::Clock;
use crate::error::Phase;
use crate::net::{
    Call, Failure, Flow, Guard, Head, Limits, Proxy, Request, Roots, Sink, Transport, lock,
};
use crate::provider::secret::{Redactor, Secret};

type Outcome = Result<(), Failure>;

/// What a sink got.
#[derive(Default)]
struct Got {
    status: u16,
    pieces: Vec<String>,
    end: Option<Outcome>,
}

#[derive(Clone, Default)]
struct Ear {
    got: Arc<Mutex<Got>>,
    follows: bool,
}

impl Sink for Ear {
    fn head(&mut self, head: Head) {
        lock(&self.got).status = head.status;
    }

    fn data(&mut self, bytes: &[u8]) -> Flow {
        lock(&self.got).pieces.push(String::from_utf8_lossy(bytes).into_owned());
        Flow::Content
    }

    fn is_followed(&self) -> bool {
        self.follows
    }

    fn end(self: Box<Self>, outcome: Outcome) {
        lock(&self.got).end = Some(outcome);
    }
}

/// A network that says the same to everybody.
struct Echo(Vec<&'static str>, Outcome);

struct Nothing;

impl Call for Nothing {
    fn cancel(&self) {}
    fn resume(&self) {}
}

impl Transport for Echo {
    fn start(&self, _: Request, mut sink: Box<dyn Sink>) -> Box<dyn Call> {
        let headers = vec![("Set-Cookie".to_owned(), "id=CANARY-cookie".to_owned())];
        sink.head(Head { status: 200, headers });
        for piece in &self.0 {
            sink.data(piece.as_bytes());
        }
        sink.end(self.1.clone());
        Box::new(Nothing)
    }
}

fn request(url: &str, body: Value) -> Request {
    Request {
        method: "POST",
        url: url.into(),
        headers: vec![("Authorization".into(), "Bearer sk-CANARY-1".into())],
        body: body.to_string().into_bytes(),
        limits: Limits::default(),
        max_response_bytes: 1 << 20,
        proxy: Proxy::None,
        roots: Roots::Platform,
        guard: Guard::default(),
        clock: Clock::default(),
    }
}

const URL: &str = "https://user:CANARY-pw@host.test/v1?api_key=CANARY-q&q=Berlin";

fn record(network: Echo, requests: &[Request]) -> Tape {
    let recorder = Recorder::new(Arc::new(network), &Clock::default(), 5.0, true, Vec::new());
    for request in requests {
        recorder.start(request.clone(), Box::new(Ear::default()));
    }
    recorder.finish(Vec::new()).unwrap()
}

fn player(tape: &Tape) -> Player {
    Player::new(tape.clone(), "/x/run.cassette".into(), Vec::new())
}

fn play(player: &Player, request: Request) -> Got {
    let ear = Ear::default();
    player.start(request, Box::new(ear.clone()));
    std::mem::take(&mut lock(&ear.got))
}

fn hi() -> Value {
    json!({ "messages": [{ "content": "my key is sk-CANARY-1" }], "n": 1 })
}

#[test]
fn what_was_recorded_is_written_read_and_played() {
    let tape = record(Echo(vec!["one ", "two"], Ok(())), &[request(URL, hi())]);
    let text = file::text_of(&tape);
    assert!(!text.contains("CANARY"), "{text}");
    assert!(text.contains("POST https://host.test/v1?api_key=<secret>&q=Berlin"), "{text}");
    let read = file::read(text.as_bytes()).unwrap();
    assert_eq!(read.recorded_at, 5.0);
    let body = json!({ "n": 1.0, "messages": [{ "content": "my key is another" }] });
    let got = play(&player(&read), request("https://host.test/v1?api_key=x&q=Berlin", body));
    assert_eq!((got.status, got.end), (200, Some(Ok(()))));
    assert_eq!(got.pieces, ["one ", "two"]);
}

#[test]
fn a_follower_gets_a_piece_at_a_time() {
    let tape = record(Echo(vec!["one", "two"], Ok(())), &[request(URL, hi())]);
    let ear = Ear { follows: true, ..Ear::default() };
    let call = player(&tape).start(request(URL, hi()), Box::new(ear.clone()));
    assert!(call.is_paced());
    for count in [1, 2] {
        assert_eq!(lock(&ear.got).pieces.len(), count);
        assert_eq!(lock(&ear.got).end, None);
        call.resume();
    }
    assert_eq!(lock(&ear.got).end, Some(Ok(())));
}

#[test]
fn failures_come_back_as_they_were() {
    for failure in [
        Failure::Timeout(Phase::Idle),
        Failure::Dns("no such host".into()),
        Failure::Connect("refused".into()),
        Failure::Tls("UnknownIssuer".into()),
        Failure::Broken("reset".into()),
        Failure::Forbidden("10.0.0.1".parse().unwrap()),
        Failure::TooLarge(5),
        Failure::Malformed("no".into()),
        Failure::Invalid("url".into()),
    ] {
        let tape = record(Echo(vec!["half"], Err(failure.clone())), &[request(URL, hi())]);
        let tape = file::read(file::text_of(&tape).as_bytes()).unwrap();
        assert_eq!(play(&player(&tape), request(URL, hi())).end, Some(Err(failure)));
    }
}

#[test]
fn what_was_cancelled_goes_on_until_it_is_cancelled_again() {
    let tape = record(Echo(vec!["half"], Err(Failure::Cancelled)), &[request(URL, hi())]);
    let (player, ear) = (player(&tape), Ear::default());
    let call = player.start(request(URL, hi()), Box::new(ear.clone()));
    assert_eq!(lock(&ear.got).end, None);
    call.cancel();
    assert_eq!(lock(&ear.got).end, Some(Err(Failure::Cancelled)));
    let (player, ear) = (super::player::Player::new(tape, "/x".into(), Vec::new()), Ear::default());
    player.start(request(URL, hi()), Box::new(ear.clone()));
    player.stop();
    // The call was dropped, so nobody is left who could be told.
    assert_eq!(lock(&ear.got).end, None);
}

#[test]
fn a_request_that_is_not_there_says_where_it_differs() {
    let tape = record(Echo(vec![], Ok(())), &[request(URL, hi())]);
    let missing = |url: &str, body: Value| match play(&player(&tape), request(url, body)).end {
        Some(Err(Failure::Unrecorded(what))) => *what,
        other => panic!("{other:?}"),
    };
    let what = missing(URL, json!({ "messages": [{ "content": "no" }], "n": 1 }));
    assert!(what.message.contains("at .messages[1].content: recorded "), "{}", what.message);
    assert_eq!(what.details["path"], ".messages[1].content");
    assert_eq!(what.details["asked"], "no");
    let what = missing(URL, json!({ "messages": [{ "content": "my key is x" }], "n": 1, "m": 2 }));
    assert!(what.message.contains("at .m: recorded nothing, asked 2"), "{}", what.message);
    let what = missing("https://host.test/v2", hi());
    assert!(what.message.contains("asked POST https://host.test/v2"), "{}", what.message);
    assert!(!format!("{what:?}").contains("CANARY"));
}

#[test]
fn no_byte_of_a_file_can_be_changed() {
    let text = file::text_of(&record(Echo(vec!["wörld"], Ok(())), &[request(URL, hi())]));
    let line_of = |at: usize| text[..at].matches('\n').count() + 1;
    for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
        for flip in [1u8, 0x20, 0x80] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= flip;
            assert_eq!(file::read(&bytes).unwrap_err().0, line_of(at), "byte {at}");
        }
        assert!(file::read(&text.as_bytes()[..at]).is_err());
    }
    assert!(file::read(format!("{text}\n").as_bytes()).is_err());
    let error = file::load(Path::new("/dev/null/none")).unwrap_err();
    assert_eq!(error.members()["reason"], "not_a_directory");
}

#[test]
fn texts_are_compared_around_what_was_secret() {
    for (recorded, asked, same) in [
        ("a <secret> b", "a x b", true),
        ("<secret>", "", true),
        ("<secret> and <secret>!", "1 and 2!", true),
        ("<secret> and <secret>!", "1 and 2", false),
        ("a <secret> b", "a b", false),
        (r#"{"a":1,"b":2}"#, r#"{"b":2.0,"a":1}"#, true),
        (r#"{"a":1}"#, r#"{"a":2}"#, false),
    ] {
        assert_eq!(compare::texts(recorded, asked), same, "{recorded} {asked}");
    }
    assert!(compare::urls("http://127.0.0.1:1/v1", "http://localhost:2/v1"));
    assert!(!compare::urls("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v2"));
    assert!(!compare::urls("http://host:1/v1", "http://host:2/v1"));
}

#[test]
fn a_secret_is_found_in_the_parts_of_a_stream() {
    let said = |text: &str| format!("data: {}\n\n", json!({ "delta": { "content": text } }));
    let body = format!("{}{}{}", said("the key is sk-CAN"), said("ARY-"), said("12 and 3"));
    // Cut where no line ends.
    let (one, two) = body.split_at(20);
    let pieces = vec![(0, one.as_bytes().to_vec()), (1, two.as_bytes().to_vec())];
    let mut tape = Tape {
        recorded_at: 0.0,
        tools: false,
        entries: vec![Entry::Exchange(Exchange { pieces, ..Exchange::default() })],
    };
    clean::tape(&mut tape, &[Secret::new("sk-CANARY-12")]);
    let Entry::Exchange(exchange) = &tape.entries[0] else { panic!("no exchange") };
    let text: Vec<u8> = exchange.pieces.iter().flat_map(|(_, piece)| piece.clone()).collect();
    let wanted = format!("{}{}{}", said("the key is <secret>"), said(""), said(" and 3"));
    assert_eq!(String::from_utf8(text).unwrap(), wanted);
}

#[test]
fn spans_are_apart_and_in_order() {
    let redactor = Redactor::new(&[Secret::new("abcdef"), Secret::new("efghij")]);
    assert_eq!(redactor.spans(b"xx abcdefghij abcdef"), [3..13, 14..20]);
    assert_eq!(redactor.replaced("key abcdef… end", "<secret>"), "key <secret>… end");
    assert_eq!(redactor.replaced("key efghi...", "<secret>"), "key efghi...");
}
