//! The end of the process: what is queued is sent before, if the server is there.

use std::sync::{Arc, Mutex, Weak};

use super::post::Post;
use crate::clock::{Clock, Moment};
use crate::net::lock;
use crate::net::workers::PerProcess;
use crate::store::shared::depots::guard_exit;

type Posts = Mutex<Vec<Weak<Post>>>;

fn posts() -> &'static Posts {
    static POSTS: PerProcess<Posts> = PerProcess::empty();
    POSTS.get(Posts::default)
}

/// Called before anything is queued: the process may end without closing its Lua states.
pub fn guard(post: &Arc<Post>) {
    if post.state().queued() > 0 {
        return;
    }
    guard_exit();
    let mut posts = lock(posts());
    posts.retain(|known| known.strong_count() > 0);
    posts.push(Arc::downgrade(post));
}

/// The process ends: waits until everything is sent, and not beyond that moment.
pub fn finish(clock: &Clock, until: Moment) {
    let open: Vec<_> = lock(posts()).iter().filter_map(Weak::upgrade).collect();
    for post in open {
        post.settle(clock.now().until(until));
    }
}
