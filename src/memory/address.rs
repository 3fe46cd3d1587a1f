//! Scope, owner and key as one key of bytes.
//!
//! `g`, `a` or `s`, the varint of the owner's length, the owner, the key. So the keys of an owner
//! stand together in any order of bytes, and no owner or key can be mistaken for another. Stored:
//! never changed.

use crate::value::bytes::{Reader, put_number};

/// Who shares an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// The process.
    #[default]
    Global,
    /// One agent.
    Agent,
    /// One session.
    Session,
}

impl Scope {
    pub const NAMES: &'static [&'static str] = &["global", "agent", "session"];
    pub const ALL: [Scope; 3] = [Scope::Global, Scope::Agent, Scope::Session];

    pub fn name(self) -> &'static str {
        match self {
            Scope::Global => "global",
            Scope::Agent => "agent",
            Scope::Session => "session",
        }
    }

    pub fn parse(name: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.name() == name)
    }

    fn tag(self) -> u8 {
        match self {
            Scope::Global => b'g',
            Scope::Agent => b'a',
            Scope::Session => b's',
        }
    }
}

/// Where an entry lies; of GLOBAL the owner is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    pub scope: Scope,
    pub owner: String,
}

impl Address {
    pub fn new(scope: Scope, owner: impl Into<String>) -> Address {
        Address { scope, owner: owner.into() }
    }

    /// The key that an entry lies under, in a space and in a store.
    pub fn key(&self, key: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(3 + self.owner.len() + key.len());
        out.push(self.scope.tag());
        put_number(self.owner.len() as u64, &mut out);
        out.extend_from_slice(self.owner.as_bytes());
        out.extend_from_slice(key);
        out
    }

    /// What all keys of the owner begin with.
    pub fn prefix(&self) -> Vec<u8> {
        self.key(b"")
    }
}

/// The scope of a whole key.
pub fn scope(key: &[u8]) -> Scope {
    parse(key).map_or(Scope::Global, |(address, _)| address.scope)
}

/// What all keys of a scope begin with.
pub fn prefix(scope: Scope) -> Vec<u8> {
    vec![scope.tag()]
}

/// What keys of the scope GLOBAL begin with: they have no owner.
pub const GLOBAL: [u8; 2] = [b'g', 0];

/// Takes apart what [`Address::key`] put together.
pub fn parse(key: &[u8]) -> Option<(Address, &[u8])> {
    let mut reader = Reader(key);
    let tag = reader.byte()?;
    let scope = Scope::ALL.into_iter().find(|scope| scope.tag() == tag)?;
    let owner = String::from_utf8(reader.text()?.to_vec()).ok()?;
    Some((Address { scope, owner }, reader.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_apart_again() {
        for (scope, owner, key) in [
            (Scope::Global, "", &b"k"[..]),
            (Scope::Agent, "a\0b", b"\xff\0"),
            (Scope::Session, "s", b""),
        ] {
            let address = Address::new(scope, owner);
            let joined = address.key(key);
            assert_eq!(parse(&joined), Some((address, key)));
        }
        assert_eq!([&GLOBAL[..], b"k"].concat(), Address::default().key(b"k"));
    }

    #[test]
    fn an_owner_is_no_prefix_of_another() {
        let (a, ab) = (Address::new(Scope::Agent, "a"), Address::new(Scope::Agent, "ab"));
        assert!(!ab.key(b"x").starts_with(&a.prefix()));
    }
}
