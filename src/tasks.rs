//! The machines that are under way in one Lua state, and what wakes them: posted tokens and
//! timers. Waiting itself happens at the edge, in the host's way.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use crate::chat::Usage;
use crate::chunk::Pipe;
use crate::clock::{Busy, Clock, LOOK, Moment};
use crate::desk::Desk;
use crate::error::{Code, Error, Result};
use crate::ledger::Ledger;
use crate::net::{Door, Notifier, Waker, Woke};
use crate::step::{Machine, Operation, Output, Token};

/// A machine under way.
pub struct Running {
    /// Taken out while it is being stepped.
    pub machine: Option<Box<dyn Machine>>,
    /// The operation's name.
    pub name: &'static str,
    /// When it was stepped first.
    pub begun: Option<Moment>,
    /// Hooks are around it: what it ended with stays here, and so does the machine.
    pub attended: bool,
    /// The machine or call around it; 0 at the outermost.
    pub parent: Token,
    /// Those it runs now, in order.
    pub children: Vec<Token>,
    /// Those of them that have ended and were not asked for yet.
    pub ended: Vec<Token>,
    /// Kept here for the parent.
    pub output: Option<Result<Output>>,
    /// The function it calls returns something that is wanted as text.
    pub wants_text: bool,
    /// The function it calls returns something that is wanted as data.
    pub wants_data: bool,
    /// The function it calls is listened to, and returns an HTTP answer.
    pub listens: bool,
    /// A copy of what the function returns is wanted, too.
    pub copies: bool,
    /// Whether a parent machine reads the output.
    pub inner: bool,
    /// It goes on beside its parent, which runs others meanwhile.
    pub beside: bool,
}

#[derive(Default)]
pub struct Tasks {
    last: Token,
    running: HashMap<Token, Running>,
    timers: BTreeSet<(Moment, Token)>,
    /// When the timer of each token is due: the same as in `timers`, to find it there.
    armed: HashMap<Token, Moment>,
    timers_first: bool,
    pipes: HashMap<Token, Pipe>,
    notifier: Option<Arc<Notifier>>,
    /// The timer that the watched descriptor tells.
    told: Option<Moment>,
    stops: VecDeque<(Token, String)>,
    /// Tokens that something posts for as long as it is there, after a fork as well.
    standing: Vec<Token>,
    door: Option<Door>,
    /// The machine around the call that is being set up; 0 if there is none.
    pub around: Token,
    /// Made ready when nothing else is.
    lulls: VecDeque<Token>,
    /// Somebody waits in a way of the host's own: virtual time runs.
    held: Option<Busy>,
    /// Everything waits, and the host's loop was let go round before time leaps.
    poised: bool,
}

/// A token that no machine has: it says that the edge has something queued.
pub const ATTENTION: Token = 0;

/// What [`Tasks::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Token(Token),
    /// An operation is to end, for the reason given.
    Stop(Token, String),
    /// Nothing until the time limit.
    Nothing,
    /// A signal came: the interpreter wants to look at it.
    Interrupted,
}

impl Tasks {
    pub fn token(&mut self) -> Token {
        self.last += 1;
        self.last
    }

    pub fn start(&mut self, operation: Operation, parent: Token, inner: bool) -> Token {
        if self.notifier.as_ref().is_some_and(|notifier| notifier.is_inherited()) {
            let _ = self.notifier(); // before the new one is there: what is, is the parent's
        }
        let token = self.token();
        let (machine, name) = (Some(operation.machine), operation.name);
        self.running.insert(
            token,
            Running {
                machine,
                name,
                begun: None,
                attended: false,
                parent,
                children: Vec::new(),
                ended: Vec::new(),
                output: None,
                wants_text: false,
                wants_data: false,
                listens: false,
                copies: false,
                inner,
                beside: false,
            },
        );
        token
    }

    pub fn get_mut(&mut self, token: Token) -> Option<&mut Running> {
        self.running.get_mut(&token)
    }

    /// With those inside it that have ended: nobody will ask for them.
    pub fn remove(&mut self, token: Token) -> Option<Running> {
        let running = self.running.remove(&token)?;
        // Where nothing ever waits nobody takes these out.
        self.stops.retain(|(stopped, _)| *stopped != token);
        running.ended.iter().for_each(|child| drop(self.remove(*child)));
        Some(running)
    }

    /// The machine that `parent` has begun last.
    pub fn newest_child(&self, parent: Token) -> Option<Token> {
        self.running.get(&parent)?.children.last().copied()
    }

    /// Those of its children that it waits for, which are forgotten with this.
    pub fn take_children(&mut self, parent: Token) -> Vec<Token> {
        let Some(running) = self.running.get_mut(&parent) else { return Vec::new() };
        let (children, ended) =
            (std::mem::take(&mut running.children), std::mem::take(&mut running.ended));
        let is_beside = |token: &Token| self.running.get(token).is_some_and(|child| child.beside);
        let (beside, waited): (Vec<Token>, Vec<Token>) = children.into_iter().partition(is_beside);
        let ended = ended.into_iter().filter(|token| beside.contains(token)).collect();
        if let Some(running) = self.running.get_mut(&parent) {
            (running.children, running.ended) = (beside, ended);
        }
        waited
    }

    /// Those of its children that have ended, which are forgotten with this.
    pub fn take_ended(&mut self, parent: Token) -> Vec<(Token, Result<Output>)> {
        let Some(running) = self.running.get_mut(&parent) else { return Vec::new() };
        let ended = std::mem::take(&mut running.ended);
        for child in &ended {
            if let Some(at) = running.children.iter().position(|other| other == child) {
                running.children.remove(at);
            }
        }
        let take = |child: Token| Some((child, self.running.remove(&child)?.output?));
        ended.into_iter().filter_map(take).collect()
    }

    /// An inner machine has ended: its output stays until its parent asks.
    pub fn end_inner(&mut self, token: Token, output: Result<Output>) {
        let Some(running) = self.running.get_mut(&token) else { return };
        running.output = Some(output);
        let parent = running.parent;
        match self.running.get_mut(&parent) {
            Some(parent) => parent.ended.push(token),
            // One that went on beside it, and has ended behind it.
            None => drop(self.running.remove(&token)),
        }
    }

    /// Whether the machine `token` or one around it holds the conversation `key`.
    pub fn holds(&self, mut token: Token, key: &str) -> bool {
        while let Some(running) = self.running.get(&token) {
            if running.machine.as_ref().and_then(|m| m.holds()) == Some(key) {
                return true;
            }
            token = running.parent;
        }
        false
    }

    /// Whether the machine of that token itself holds anything.
    pub fn machine_holds(&self, token: Token) -> bool {
        self.running
            .get(&token)
            .and_then(|r| r.machine.as_ref())
            .is_some_and(|m| m.holds().is_some())
    }

    /// The agent in whose run the machine `token` is.
    pub fn agent_around(&self, mut token: Token) -> Option<u64> {
        while let Some(running) = self.running.get(&token) {
            if let Some(agent) = running.machine.as_ref().and_then(|m| m.agent()) {
                return Some(agent);
            }
            token = running.parent;
        }
        None
    }

    /// The machines around the one of that token, nearest first.
    pub fn above(&self, token: Token) -> impl Iterator<Item = Token> + '_ {
        let parent = |token: &Token| self.running.get(token).map(|running| running.parent);
        std::iter::successors(parent(&token), move |token| parent(token))
    }

    /// How many operations of that name are around a machine, itself included.
    pub fn depth(&self, token: Token, name: &str) -> usize {
        let all = std::iter::once(token).chain(self.above(token));
        all.filter(|t| self.running.get(t).is_some_and(|running| running.name == name)).count()
    }

    /// Whether `token` is `other`, or runs inside it.
    pub fn is_within(&self, token: Token, other: Token) -> bool {
        token == other || self.above(token).any(|around| around == other)
    }

    /// Calls `see` with the ledger of every run around a machine, nearest first, until it answers.
    pub fn ledgers<T>(
        &mut self,
        token: Token,
        mut see: impl FnMut(&mut Ledger) -> Option<T>,
    ) -> Option<T> {
        let around: Vec<Token> = self.above(token).collect();
        around.into_iter().find_map(|token| see(self.machine(token)?.ledger()?))
    }

    /// Enters what the machine `token` has used with all runs around it.
    pub fn spend(&mut self, token: Token, usage: &Usage) {
        self.ledgers(token, |ledger| {
            ledger.usage.add(usage);
            None::<()>
        });
    }

    pub fn desk(&mut self, token: Token) -> Option<&mut Desk> {
        self.machine(token)?.desk()
    }

    /// A machine that is not being stepped.
    pub fn machine_of(&self, token: Token) -> Option<&dyn Machine> {
        self.running.get(&token)?.machine.as_deref()
    }

    fn machine(&mut self, token: Token) -> Option<&mut Box<dyn Machine>> {
        self.running.get_mut(&token)?.machine.as_mut()
    }

    /// All tokens of machines under way.
    pub fn all(&self) -> Vec<Token> {
        self.running.keys().copied().collect()
    }

    /// Opened at the first need: requiring the module must open no file.
    pub fn notifier(&mut self) -> Result<Arc<Notifier>> {
        if let Some(notifier) = self.notifier.as_ref().filter(|n| !n.is_inherited()) {
            return Ok(notifier.clone());
        }
        let opened = Notifier::new().map_err(|e| io_error("open a notifier", &e))?;
        if let Some(inherited) = self.notifier.replace(opened.clone()) {
            inherited.forsake();
            self.leave_to_parent(&opened);
        }
        self.told = None;
        Ok(opened)
    }

    /// After a fork: what was under way belongs to the parent, and so does what it had announced.
    fn leave_to_parent(&mut self, opened: &Notifier) {
        let outermost = self.running.iter().filter(|(_, running)| running.parent == 0);
        self.stops
            .extend(outermost.map(|(token, _)| (*token, "the process has forked".to_owned())));
        opened.post(ATTENTION);
        // Who waits for these has to look after it again.
        self.standing.iter().for_each(|token| opened.post(*token));
    }

    /// These tokens stand for something that lasts: they are posted once after a fork.
    pub fn stand(&mut self, tokens: Vec<Token>) {
        self.standing = tokens;
    }

    /// The descriptor for an event loop of others; it tells tokens, stops and timers.
    pub fn watch(&mut self, clock: &Clock) -> Result<RawFd> {
        let notifier = self.notifier()?;
        let fd = notifier.watch().map_err(|e| io_error("open a descriptor to watch", &e))?;
        self.tell_timer(clock);
        Ok(fd)
    }

    /// Keeps the watched descriptor's timer at the first one there is.
    fn tell_timer(&mut self, clock: &Clock) {
        let Some(notifier) = self.notifier.as_ref().filter(|n| n.is_watched()) else { return };
        let first = self.first_timer();
        if clock.is_virtual() {
            notifier.set_timer(self.left(clock));
            self.told = None;
        } else if first != self.told {
            notifier.set_timer(self.left(clock));
            self.told = first;
        }
    }

    /// How long a host may sleep until there may be a timer to be told.
    pub fn left(&self, clock: &Clock) -> Option<Duration> {
        let first = self.first_timer();
        if !clock.is_virtual() {
            return first.map(|at| clock.now().until(at));
        }
        let leaps = first.is_some() && clock.is_quiet();
        Some(if leaps { Duration::ZERO } else { LOOK })
    }

    /// A path to connect to, once; [`Tasks::let_in`] takes the connection.
    pub fn open_door(&mut self) -> Result<String> {
        let door = Door::open().map_err(|e| io_error("listen for wake-ups", &e))?;
        let path = door.path().to_string_lossy().into_owned();
        self.door = Some(door);
        Ok(path)
    }

    /// Rings the connection that waits at the door from now on whenever something is ready.
    pub fn let_in(&mut self) -> Result<()> {
        let door = self.door.take().ok_or_else(|| Error::internal("no door is open"))?;
        let line = door.let_in().map_err(|e| io_error("take a connection for wake-ups", &e))?;
        self.notifier()?.connect(line);
        Ok(())
    }

    /// Wakes the machine `token` from any thread.
    pub fn waker(&mut self, token: Token) -> Result<Waker> {
        Ok(Waker::new(&self.notifier()?, token))
    }

    /// Makes a token ready now.
    pub fn post(&mut self, token: Token) -> Result<()> {
        self.notifier()?.post(token);
        Ok(())
    }

    /// Asks for the end of an operation; the edge tells it at the next turn.
    pub fn stop(&mut self, token: Token, reason: &str) {
        self.stops.push_back((token, reason.to_owned()));
        if let Some(notifier) = &self.notifier {
            notifier.post(ATTENTION);
        }
    }

    /// Makes a token ready at a moment; it replaces the token's timer from before.
    pub fn arm(&mut self, clock: &Clock, at: Moment, token: Token) {
        self.disarm(token);
        self.armed.insert(token, at);
        self.timers.insert((at, token));
        self.tell_timer(clock);
    }

    pub fn disarm(&mut self, token: Token) {
        if let Some(at) = self.armed.remove(&token) {
            self.timers.remove(&(at, token));
        }
    }

    /// The next ready token; waits for one at most until `limit` (`None`: as long as it takes).
    pub fn next(&mut self, clock: &Clock, limit: Option<Moment>) -> Result<Next> {
        loop {
            if let Some((token, reason)) = self.stops.pop_front() {
                return Ok(Next::Stop(token, reason));
            }
            let quiet = clock.is_quiet();
            let ready = self.ready(clock.now()).or_else(|| self.lulls.pop_front());
            self.tell_timer(clock);
            if let Some(token) = ready {
                self.poised = false;
                return Ok(Next::Token(token));
            }
            let now = clock.now();
            if limit.is_some_and(|limit| limit <= now) {
                return Ok(Next::Nothing);
            }
            let until = [limit, self.first_timer()].into_iter().flatten().min();
            if quiet && clock.leap(until) {
                continue;
            }
            let left = until.map(|moment| now.until(moment));
            let woke = self.notifier()?.wait(clock.patience(left));
            if woke == Woke::Interrupted {
                return Ok(Next::Interrupted);
            }
        }
    }

    // Virtual time.

    /// Virtual time begins; false if it has begun already.
    pub fn begin_virtual(&mut self, clock: &Clock) -> Result<bool> {
        let begun = clock.begin();
        self.look_again(clock)?;
        Ok(begun)
    }

    pub fn end_virtual(&mut self, clock: &Clock) -> Result<()> {
        (self.held, self.poised) = (None, false);
        clock.end();
        self.look_again(clock)
    }

    /// A host that sleeps has been told what is no longer so.
    fn look_again(&mut self, clock: &Clock) -> Result<()> {
        self.tell_timer(clock);
        self.post(ATTENTION)
    }

    /// Whether somebody waits in a way of the host's own, of which nobody tells us the end.
    pub fn hold(&mut self, clock: &Clock, held: bool) {
        if held != self.held.is_some() {
            self.held = held.then(|| clock.busy());
        }
    }

    /// Lets virtual time leap to the first timer, in a host that waits in a loop of its own: the
    /// second time that it is asked while everything waits, so that others in that loop have had
    /// their turn. Whether it has leapt.
    pub fn leap(&mut self, clock: &Clock) -> bool {
        let quiet = clock.is_quiet();
        let waits = quiet && !self.has_ready(clock.now());
        let poised = std::mem::replace(&mut self.poised, waits);
        let leaps = poised && self.poised && clock.leap(self.first_timer());
        self.poised &= !leaps;
        self.tell_timer(clock);
        leaps
    }

    /// Moves virtual time to `limit`, or to the first timer before it, whatever is under way.
    pub fn move_on(&mut self, clock: &Clock, limit: Moment) {
        let first = self.first_timer().unwrap_or(limit);
        clock.advance(limit.min(first));
    }

    /// Makes a token ready when nothing else is.
    pub fn lull(&mut self, token: Token) -> Result<()> {
        self.lulls.push_back(token);
        self.post(ATTENTION)
    }

    fn has_ready(&self, now: Moment) -> bool {
        let posted = self.notifier.as_ref().is_some_and(|notifier| notifier.has_ready());
        posted || !self.stops.is_empty() || self.first_timer().is_some_and(|at| at <= now)
    }

    /// Timers and posted tokens take turns, so that neither can starve the other.
    fn ready(&mut self, now: Moment) -> Option<Token> {
        self.timers_first = !self.timers_first;
        if self.timers_first {
            return self.due(now).or_else(|| self.posted());
        }
        self.posted().or_else(|| self.due(now))
    }

    fn posted(&self) -> Option<Token> {
        self.notifier.as_ref()?.take()
    }

    fn due(&mut self, now: Moment) -> Option<Token> {
        let (_, token) = self.timers.first().copied().filter(|(at, _)| *at <= now)?;
        self.disarm(token);
        Some(token)
    }

    /// When the earliest timer is due.
    pub fn first_timer(&self) -> Option<Moment> {
        self.timers.first().map(|(at, _)| *at)
    }

    pub fn open_pipe(&mut self) -> Token {
        let token = self.token();
        self.pipes.insert(token, Pipe::default());
        token
    }

    pub fn pipe(&mut self, token: Token) -> Option<&mut Pipe> {
        self.pipes.get_mut(&token)
    }

    pub fn close_pipe(&mut self, token: Token) {
        self.pipes.remove(&token);
    }
}

fn io_error(what: &str, error: &std::io::Error) -> Error {
    Error::new(Code::IoError, format!("cannot {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Runtime;

    #[test]
    fn a_timer_replaces_the_one_before_and_can_be_taken_back() {
        let (mut tasks, clock) = (Tasks::default(), Clock::default());
        let now = clock.now();
        tasks.arm(&clock, now, 1);
        tasks.arm(&clock, now.after_ms(60_000), 1);
        tasks.arm(&clock, now, 2);
        tasks.disarm(2);
        tasks.arm(&clock, now, 3);
        assert_eq!(tasks.next(&clock, Some(now)).unwrap(), Next::Token(3));
        assert_eq!(tasks.next(&clock, Some(now)).unwrap(), Next::Nothing);
    }

    #[test]
    fn long_deadlines_of_short_waits_do_not_pile_up() {
        let (mut tasks, clock) = (Tasks::default(), Clock::default());
        let deadline = clock.now().after_ms(600_000);
        for _ in 0..1_000 {
            tasks.arm(&clock, deadline, 7);
            tasks.disarm(7);
        }
        assert_eq!((tasks.timers.len(), tasks.armed.len()), (0, 0));
    }

    #[test]
    fn what_has_ended_is_not_stopped_any_more() {
        let (mut tasks, clock) = (Tasks::default(), Clock::default());
        let operation = Operation::new("test", Never);
        let token = tasks.start(operation, 0, false);
        tasks.stop(token, "too late");
        tasks.stop(token + 1, "why");
        tasks.remove(token);
        assert_eq!(tasks.next(&clock, None).unwrap(), Next::Stop(token + 1, "why".into()));
    }

    struct Never;

    impl Machine for Never {
        fn step(
            &mut self,
            _: &mut Runtime,
            _: Token,
            _: crate::step::Outcome,
        ) -> Result<crate::step::Step> {
            Ok(crate::step::Step::Wait(None))
        }

        fn abandon(&mut self, _: &mut Runtime, _: Token) {}
    }

    /// Tasks in virtual time, with one timer far away.
    fn virtual_tasks() -> (Tasks, Clock, Moment) {
        let (mut tasks, clock) = (Tasks::default(), Clock::of_instance());
        assert!(tasks.begin_virtual(&clock).unwrap());
        assert_eq!(tasks.next(&clock, Some(clock.now())).unwrap(), Next::Token(ATTENTION));
        let far = clock.now().after_ms(600_000);
        tasks.arm(&clock, far, 7);
        (tasks, clock, far)
    }

    #[test]
    fn virtual_time_leaps_when_everything_waits_and_no_farther_than_the_limit() {
        let (mut tasks, clock, far) = virtual_tasks();
        let soon = clock.now().after_ms(5);
        assert_eq!(tasks.next(&clock, Some(soon)).unwrap(), Next::Nothing);
        assert_eq!(clock.now(), soon);
        tasks.post(8).unwrap();
        assert_eq!(tasks.next(&clock, None).unwrap(), Next::Token(8));
        assert_eq!(clock.now(), soon);
        assert_eq!(tasks.next(&clock, None).unwrap(), Next::Token(7));
        assert_eq!(clock.now(), far);
    }

    #[test]
    fn virtual_time_does_not_leap_while_something_is_under_way() {
        let (mut tasks, clock, far) = virtual_tasks();
        let busy = clock.busy();
        let limit = clock.now().after_ms(5);
        assert_eq!(tasks.next(&clock, Some(limit)).unwrap(), Next::Nothing);
        assert!(clock.now() < far && !tasks.leap(&clock) && !tasks.leap(&clock));
        drop(busy);
        assert_eq!(tasks.next(&clock, None).unwrap(), Next::Token(7));
    }

    #[test]
    fn a_loop_of_others_goes_round_once_before_time_leaps() {
        let (mut tasks, clock, far) = virtual_tasks();
        assert_eq!(tasks.left(&clock), Some(Duration::ZERO));
        assert!(!tasks.leap(&clock));
        tasks.post(8).unwrap();
        assert!(!tasks.leap(&clock), "something is ready");
        assert_eq!(tasks.next(&clock, None).unwrap(), Next::Token(8));
        assert!(!tasks.leap(&clock) && tasks.leap(&clock));
        assert_eq!(clock.now(), far);
        tasks.end_virtual(&clock).unwrap();
        assert!(!tasks.leap(&clock) && !tasks.leap(&clock));
    }

    #[test]
    fn a_lull_comes_when_nothing_else_is_ready_and_before_time_leaps() {
        let (mut tasks, clock, far) = virtual_tasks();
        tasks.lull(9).unwrap();
        tasks.post(8).unwrap();
        let order: Vec<Next> = (0..4).map(|_| tasks.next(&clock, None).unwrap()).collect();
        assert_eq!(order, [ATTENTION, 8, 9, 7].map(Next::Token));
        tasks.hold(&clock, true);
        tasks.move_on(&clock, far.after_ms(1_000));
        assert!(clock.now() >= far.after_ms(1_000), "by order it moves all the same");
    }

    #[test]
    fn posted_tokens_and_stops_are_told() {
        let (mut tasks, clock) = (Tasks::default(), Clock::default());
        tasks.post(9).unwrap();
        tasks.stop(4, "why");
        assert_eq!(tasks.next(&clock, None).unwrap(), Next::Stop(4, "why".into()));
        assert_eq!(tasks.next(&clock, None).unwrap(), Next::Token(9));
    }
}
