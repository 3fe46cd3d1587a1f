//! The runs that are under way: which one hears what is said, and which would wait for each other.

use crate::runtime::Runtime;
use crate::step::Token;
use crate::tasks::Tasks;

/// The run of an agent that a message is for: the one around the caller, else the one that began
/// first, of those that will still ask their model something.
pub fn heard_by(runtime: &mut Runtime, agent: u64, session: Option<&str>) -> Option<Token> {
    let tasks = &mut runtime.tasks;
    let around: Vec<Token> =
        std::iter::once(tasks.around).chain(tasks.above(tasks.around)).collect();
    let mut all = tasks.all();
    all.sort_unstable();
    let mut candidates = around.into_iter().chain(all);
    candidates.find(|token| hears(tasks, *token, agent, session))
}

fn hears(tasks: &mut Tasks, token: Token, agent: u64, session: Option<&str>) -> bool {
    tasks.desk(token).is_some_and(|desk| {
        desk.open && desk.agent == agent && session.is_none_or(|name| name == desk.session)
    })
}
