//! What lies on the desk of a run: words that others have for it, and what it shows to those that
//! work for it.

use std::rc::Rc;

use crate::agent::Paused;
use crate::chat::Message;
use crate::value::Record;

#[derive(Debug)]
pub struct TakenOver {
    /// Id of the call.
    pub call_id: String,
    pub response: Record,
    /// What the model that called is told, unless a hook says otherwise.
    pub told: String,
}

#[derive(Debug, Default)]
pub struct Desk {
    /// Number of the agent.
    pub agent: u64,
    /// Name of the conversation; "" is the agent's own.
    pub session: String,
    /// Whether there will be another request, so that what is said now will be seen.
    pub open: bool,
    /// Messages for the next request.
    pub inbox: Vec<Message>,
    /// What was said to runs inside this one that ended before their models saw it.
    pub unseen: Vec<Message>,
    /// The conversation before the calls that run now, as far as the model was shown it.
    pub shown: Rc<[Message]>,
    /// Somebody reads chunks.
    pub follow: bool,
    /// An agent that a call handed over to has answered.
    pub taken_over: Option<TakenOver>,
    /// What had stopped inside calls, by their ids, where going on with it failed.
    #[allow(clippy::vec_box, reason = "they move between runs")]
    pub put_back: Vec<(String, Box<Paused>)>,
    /// Another run is at its conversation, and it waits for its turn.
    pub waits: bool,
}
