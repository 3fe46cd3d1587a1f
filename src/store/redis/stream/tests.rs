//! Against a real redis-server; where there is none, tests say that they are skipped.

use std::time::Duration;

use super::super::Address;
use super::super::tests::server::Server;
use super::Channel;
use super::post::Post;
use crate::clock::Clock;
use crate::error::{Code, Error};
use crate::net::{Notifier, Waker};
use crate::store::channel::{Direction, Terms};
use crate::store::{Place, Url};

fn url(server: &Server) -> Url {
    match Place::parse(&server.url(), "store") {
        Ok(Place::Redis(url)) => url,
        other => panic!("{other:?}"),
    }
}

fn terms(member: &str, group: Option<&str>) -> Terms {
    Terms {
        stream: "s".to_owned(),
        group: group.map(str::to_owned),
        since: None,
        direction: Direction::Both,
        max_len: 100_000,
        claim_ms: 200,
        prefetch: 10,
        origin: member.to_owned(),
        member: member.to_owned(),
        again: false,
    }
}

/// A channel with what wakes its user.
struct User {
    channel: Channel,
    notifier: std::sync::Arc<Notifier>,
}

impl User {
    fn open(server: &Server, terms: Terms) -> User {
        let notifier = Notifier::new().unwrap();
        let waker = Waker::new(&notifier, 1);
        let channel = Channel::open(&url(server), terms, &Clock::default(), waker).unwrap();
        let opener = Waker::new(&notifier, 2);
        while channel.opened(&opener).is_none() {
            notifier.wait(Some(Duration::from_secs(10)));
            notifier.take();
        }
        channel.opened(&opener).unwrap().unwrap();
        User { channel, notifier }
    }

    fn say(&self, text: &str) {
        self.channel.send(text.as_bytes().to_vec());
    }

    /// What comes within a time, until there are so many.
    fn hear(&self, count: usize) -> Vec<String> {
        let (clock, mut heard) = (Clock::default(), Vec::new());
        let until = clock.now().after_ms(60_000);
        while heard.len() < count && clock.now() < until {
            match self.channel.next() {
                Some(message) => {
                    self.channel.handled(&message.position);
                    heard.push(String::from_utf8(message.bytes).unwrap());
                }
                None => {
                    self.notifier.wait(Some(Duration::from_millis(100)));
                    self.notifier.take();
                }
            }
        }
        heard
    }

    fn hears_nothing_for(&self, ms: u64) -> bool {
        crate::net::testing::sleep_ms(ms);
        self.channel.next().is_none()
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[test]
fn all_listeners_hear_what_others_say_in_order_and_not_what_they_say_themselves() {
    let Some(server) = Server::start(&[]) else { return };
    let users: Vec<User> =
        ["a", "b", "c"].iter().map(|name| User::open(&server, terms(name, None))).collect();
    numbers(0..500).iter().for_each(|text| users[0].say(text));
    for user in &users[1..] {
        assert_eq!(user.hear(500), numbers(0..500));
    }
    assert!(users.iter().all(|user| user.hears_nothing_for(50)));
}

#[test]
fn members_share_and_get_none_of_their_own() {
    let Some(server) = Server::start(&[]) else { return };
    let a = User::open(&server, terms("a", Some("g")));
    let b = User::open(&server, terms("b", Some("g")));
    numbers(0..300).iter().for_each(|text| a.say(text));
    let mut heard = b.hear(300);
    heard.sort_by_key(|text| text.parse::<usize>().unwrap());
    assert_eq!(heard, numbers(0..300), "also those that were handed to their sender");
    assert!(a.hears_nothing_for(600) && b.hears_nothing_for(1));
}

#[test]
fn what_a_member_leaves_unfinished_goes_to_another() {
    let Some(mut server) = Server::start(&[]) else { return };
    let speaker = User::open(&server, terms("speaker", None));
    let dead = User::open(&server, terms("dead", Some("g")));
    drop(dead);
    // A member that takes some and is never heard of again.
    numbers(0..10).iter().for_each(|text| speaker.say(text));
    assert!(speaker.channel.settle(Duration::from_secs(5)));
    let read = ["XREADGROUP", "GROUP", "g", "lost", "COUNT", "4", "STREAMS", "zigllms:s:s", ">"];
    server.command(&read);
    let heir = User::open(&server, terms("heir", Some("g")));
    let mut heard = heir.hear(10);
    heard.sort_by_key(|text| text.parse::<usize>().unwrap());
    assert_eq!(heard, numbers(0..10));
    // One that ends hands over what it has got and not handled.
    numbers(10..20).iter().for_each(|text| speaker.say(text));
    while heir.channel.next().is_none() {}
    drop(heir);
    let last = User::open(&server, terms("last", Some("g")));
    let mut heard = last.hear(10);
    heard.sort_by_key(|text| text.parse::<usize>().unwrap());
    assert_eq!(heard, numbers(10..20));
}

#[test]
fn a_server_that_comes_back_gets_what_was_queued() {
    let Some(mut server) = Server::start(&["--appendonly", "yes", "--appendfsync", "always"])
    else {
        return;
    };
    let speaker = User::open(&server, terms("speaker", None));
    let listener = User::open(&server, terms("listener", None));
    let member = User::open(&server, terms("member", Some("g")));
    numbers(0..10).iter().for_each(|text| speaker.say(text));
    assert_eq!(listener.hear(10), numbers(0..10));
    // What the server took and could not say so is sent again.
    assert!(speaker.channel.settle(Duration::from_secs(60)));
    server.kill();
    numbers(10..20).iter().for_each(|text| speaker.say(text));
    assert!(!speaker.channel.settle(Duration::from_secs(60)));
    let trouble = speaker.channel.trouble().unwrap();
    assert_eq!((trouble.lost, trouble.error.code().name()), (0, "io_error"));
    assert!(speaker.channel.trouble().is_none(), "it is told once");
    server.start_again();
    assert_eq!(listener.hear(10), numbers(10..20));
    assert_eq!(member.hear(20), numbers(0..20));
    assert!(speaker.channel.settle(Duration::from_secs(60)));
}

#[test]
fn two_connections_tell_of_one_outage_once() {
    let address = Address::parse("redis://127.0.0.1:1").unwrap();
    let waker = Waker::new(&Notifier::new().unwrap(), 1);
    let post = Post::new(address, terms("me", None), Clock::default(), waker);
    let away = |failures| post.fails(Error::new(Code::IoError, "away"), failures);
    let told = || post.state().take_trouble().is_some();
    away(0);
    assert!(told());
    post.works(0);
    away(1);
    assert!(!told(), "what worked before the outage does not end it");
    post.works(2);
    away(0);
    assert!(!told(), "a connection of before says nothing of now");
    away(post.failures());
    assert!(told(), "another outage is news");
}

#[test]
fn a_position_replays_and_a_bound_forgets() {
    let Some(mut server) = Server::start(&[]) else { return };
    let speaker = User::open(&server, Terms { max_len: 100, ..terms("speaker", None) });
    numbers(0..1000).iter().for_each(|text| speaker.say(text));
    assert!(speaker.channel.settle(Duration::from_secs(5)));
    let kept = server.command(&["XLEN", "zigllms:s:s"]).as_u64().unwrap() as usize;
    assert!((100..400).contains(&kept), "{kept}");
    let all = Terms { since: Some("0".to_owned()), ..terms("late", None) };
    assert_eq!(User::open(&server, all).hear(kept), numbers(1000 - kept..1000));
}

#[test]
fn a_server_that_is_not_there_is_an_error_without_the_password() {
    let Some(mut server) = Server::start(&["--requirepass", "open-sesame"]) else { return };
    let port = server.port;
    let at = |login: &str| match Place::parse(&format!("redis://{login}127.0.0.1:{port}"), "") {
        Ok(Place::Redis(url)) => url,
        other => panic!("{other:?}"),
    };
    let notifier = Notifier::new().unwrap();
    let failure = |url: Url| {
        let waker = Waker::new(&notifier, 1);
        let channel = Channel::open(&url, terms("a", None), &Clock::default(), waker).unwrap();
        let opener = Waker::new(&notifier, 2);
        while channel.opened(&opener).is_none() {
            notifier.wait(Some(Duration::from_secs(10)));
            notifier.take();
        }
        channel.opened(&opener).unwrap().unwrap_err().to_string()
    };
    for login in ["", ":wrong-sesame@"] {
        let text = failure(at(login));
        assert!(text.contains("user and password") || text.contains("NOAUTH"), "{text}");
        assert!(!text.contains("sesame"), "{text}");
    }
    server.kill();
    let text = failure(at(":open-sesame@"));
    assert!(text.contains("cannot connect") && !text.contains("sesame"), "{text}");
}
