//! Channels over Redis Streams.
//!
//! A stream is a key of Redis with entries of two fields: `o`, the origin of the message, and `e`,
//! its bytes. A channel has up to two threads, each with a connection of its own: the reader waits
//! for entries, the writer sends what is queued, as much as there is at once.
//!
//! **Groups** are consumer groups. An entry that was handed to a member stays pending until it was
//! handled; a member that is alive says so now and then of all that it holds, and what nobody has
//! spoken for in `claim_ms` is taken over. A member gets no message of its own: it hands the entry
//! back, under the name [`BACK`], where the next member that looks finds it.

mod commands;
mod exit;
mod post;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::Result;
use crate::net::Waker;
use crate::store::Url;
use crate::store::channel::{Message, Terms, Trouble};

use super::Address;
pub use exit::finish;
use post::Post;

/// The consumer that holds what members handed back.
const BACK: &str = "back";

/// Dropping it closes it; what is queued is sent before, if the server is there.
pub struct Channel {
    post: Arc<Post>,
}

impl Channel {
    /// Connects on a thread; `waker` tells of messages, of trouble and of the end.
    pub fn open(url: &Url, terms: Terms, clock: &Clock, waker: Waker) -> Result<Channel> {
        let address = Address::parse(url.secret())?;
        let post = Post::new(address, terms, clock.clone(), waker);
        Post::begin(&post)?;
        Ok(Channel { post })
    }

    /// False in a forked child, which needs a channel of its own.
    pub fn is_here(&self) -> bool {
        self.post.home.is_here()
    }

    /// Whether the first connection stood; `None` while that is not known: `waker` tells.
    pub fn opened(&self, waker: &Waker) -> Option<Result<()>> {
        self.post.opened(waker)
    }

    /// Queues a message. If a server that is there does not keep up, the caller is held for a
    /// moment; while it is away the oldest messages give way to new ones.
    pub fn send(&self, bytes: Vec<u8>) {
        exit::guard(&self.post);
        Post::send(&self.post, bytes);
    }

    /// The next message that came. After a `None` the waker tells when there is one.
    pub fn next(&self) -> Option<Message> {
        self.post.waker.rearm();
        self.post.state().next()
    }

    /// The message at that position is done with: no other member of the group is to get it.
    pub fn handled(&self, position: &str) {
        Post::handled(&self.post, position);
    }

    /// What went wrong since the last time.
    pub fn trouble(&self) -> Option<Trouble> {
        self.post.state().take_trouble()
    }

    /// The number of the last message that was queued.
    pub fn queued(&self) -> u64 {
        self.post.state().queued()
    }

    /// Tries again now what failed; answers how often it has failed so far.
    pub fn hurry(&self) -> u64 {
        self.post.hurry()
    }

    /// Whether all messages up to that number have left, or have failed oftener than `failures`;
    /// `None`: neither so far, and `waker` tells when.
    pub fn sent(&self, number: u64, failures: u64, waker: &Waker) -> Option<Result<()>> {
        self.post.sent(number, failures, waker)
    }

    /// Ends it; threads and connections follow soon.
    pub fn close(&self) {
        self.post.close();
    }

    /// Waits until everything queued is sent; false if that takes too long or cannot be.
    pub fn settle(&self, patience: Duration) -> bool {
        self.post.settle(patience)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if self.is_here() {
            self.close();
        } else {
            // Inherited: one more count, so that nothing of the parent's is touched.
            std::mem::forget(self.post.clone());
        }
    }
}
