//! How much of memory is persisted or loaded.

use super::{Kind, Scope, Selection, address};

#[derive(Clone, Debug, Default)]
pub struct Extent {
    /// None: of every type.
    pub kinds: Option<Vec<Kind>>,
    /// None: every scope.
    pub scope: Option<Scope>,
    /// Conversations of agents too.
    pub talks: bool,
}

impl Extent {
    pub fn takes(&self, key: &[u8], kind: Kind) -> bool {
        self.takes_kind(kind) && key.starts_with(&self.prefix())
    }

    pub fn takes_kind(&self, kind: Kind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }

    /// Whether every PERSISTENT entry belongs to it.
    pub fn is_whole(&self) -> bool {
        self.scope.is_none() && self.takes_kind(Kind::Persistent)
    }

    /// What the keys of its entries begin with.
    pub fn prefix(&self) -> Vec<u8> {
        self.scope.map(address::prefix).unwrap_or_default()
    }

    /// Its entries, of every type.
    pub fn selection(&self) -> Selection {
        Selection { prefix: self.prefix(), ..Selection::default() }
    }
}

/// Where an entry of a process lies in a store that it was persisted to: its type and its key.
pub fn kept_key(kind: Kind, key: &[u8]) -> Vec<u8> {
    let mut all = vec![tag(kind)];
    all.extend_from_slice(key);
    all
}

/// Takes apart what [`kept_key`] put together.
pub fn kept(key: &[u8]) -> Option<(Kind, &[u8])> {
    let (first, key) = key.split_first()?;
    let kind = Kind::ALL.into_iter().find(|kind| tag(*kind) == *first)?;
    Some((kind, key))
}

/// Stored: never changed.
fn tag(kind: Kind) -> u8 {
    match kind {
        Kind::Short => b's',
        Kind::Long => b'l',
        Kind::Persistent => b'p',
    }
}
