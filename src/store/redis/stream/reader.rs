//! The thread that reads.

use std::time::Duration;

use super::BACK;
use super::commands::{Answer, Entry, Wire};
use super::post::{Post, State};
use crate::clock::Moment;
use crate::store::channel::Message;
use crate::store::position::parse;

/// How long the server waits for entries before it answers that there are none: so late the end of
/// a channel is seen, too.
const WAIT_MS: u64 = 250;

/// Entries read at once.
const MOST: usize = 128;

/// A member that finds what it handed back itself looks again after this time at most.
const MOST_PAUSE_MS: u64 = 2_000;

/// So many parts of what is pending are looked at before anything else is done.
const MOST_LOOKS: usize = 16;

/// Before the first entry of a stream.
const START: &str = "0-0";

/// What is handed back looks as if nobody had touched it for a day.
const LONG_MS: u64 = 86_400_000;

/// How a look at what others left has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// There is more to look at.
    More,
    /// It was the last part.
    Over,
    /// There is no room for more.
    Full,
}

/// A member of a group.
struct Member<'p> {
    post: &'p Post,
    group: &'p str,
    me: &'p str,
    wire: Wire,
    /// Where to go on looking for what others left, and when.
    claim_from: String,
    claim_at: Moment,
    /// When to say that what is held here is in good hands.
    speak_at: Moment,
}

/// How far the reader has come, whatever connections it took.
#[derive(Default)]
struct Progress {
    /// Of the last entry that was read; of a listener only.
    position: Option<String>,
    /// A first connection stood.
    begun: bool,
    /// Connections that failed since one stood.
    failures: u32,
    /// What [`Post::failures`] said when this one was begun.
    since: u64,
}

impl Post {
    /// Everything that the thread does.
    pub fn read(&self) {
        let position = self.terms.since.clone();
        let mut progress = Progress { position, begun: self.terms.again, ..Progress::default() };
        while !self.state().closing {
            let Err(failure) = self.connected(&mut progress) else { return };
            let error = failure.error(self.address.shown());
            if !progress.begun {
                return self.began(Err(error));
            }
            self.fails(error, progress.since);
            self.pause(progress.failures);
            progress.failures += 1;
        }
    }

    /// Until the connection breaks, or the end of the channel.
    fn connected(&self, progress: &mut Progress) -> Answer<()> {
        progress.since = self.failures();
        let mut wire = Wire::connect(&self.address, &self.terms.stream)?;
        let last = wire.last()?;
        if !self.terms.direction.reads() {
            self.ready(progress);
            return Ok(());
        }
        if let Some(group) = &self.terms.group {
            // A group that has vanished has lost its place: everything there is may be new to it.
            let now = self.terms.since.as_deref().unwrap_or("$");
            wire.join(group, if progress.begun { "0" } else { now })?;
            return self.as_member(group, wire, progress);
        }
        progress.position = Some(match progress.position.take() {
            Some(mine) if progress.begun => resumed(mine, last),
            Some(since) => since,
            None => last,
        });
        self.ready(progress);
        self.as_listener(wire, progress)
    }

    fn ready(&self, progress: &mut Progress) {
        (progress.begun, progress.failures) = (true, 0);
        self.began(Ok(()));
        self.works(progress.since);
    }

    fn as_listener(&self, mut wire: Wire, progress: &mut Progress) -> Answer<()> {
        let own = self.terms.origin.as_bytes();
        while let Some(room) = self.await_room() {
            if room == 0 {
                continue;
            }
            let after = progress.position.clone().unwrap_or_default();
            let entries = wire.read(&after, room.min(MOST), WAIT_MS)?;
            if let Some(last) = entries.last() {
                progress.position = Some(last.position.clone());
            }
            let others = |entry: &Entry| entry.origin != own && !entry.bytes.is_empty();
            self.keep(entries.into_iter().filter(others));
        }
        Ok(())
    }

    fn as_member(&self, group: &str, wire: Wire, progress: &mut Progress) -> Answer<()> {
        let mut member = Member::new(self, group, wire);
        member.claim()?;
        member.recall()?;
        self.ready(progress);
        while let Some(room) = self.await_room() {
            member.speak()?;
            if room > 0 {
                member.claim()?;
                member.take()?;
            }
        }
        member.leave()
    }

    /// How many entries may come; `None` when the channel is closed. Waits a moment if there is no
    /// room.
    fn await_room(&self) -> Option<usize> {
        let full = |state: &mut State| state.free() == 0 && !state.closing;
        let patience = Duration::from_millis(WAIT_MS);
        let waited = self.room.wait_timeout_while(self.state(), patience, full);
        let state = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        (!state.closing).then(|| state.free())
    }

    fn keep(&self, entries: impl Iterator<Item = Entry>) {
        let mut state = self.state();
        let mut came = false;
        for Entry { position, origin, bytes } in entries {
            if self.terms.group.is_some() && !state.held.insert(position.clone()) {
                continue;
            }
            came = true;
            let origin = String::from_utf8_lossy(&origin).into_owned();
            state.put(Message { position, origin, bytes });
        }
        drop(state);
        if came {
            self.waker.wake();
        }
    }
}

impl<'p> Member<'p> {
    fn new(post: &'p Post, group: &'p str, wire: Wire) -> Member<'p> {
        let now = post.clock.now();
        let (me, claim_from) = (post.terms.member.as_str(), START.to_owned());
        Member { post, group, me, wire, claim_from, claim_at: now, speak_at: now }
    }

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

    fn take(&mut self) -> Answer<()> {
        let most = self.post.state().free().min(MOST);
        if most == 0 {
            return Ok(());
        }
        let entries = self.wire.take((self.group, self.me), ">", most, WAIT_MS)?;
        self.sort(entries).map(drop)
    }

    /// Takes over what the dead have left, and what others handed back.
    fn claim(&mut self) -> Answer<()> {
        let now = self.post.clock.now();
        if now < self.claim_at {
            return Ok(());
        }
        let (mut own, mut look) = (false, Look::More);
        for _ in 0..MOST_LOOKS {
            look = self.look(&mut own)?;
            if look != Look::More {
                break;
            }
        }
        let pause = match look {
            Look::Full => 0,
            // What it handed back itself waits for somebody else to come.
            _ if own => self.post.terms.claim_ms.min(MOST_PAUSE_MS),
            _ => WAIT_MS,
        };
        self.claim_at = now.after_ms(pause);
        Ok(())
    }

    /// The server looks at ten times as many entries as it may give.
    fn look(&mut self, own: &mut bool) -> Answer<Look> {
        let most = self.post.state().free().min(MOST);
        if most == 0 {
            return Ok(Look::Full);
        }
        let idle = self.post.terms.claim_ms;
        let who = (self.group, self.me);
        let (next, entries) = self.wire.claim(who, idle, &self.claim_from, most)?;
        let over = next.is_empty() || next == START;
        self.claim_from = if over { START.to_owned() } else { next };
        *own |= self.sort(entries)?;
        Ok(if over { Look::Over } else { Look::More })
    }

    /// Keeps entries of others and hands its own back; says whether there were any of those.
    fn sort(&mut self, entries: Vec<Entry>) -> Answer<bool> {
        let own = self.post.terms.origin.as_bytes();
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
        Ok(!mine.is_empty())
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

/// Where reading goes on after the connection was made again. A server that came back with less
/// than it had gives positions again that were behind: what is there now is behind us as well.
fn resumed(mine: String, last: String) -> String {
    if parse(&last) < parse(&mine) { last } else { mine }
}

#[cfg(test)]
mod tests {
    use super::resumed;

    #[test]
    fn reading_goes_on_where_it_was_unless_the_server_lost_entries() {
        assert_eq!(resumed("5-1".into(), "9-0".into()), "5-1");
        assert_eq!(resumed("5-10".into(), "5-9".into()), "5-9");
        assert_eq!(resumed("5-1".into(), "0-0".into()), "0-0");
    }
}
