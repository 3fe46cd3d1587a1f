//! A forked child uses the network as if its parent never had.

use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::clock::Clock;
use crate::net::testing::*;
use crate::net::workers::{exit_child, fork};
use crate::net::{Notifier, Waker};

const INSIDE: &str = "ZIGLLMS_TEST_FORK";

/// Forking a process that runs other tests would fork them too, so the test runs itself alone.
#[test]
fn children_have_threads_and_connections_of_their_own() {
    if std::env::var_os(INSIDE).is_some() {
        return forks();
    }
    let name = "net::tests::fork::children_have_threads_and_connections_of_their_own";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn forks() {
    let server = Server::replying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let streaming = Server::start(|peer| {
        peer.request()?;
        peer.write(SSE_HEAD)?;
        for _ in 0..60 {
            peer.chunk("data: x\n\n")?;
            sleep_ms(20);
        }
        peer.write("0\r\n\r\n")
    });
    let (stream, call) = start(get(&streaming.url()));
    let notifier = Notifier::new().unwrap();
    let waker = Waker::new(&notifier, 1);
    stream.until(|got| got.deliveries > 0);
    let clock = Clock::default();
    let until = clock.now().after(Duration::from_secs(1));
    // Threads that are in the middle of something whenever a fork comes.
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let (clock, url) = (clock.clone(), server.url());
            std::thread::spawn(move || {
                while clock.now() < until {
                    assert_eq!(fetch(get(&url)).1, Ok(()));
                }
            })
        })
        .collect();
    let mut children = 0;
    while clock.now() < until {
        let Some(child) = fork() else {
            // The parent's call and notifier are not the child's to end or to ring.
            call.cancel();
            call.resume();
            waker.wake();
            let own = notifier.is_inherited() && notifier.take().is_none();
            let fine = own && fetch(get(&server.url())).1 == Ok(()) && rings();
            exit_child(if fine { 0 } else { 1 });
        };
        assert_eq!(wait_for(child), Some(0), "child {children}");
        children += 1;
    }
    busy.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(children > 5, "{children}");
    assert_eq!(stream.outcome(), Ok(()));
    assert_eq!(notifier.take(), None);
}

fn rings() -> bool {
    let notifier = Notifier::new().unwrap();
    Waker::new(&notifier, 5).wake();
    notifier.take() == Some(5)
}

/// The exit code; `None` for a child that hung or died.
fn wait_for(child: Pid) -> Option<i32> {
    for _ in 0..1000 {
        if let Some((_, status)) = waitpid(Some(child), WaitOptions::NOHANG).unwrap() {
            return status.exit_status();
        }
        sleep_ms(10);
    }
    let _ = kill_process(child, Signal::KILL);
    None
}
