//! Results of tools that are kept: for tools that say of themselves that equal inputs have equal
//! results, and for calls that say so.

use std::rc::{Rc, Weak};
use std::sync::Arc;

use super::Tool;
use crate::optimize::functions::TOOL;
use crate::optimize::{Cache, Key, Recall, Wish};
use crate::value::{Data, Document, Ref, json};

/// The call as a question; `None` if its result is not to be kept. What the call says wins, then what
/// was switched for all tools, then the tool's definition. `write` adds the input and whatever else
/// the function is told.
pub fn question(
    cache: &Cache,
    tool: &Rc<Tool>,
    said: Option<Wish>,
    write: impl FnOnce(&mut Key),
) -> Option<Recall> {
    let switched = || cache.switched(TOOL).map(|on| if on { Wish::Yes } else { Wish::No });
    let wish = said.or_else(switched).or(tool.cache)?;
    if wish == Wish::No || !cache.is_enabled() {
        return None;
    }
    let mut key = Key::of(TOOL);
    key.int(Rc::as_ptr(tool).addr() as i64);
    write(&mut key);
    Some(Recall::new(key, [0; 4]).wished(wish))
}

/// A result, and the tool it is of: as long as it is known here, no other one has its address.
#[derive(Clone)]
struct Kept {
    result: Arc<Data>,
    _tool: Weak<Tool>,
}

pub fn find(cache: &mut Cache, recall: &Recall) -> Option<Arc<Data>> {
    cache.find::<Kept>(recall).map(|kept| kept.result)
}

/// Keeps a result that a copy can stand for.
pub fn keep(cache: &mut Cache, recall: Recall, tool: &Rc<Tool>, result: Option<Document>) {
    let result = match result {
        None => Data::Nil,
        Some(document) if document.value().is_some_and(is_exact) => document.into(),
        Some(_) => return,
    };
    let Some(weight) = result.weight() else { return };
    let kept = Kept { result: Arc::new(result), _tool: Rc::downgrade(tool) };
    cache.keep(recall, weight, kept);
}

/// Whether a copy has the same keys. Integers among the keys of an object became texts.
pub fn is_exact(value: Ref<'_>) -> bool {
    let named = |key: Ref<'_>| key.as_str().is_none_or(|key| key.parse::<i64>().is_err());
    value.items().all(is_exact)
        && value.members().all(|(key, member)| named(key) && is_exact(member))
}

/// How a model reads a kept result.
pub fn text(result: &Data) -> String {
    let Data::Document(document) = result else { return "null".into() };
    document.value().map_or_else(String::new, |value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => json::to_sorted(value),
    })
}
