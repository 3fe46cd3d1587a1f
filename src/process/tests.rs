use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use super::*;
use crate::clock::{Clock, Moment};
use crate::net::{Notifier, Waker};

fn shell(script: &str) -> Program {
    Program {
        path: "/bin/sh".into(),
        words: vec!["sh".into(), "-c".into(), script.into()],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into()), ("A".into(), "b c".into())],
        directory: None,
    }
}

fn order(program: Program, input: &[u8], time_ms: u64) -> Order {
    let time = Duration::from_millis(time_ms);
    Order { program, input: input.to_vec(), max_bytes: 1 << 20, time }
}

fn start(order: Order) -> (Running, Arc<Notifier>) {
    let notifier = Notifier::new().unwrap();
    let running = Running::start(order, &Clock::default(), Waker::new(&notifier, 1)).unwrap();
    (running, notifier)
}

fn run(order: Order) -> Finished {
    let (running, notifier) = start(order);
    loop {
        notifier.wait(Some(Duration::from_secs(10)));
        if let Some(finished) = running.take() {
            return finished;
        }
    }
}

fn output(script: &str, input: &[u8]) -> String {
    let finished = run(order(shell(script), input, 10_000));
    assert_eq!(finished.ended, Ended::Exited(0), "{finished:?}");
    String::from_utf8(finished.output).unwrap()
}

fn since(began: Moment) -> f64 {
    Clock::default().now().ms_since(began)
}

fn is_alive(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}

#[test]
fn it_is_told_how_it_ended_and_what_it_said() {
    let finished = run(order(shell("echo out; echo err >&2; exit 3"), b"", 10_000));
    assert_eq!(finished.ended, Ended::Exited(3));
    assert_eq!(
        (finished.output.as_slice(), finished.errors.as_slice()),
        (&b"out\n"[..], &b"err\n"[..])
    );
    assert!(!finished.truncated && !finished.timed_out);
    let finished = run(order(shell("kill -SEGV $$"), b"", 10_000));
    assert_eq!(finished.ended, Ended::Killed(11));
}

#[test]
fn it_reads_all_of_its_input_while_it_talks() {
    let input = "0123456789abcde\n".repeat(20_000);
    assert_eq!(output("cat", input.as_bytes()), input);
    // Nobody reads: no failure, and no signal for us.
    assert_eq!(output("exec true", &vec![b'x'; 1 << 20]), "");
    assert_eq!(output("cat", b""), "");
}

#[test]
fn it_gets_nothing_of_its_parent() {
    let open = File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).unwrap();
    assert!(open.as_raw_fd() > 2);
    assert_eq!(output("ls /proc/self/fd | tr '\\n' ' '", b""), "0 1 2 3 ");
    assert_eq!(
        output("env | grep -v -E '^(PWD|SHLVL|OLDPWD|_)=' | sort", b""),
        "A=b c\nPATH=/usr/bin:/bin\n"
    );
    // Rust ignores SIGPIPE. Those from 32 on are the C library's own.
    for line in output("cat /proc/self/status", b"").lines() {
        if let Some((_, mask)) = line.split_once("SigBlk:").or(line.split_once("SigIgn:")) {
            assert_eq!(u64::from_str_radix(mask.trim(), 16).unwrap() & 0x7fff_ffff, 0, "{line}");
        }
    }
    let numbers = output("ps -o pgid= -p $$ | tr -d ' '; echo $$", b"");
    let (group, own) = numbers.trim().split_once('\n').unwrap();
    assert_eq!(group, own);
}

#[test]
fn it_starts_where_it_is_told_to() {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
    let directory = rustix::fs::open("/proc/self", flags, rustix::fs::Mode::empty()).unwrap();
    drop(directory);
    let directory = rustix::fs::open("/usr", flags, rustix::fs::Mode::empty()).unwrap();
    let program = Program { directory: Some(directory), ..shell("pwd") };
    assert_eq!(run(order(program, b"", 10_000)).output, b"/usr\n");
}

#[test]
fn its_time_ends_it_with_all_that_it_has_started() {
    let began = Clock::default().now();
    let finished = run(order(shell("sleep 60 & echo $! $$; wait"), b"", 150));
    assert!(finished.timed_out && since(began) < 5_000.0);
    assert_eq!(finished.ended, Ended::Killed(9));
    let numbers = String::from_utf8(finished.output).unwrap();
    assert!(numbers.split_whitespace().count() == 2 && !numbers.split_whitespace().any(is_alive));
}

#[test]
fn joining_another_group_does_not_save_it() {
    let began = Clock::default().now();
    let script = "exec perl -e 'setpgrp(0, getpgrp(getppid)) or die; sleep 30'";
    let finished = run(order(shell(script), b"", 500));
    if finished.ended == Ended::Exited(127) {
        return println!("SKIP a program that joins another group: there is no perl");
    }
    assert!(finished.timed_out && since(began) < 5_000.0, "{finished:?}");
    assert_eq!(finished.ended, Ended::Killed(9));
}

#[test]
fn what_it_leaves_behind_ends_with_it() {
    let began = Clock::default().now();
    let finished = run(order(shell("sleep 60 & echo $!"), b"", 10_000));
    assert_eq!(finished.ended, Ended::Exited(0));
    assert!(since(began) < 5_000.0);
    assert!(!is_alive(String::from_utf8(finished.output).unwrap().trim()));
    // One that has left the group is out of reach, and not waited for.
    let finished = run(order(shell("setsid sleep 3 & echo x"), b"", 10_000));
    assert!(finished.output == b"x\n" && since(began) < 2_900.0);
}

#[test]
fn it_is_ended_when_nobody_wants_it_any_more() {
    let folder = std::env::temp_dir().join(format!("zigllms-process-{}", std::process::id()));
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 60", folder.display());
    let (running, _) = start(order(shell(&script), b"", 60_000));
    let number = loop {
        if let Ok(number) = std::fs::read_to_string(&folder) {
            break number;
        }
        std::thread::yield_now();
    };
    drop(running);
    std::fs::remove_file(&folder).unwrap();
    let began = Clock::default().now();
    while is_alive(number.trim()) {
        assert!(since(began) < 5_000.0);
        std::thread::yield_now();
    }
}

#[test]
fn what_is_too_much_is_dropped_and_its_end_still_seen() {
    let wanted = order(shell("yes | head -c 300000; echo end >&2"), b"", 10_000);
    let finished = run(Order { max_bytes: 1000, ..wanted });
    assert_eq!((finished.output.len(), finished.truncated), (1000, true));
    assert_eq!((finished.ended, finished.errors.as_slice()), (Ended::Exited(0), &b"end\n"[..]));
    let finished = run(order(shell("exec yes"), b"", 200));
    assert!(finished.timed_out && finished.truncated && finished.ended == Ended::Killed(9));
}

#[test]
fn what_cannot_be_started_is_told() {
    let program = Program { path: "/no/such/program".into(), ..shell("") };
    let notifier = Notifier::new().unwrap();
    let waker = Waker::new(&notifier, 1);
    let error = Running::start(order(program, b"", 1), &Clock::default(), waker).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(find("sh", OsStr::new("bin:.::/nowhere:/bin")), Some("/bin/sh".into()));
    assert_eq!(find("sh", OsStr::new("")), None);
}

#[test]
#[cfg(target_os = "linux")]
fn how_it_ended_is_known_though_somebody_else_has_waited() {
    let null =
        || rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty());
    for (script, ended) in [("exit 5", Ended::Exited(5)), ("kill -KILL $$", Ended::Killed(9))] {
        let (input, output, errors) = (null().unwrap(), null().unwrap(), null().unwrap());
        let mut child = Child::start(&shell(script), Streams { input, output, errors }).unwrap();
        waitid(WaitId::Pid(child.pid()), WaitIdOptions::EXITED).unwrap();
        let told = child.reap().unwrap();
        // Older systems do not tell.
        assert!(told == ended || told == Ended::Unknown, "{told:?}");
    }
}
