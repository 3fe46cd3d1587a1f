//! The thread that reads.

use super::BACK;
use super::commands::{Answer, Entry, Wire};
use super::post::Post;
use crate::clock::Moment;
use crate::store::channel::Message;
use crate::store::position::resumed;

/// How long the server waits for entries before it answers that there are none: so late the end of
/// a channel is seen, too.
const WAIT_MS: u64 = 250;

/// Entries read at once.
const MOST: usize = 128;

/// What is handed back looks as if nobody had touched it for a day.
const LONG_MS: u64 = 86_400_000;

/// A member of a group.
struct Member<'p> {
    post: &'p Post,
    group: &'p str,
    me: &'p str,
    wire: Wire,
    /// When to look next for what others left, and to speak for what is held here.
    claim_at: Moment,
    speak_at: Moment,
}

impl Post {
    /// Everything that the thread does.
    pub fn read(&self) {
        let (mut position, mut attempt, mut begun) = (self.terms.since.clone(), 0, false);
        while !self.state().closing {
            let result = self.connected(&mut position, &mut begun, &mut attempt);
            let Err(failure) = result else { return };
            let error = failure.error(self.address.shown());
            if !begun {
                self.state().opened = Some(Err(error));
                return self.waker.wake();
            }
            self.fails(error);
            self.pause(attempt);
            attempt += 1;
        }
    }

    /// Until the connection breaks, or the end of the channel.
    fn connected(
        &self,
        position: &mut Option<String>,
        begun: &mut bool,
        attempt: &mut u32,
    ) -> Answer<()> {
        let mut wire = Wire::connect(&self.address, &self.terms.stream)?;
        let last = wire.last()?;
        if !self.terms.direction.reads() {
            self.ready(begun);
            return Ok(());
        }
        if let Some(group) = &self.terms.group {
            // A group that has vanished has lost its place: everything there is may be new to it.
            let start = if *begun { "0" } else { self.terms.since.as_deref().unwrap_or("$") };
            wire.join(group, start)?;
            return self.as_member(group, wire, begun, attempt);
        }
        *position = Some(match position.take() {
            Some(mine) if *begun => resumed(mine, last),
            Some(since) => since,
            None => last,
        });
        self.ready(begun);
        self.as_listener(wire, position, attempt)
    }

    fn ready(&self, begun: &mut bool) {
        if !std::mem::replace(begun, true) {
            self.state().opened = Some(Ok(()));
            self.waker.wake();
        }
        self.works();
    }

    fn as_listener(
        &self,
        mut wire: Wire,
        position: &mut Option<String>,
        attempt: &mut u32,
    ) -> Answer<()> {
        while let Some(room) = self.await_room() {
            if room == 0 {
                continue;
            }
            let after = position.clone().unwrap_or_default();
            let entries = wire.read(&after, room.min(MOST), WAIT_MS)?;
            *attempt = 0;
            if let Some(last) = entries.last() {
                *position = Some(last.position.clone());
            }
            let own = self.terms.origin.as_bytes();
            self.keep(entries.into_iter().filter(|entry| entry.origin != own));
        }
        Ok(())
    }

    fn as_member(
        &self,
        group: &str,
        wire: Wire,
        begun: &mut bool,
        attempt: &mut u32,
    ) -> Answer<()> {
        let now = self.clock.now();
        let me = self.terms.origin.as_str();
        let mut member = Member { post: self, group, me, wire, claim_at: now, speak_at: now };
        member.claim()?;
        member.recall()?;
        self.ready(begun);
        while let Some(room) = self.await_room() {
            member.speak()?;
            if room > 0 {
                member.claim()?;
                member.take(room.min(MOST))?;
            }
            *attempt = 0;
        }
        member.leave()
    }

    /// How many entries may come; `None` when the channel is closed. Waits a moment if there is no
    /// room.
    fn await_room(&self) -> Option<usize> {
        let full = |state: &mut super::post::State| state.free() == 0 && !state.closing;
        let patience = std::time::Duration::from_millis(WAIT_MS);
        let waited = self.room.wait_timeout_while(self.state(), patience, full);
        let state = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        (!state.closing).then(|| state.free())
    }

    fn keep(&self, entries: impl Iterator<Item = Entry>) {
        let mut state = self.state();
        let mut came = false;
        for Entry { position, bytes, .. } in entries {
            if self.terms.group.is_some() && !state.held.insert(position.clone()) {
                continue;
            }
            came = true;
            state.put(Message { position, bytes });
        }
        drop(state);
        if came {
            self.waker.wake();
        }
    }
}

impl Member<'_> {
    /// What was handed to this member before the connection broke, and did not arrive.
    fn recall(&mut self) -> Answer<()> {
        let mut after = "0".to_owned();
        loop {
            let entries = self.wire.take((self.group, self.me), &after, MOST, 1)?;
            let Some(last) = entries.last() else { return Ok(()) };
            after = last.position.clone();
            self.sort(entries)?;
        }
    }

    fn take(&mut self, most: usize) -> Answer<()> {
        let entries = self.wire.take((self.group, self.me), ">", most, WAIT_MS)?;
        self.sort(entries).map(drop)
    }

    /// Takes over what the dead have left, and what others handed back.
    fn claim(&mut self) -> Answer<()> {
        let now = self.post.clock.now();
        if now < self.claim_at {
            return Ok(());
        }
        let (mut from, mut strange) = ("0-0".to_owned(), true);
        loop {
            let most = self.post.state().free().min(MOST);
            if most == 0 {
                break;
            }
            let idle = self.post.terms.claim_ms;
            let (next, entries) = self.wire.claim((self.group, self.me), idle, &from, most)?;
            strange = self.sort(entries)? && strange;
            from = next;
            if from.is_empty() || from == "0-0" || self.post.state().closing {
                break;
            }
        }
        // Where there is only what it handed back itself, somebody else has to come.
        let pause = if strange { WAIT_MS } else { self.post.terms.claim_ms.min(2_000) };
        self.claim_at = now.after_ms(pause);
        Ok(())
    }

    /// Keeps entries of others and hands its own back; says whether there was none of those.
    fn sort(&mut self, entries: Vec<Entry>) -> Answer<bool> {
        let own = self.me.as_bytes();
        let (mine, others): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.origin == own);
        let (gone, others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|entry| entry.bytes.is_empty());
        let positions = |entries: Vec<Entry>| {
            entries.into_iter().map(|entry| entry.position).collect::<Vec<_>>()
        };
        self.wire.acknowledge(self.group, &positions(gone))?;
        let mine = positions(mine);
        self.wire.hand(self.group, BACK, LONG_MS, &mine)?;
        self.post.keep(others.into_iter());
        Ok(mine.is_empty())
    }

    /// Says of all that it holds that it is alive.
    fn speak(&mut self) -> Answer<()> {
        let now = self.post.clock.now();
        if now < self.speak_at {
            return Ok(());
        }
        self.speak_at = now.after_ms((self.post.terms.claim_ms / 3).max(1));
        let held: Vec<String> = self.post.state().held.iter().cloned().collect();
        self.wire.hand(self.group, self.me, 0, &held)
    }

    /// What it holds and has not handled is for others at once.
    fn leave(mut self) -> Answer<()> {
        let (acks, held) = {
            let mut state = self.post.state();
            (state.take_acks(), std::mem::take(&mut state.held))
        };
        self.wire.acknowledge(self.group, &acks)?;
        self.wire.hand(self.group, BACK, LONG_MS, &held.into_iter().collect::<Vec<_>>())?;
        let (group, me) = (self.group, self.me);
        self.wire.leave(group, me)
    }
}
