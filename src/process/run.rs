//! A program that is run to its end by a thread of its own: fed, listened to, and ended in time.

use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;

use super::{Child, Ended, LAST_WAIT, LOOK, Program, Streams, rest};
use crate::clock::{Busy, Clock, Moment};
use crate::guard::guarded;
use crate::net::workers::{self, Home, STACK};
use crate::net::{Waker, lock};

/// How long the streams of a process that has ended are read on: whoever left its group may hold
/// them open for ever.
const AFTER: Duration = Duration::from_millis(200);

const PIECE: usize = 64 << 10;

pub struct Order {
    pub program: Program,
    /// What it reads from its standard input.
    pub input: Vec<u8>,
    /// So much of each stream is kept; the rest is read and dropped.
    pub max_bytes: usize,
    pub time: Duration,
}

#[derive(Debug)]
pub struct Finished {
    pub ended: Ended,
    pub output: Vec<u8>,
    pub errors: Vec<u8>,
    /// Something was dropped.
    pub truncated: bool,
    pub timed_out: bool,
    pub ms: f64,
}

/// A program that runs. Dropping it ends the whole group at once.
pub struct Running {
    desk: Arc<Desk>,
    /// In a forked child of the host the locks may be held by a thread that does not exist.
    home: Home,
    busy: Cell<Option<Busy>>,
}

struct Desk {
    child: Mutex<Child>,
    done: Mutex<Option<Finished>>,
    waker: Waker,
}

impl Running {
    pub fn start(order: Order, clock: &Clock, waker: Waker) -> std::io::Result<Running> {
        let (streams, ends) = streams()?;
        // First: a process that nobody attends to would have to be waited for here.
        let (give, given) = mpsc::channel::<Attendant>();
        workers::spawn("zigllms-process", STACK, move || {
            let _ = given.recv().map(Attendant::attend);
        })?;
        let child = Mutex::new(Child::start(&order.program, streams)?);
        let desk = Arc::new(Desk { child, done: Mutex::new(None), waker });
        let attendant = Attendant::new(desk.clone(), order, ends, clock);
        give.send(attendant).map_err(|_| std::io::ErrorKind::BrokenPipe)?;
        Ok(Running { desk, home: Home::here(), busy: Cell::new(Some(clock.busy())) })
    }

    /// What became of it, once; `None` while it runs.
    pub fn take(&self) -> Option<Finished> {
        if !self.home.is_here() {
            return None;
        }
        self.desk.waker.rearm();
        lock(&self.desk.done).take().inspect(|_| drop(self.busy.take()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.home.is_here() {
            lock(&self.desk.child).signal(Signal::KILL);
        }
    }
}

/// Our ends of the streams of a process.
struct Ends {
    input: OwnedFd,
    output: OwnedFd,
    errors: OwnedFd,
}

fn streams() -> std::io::Result<(Streams, Ends)> {
    let ((theirs, input), (output, their_output)) = (pipe()?, pipe()?);
    let (errors, their_errors) = pipe()?;
    // Ours only: whether a stream blocks is shared by all that have that end.
    for end in [&input, &output, &errors] {
        rustix::io::ioctl_fionbio(end, true)?;
    }
    let streams = Streams { input: theirs, output: their_output, errors: their_errors };
    Ok((streams, Ends { input, output, errors }))
}

/// Both ends close by themselves in whatever else is started meanwhile.
fn pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}

struct Attendant {
    desk: Arc<Desk>,
    watch: Option<OwnedFd>,
    input: Option<File>,
    said: Vec<u8>,
    /// So much of that it has.
    given: usize,
    output: Heard,
    errors: Heard,
    /// What was heard last.
    piece: Vec<u8>,
    began: Moment,
    until: Moment,
    clock: Clock,
    timed_out: bool,
}

impl Attendant {
    fn new(desk: Arc<Desk>, order: Order, ends: Ends, clock: &Clock) -> Attendant {
        let watch = lock(&desk.child).watch().unwrap_or_default();
        let began = clock.now();
        Attendant {
            desk,
            watch,
            input: Some(File::from(ends.input)),
            said: order.input,
            given: 0,
            output: Heard::new(ends.output, order.max_bytes),
            errors: Heard::new(ends.errors, order.max_bytes),
            piece: vec![0; PIECE],
            began,
            until: began.after(order.time),
            clock: clock.clone(),
            timed_out: false,
        }
    }

    fn attend(mut self) {
        let _ = guarded(|| {
            self.serve();
            Ok(())
        });
        let finished = self.finish();
        *lock(&self.desk.done) = Some(finished);
        self.desk.waker.wake();
        // Whoever drops it last waits for its end, which must not be the host.
        while lock(&self.desk.child).reap().is_none() {
            rest(None, LAST_WAIT);
        }
    }

    /// Until the process has ended or its time is over.
    fn serve(&mut self) {
        loop {
            self.exchange();
            if lock(&self.desk.child).has_ended() {
                return;
            }
            let left = self.clock.now().until(self.until);
            if left.is_zero() {
                self.timed_out = true;
                return;
            }
            self.rest(left, true);
        }
    }

    /// The rest of its group goes with it; what was said before is still there to be read.
    fn finish(&mut self) -> Finished {
        self.input = None;
        lock(&self.desk.child).signal(Signal::KILL);
        let until = self.clock.now().after(AFTER);
        while self.output.is_open() || self.errors.is_open() {
            self.exchange();
            let left = self.clock.now().until(until);
            if left.is_zero() {
                break;
            }
            self.rest(left, false);
        }
        lock(&self.desk.child).signal(Signal::KILL);
        Finished {
            ended: self.ended().unwrap_or(Ended::Unknown),
            truncated: self.output.dropped || self.errors.dropped,
            output: std::mem::take(&mut self.output.bytes),
            errors: std::mem::take(&mut self.errors.bytes),
            timed_out: self.timed_out,
            ms: self.clock.now().ms_since(self.began),
        }
    }

    /// How it ended; `None` if that takes long. Who gives the program up does not wait with us: the
    /// lock is held for a look at a time.
    fn ended(&self) -> Option<Ended> {
        let until = self.clock.now().after(LAST_WAIT);
        loop {
            let ended = lock(&self.desk.child).reap();
            let left = self.clock.now().until(until);
            if ended.is_some() || left.is_zero() {
                return ended;
            }
            rest(self.watch.as_ref(), left.min(LOOK));
        }
    }

    fn exchange(&mut self) {
        self.feed();
        self.output.hear(&mut self.piece);
        self.errors.hear(&mut self.piece);
    }

    /// Gives it what it reads; its end, once all is given or nobody reads any more.
    fn feed(&mut self) {
        while let Some(mut file) = self.input.as_ref() {
            let rest = self.said.get(self.given..).unwrap_or_default();
            match file.write(rest) {
                _ if rest.is_empty() => self.input = None,
                Ok(count) => self.given += count,
                Err(error) if waits(&error) => return,
                Err(_) => self.input = None,
            }
        }
    }

    fn rest(&self, most: Duration, watching: bool) {
        let watch = self.watch.as_ref().filter(|_| watching);
        // Without a watch the end of the process is seen by looking.
        let most = if watching && watch.is_none() { most.min(LOOK) } else { most };
        let mut watched: Vec<PollFd<'_>> = Vec::new();
        watched.extend(self.input.iter().map(|file| PollFd::new(file, PollFlags::OUT)));
        let heard = [&self.output, &self.errors].into_iter().filter_map(|one| one.file.as_ref());
        watched.extend(heard.map(|file| PollFd::new(file, PollFlags::IN)));
        watched.extend(watch.map(|fd| PollFd::new(fd, PollFlags::IN)));
        let _ = poll(&mut watched, Timespec::try_from(most).ok().as_ref());
    }
}

/// What a process says on one stream.
struct Heard {
    file: Option<File>,
    bytes: Vec<u8>,
    most: usize,
    dropped: bool,
}

impl Heard {
    fn new(fd: OwnedFd, most: usize) -> Heard {
        Heard { file: Some(File::from(fd)), bytes: Vec::new(), most, dropped: false }
    }

    fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// As much as there is now, but a piece at a time: one that never stops talking must not keep
    /// its time from running out.
    fn hear(&mut self, piece: &mut [u8]) {
        let Some(mut file) = self.file.as_ref() else { return };
        match file.read(piece) {
            Ok(0) => self.file = None,
            Ok(count) => self.keep(piece.get(..count).unwrap_or_default()),
            Err(error) if waits(&error) => {}
            Err(_) => self.file = None,
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = self.most - self.bytes.len();
        self.bytes.extend(piece.iter().take(room));
        self.dropped |= piece.len() > room;
    }
}

fn waits(error: &std::io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::AGAIN | Errno::INTR))
}

#[cfg(test)]
mod tests {
    use rustix::process::{WaitOptions, waitpid};

    use super::*;
    use crate::net::Notifier;
    use crate::net::testing::sleep_ms;
    use crate::net::workers::{exit_child, fork};

    fn sleeping() -> Running {
        let program = Program {
            path: "/bin/sleep".into(),
            words: vec!["sleep".into(), "60".into()],
            environment: Vec::new(),
            directory: None,
        };
        let time = Duration::from_secs(60);
        let order = Order { program, input: Vec::new(), max_bytes: 1, time };
        let waker = Waker::new(&Notifier::new().unwrap(), 1);
        Running::start(order, &Clock::default(), waker).unwrap()
    }

    #[test]
    fn a_forked_child_drops_it_without_its_locks_and_without_ending_it() {
        let running = sleeping();
        let desk = running.desk.clone();
        // As the attendant may, whenever the host forks.
        let locked = (lock(&desk.child), lock(&desk.done));
        let Some(forked) = fork() else {
            let nothing = running.take().is_none();
            drop(running);
            exit_child(if nothing { 0 } else { 1 });
        };
        let ended = (0..500).find_map(|_| {
            sleep_ms(10);
            waitpid(Some(forked), WaitOptions::NOHANG).unwrap()
        });
        if ended.is_none() {
            let _ = rustix::process::kill_process(forked, Signal::KILL);
        }
        assert_eq!(ended.and_then(|(_, status)| status.exit_status()), Some(0));
        drop(locked);
        assert!(!lock(&desk.child).has_ended());
    }
}
