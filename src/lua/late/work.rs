//! Which functions of memory are watched, and what hooks may do about them.

use crate::event::Builtin;
use crate::lua::bridge::{ENTRIES, Entry};
use crate::runtime::Runtime;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Its second argument may be changed.
    Save,
    /// All values among its first argument may be changed.
    SaveMany,
    /// Its result may be changed.
    Load,
    /// The same of each of its results.
    LoadMany,
    /// Nothing, but it may tell events, and what it runs may be hooked.
    Other,
}

impl Work {
    /// `None` for functions that nobody watches.
    pub fn of(entry: &Entry) -> Option<Work> {
        let name = Some(entry.function.name).filter(|_| entry.bridge.name == "memory")?;
        Some(match name {
            "store" => Work::Save,
            "store_many" => Work::SaveMany,
            "retrieve" => Work::Load,
            "retrieve_many" => Work::LoadMany,
            "delete" | "update" | "increment" | "clear" => Work::Other,
            _ => return None,
        })
    }

    /// The function that does it.
    pub fn entry(self) -> Option<&'static Entry> {
        ENTRIES.iter().find(|entry| Work::of(entry) == Some(self))
    }

    /// The name under which hooks know it.
    pub fn name(self) -> &'static str {
        match self {
            Work::Save => "memory_save",
            Work::Load => "memory_load",
            Work::SaveMany | Work::LoadMany | Work::Other => "memory_call",
        }
    }
}

/// Whether calls of a function are watched now.
pub fn watches(runtime: &Runtime, entry: &Entry) -> bool {
    is_watched(runtime) && Work::of(entry).is_some()
}

/// Whether calls of memory are.
pub fn is_watched(runtime: &Runtime) -> bool {
    runtime.events.wants(Builtin::MemoryUpdated)
        || runtime.events.wants(Builtin::BatchError)
        || runtime.hooks.is_hooked("memory_save")
        || runtime.hooks.is_hooked("memory_load")
}
