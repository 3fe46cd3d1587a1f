//! A document that arrives in pieces: wherever it is split, the same value grows; of a valid one, the
//! value that the strict reader gives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use zigllms::output::stream::{Edit, Machine, Piece, Place};
use zigllms::value::{Kind, Tape, json};

fuzz_target!(|text: &[u8]| {
    let whole = Growing::fed(text.chunks(text.len().max(1)));
    let bytewise = Growing::fed(text.chunks(1));
    let uneven = Growing::fed(text.chunks(text.len() / 3 + 1));
    assert_eq!(whole.state(), bytewise.state());
    assert_eq!(whole.state(), uneven.state());
    let mut tape = Tape::default();
    let Ok(root) = json::parse(text, &mut tape) else { return };
    let value = tape.at(root).expect("a value");
    if value.is_array() || value.is_object() {
        assert!(whole.machine.is_complete());
        assert_eq!(whole.root, value.to_json());
    }
});

#[derive(Default)]
struct Growing {
    machine: Machine,
    root: Value,
    /// To the container that each level stands for.
    path: Vec<Key>,
}

enum Key {
    Name(String),
    Index(usize),
}

impl Growing {
    fn fed<'t>(chunks: impl Iterator<Item = &'t [u8]>) -> Growing {
        let mut growing = Growing::default();
        for chunk in chunks {
            growing.machine.feed(chunk);
            for edit in growing.machine.edits().to_vec() {
                growing.carry_out(edit);
            }
        }
        growing
    }

    /// An open string is shown when it has grown enough, so only what is whole is compared.
    fn state(&self) -> (bool, bool, Option<&Value>) {
        let complete = self.machine.is_complete();
        (complete, self.machine.is_broken(), complete.then_some(&self.root))
    }

    fn carry_out(&mut self, edit: Edit) {
        let bytes = self.machine.bytes();
        let text = |from: usize, to: usize| {
            String::from_utf8(bytes.get(from..to).expect("a range").to_vec()).expect("UTF-8")
        };
        let value = match edit.value {
            Piece::Null => Value::Null,
            Piece::Bool(value) => value.into(),
            Piece::Int(value) => value.into(),
            Piece::Float(value) => value.into(),
            Piece::Text(from, to) => text(from, to).into(),
            Piece::Open(Kind::Array) => Value::Array(Vec::new()),
            Piece::Open(_) => Value::Object(serde_json::Map::new()),
        };
        if edit.level == 0 {
            self.root = value;
            return self.path.clear();
        }
        let key = match edit.place {
            Place::Name(from, to) => Key::Name(text(from, to)),
            Place::Index(i) => Key::Index(i - 1),
        };
        self.path.truncate(edit.level - 1);
        let mut at = &mut self.root;
        for step in &self.path {
            at = match step {
                Key::Name(name) => at.get_mut(name).expect("a member"),
                Key::Index(i) => at.get_mut(*i).expect("an item"),
            };
        }
        match (&key, at) {
            (Key::Name(name), Value::Object(members)) => {
                members.insert(name.clone(), value);
            }
            (Key::Index(i), Value::Array(items)) if *i < items.len() => items[*i] = value,
            (Key::Index(i), Value::Array(items)) if *i == items.len() => items.push(value),
            _ => panic!("an edit of a value that has no such place"),
        }
        self.path.push(key);
    }
}
