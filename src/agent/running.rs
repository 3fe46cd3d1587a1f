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

/// Whether a run would wait for the conversation `(agent, session)` for ever: because the run that is
/// at it, or one inside that, waits for one that a run around this one is at.
pub fn would_never_have(runtime: &mut Runtime, run: Token, agent: u64, session: &str) -> bool {
    let mut asked: Vec<Token> = holder(runtime, agent, session).into_iter().collect();
    let mut seen = Vec::new();
    while let Some(holder) = asked.pop() {
        if runtime.tasks.is_within(run, holder) {
            return true;
        }
        if !seen.contains(&holder) {
            seen.push(holder);
            asked.extend(awaited_inside(runtime, holder));
        }
    }
    false
}

/// The runs that are at the conversations which those inside `outer` wait for.
fn awaited_inside(runtime: &mut Runtime, outer: Token) -> Vec<Token> {
    let mut wanted = Vec::new();
    for token in runtime.tasks.all() {
        if !runtime.tasks.is_within(token, outer) {
            continue;
        }
        if let Some(desk) = runtime.tasks.desk(token).filter(|desk| desk.waits) {
            wanted.push((desk.agent, desk.session.clone()));
        }
    }
    wanted.iter().filter_map(|(agent, session)| holder(runtime, *agent, session)).collect()
}

fn holder(runtime: &Runtime, agent: u64, session: &str) -> Option<Token> {
    runtime.agents.get(agent)?.conversation(session)?.queue.holder()
}
