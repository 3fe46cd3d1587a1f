//! What a message is about, also where it is no JSON or too long to be kept: whether it asks or
//! answers, and its id as it was written.

use memchr::memchr2;

use crate::provider::sse::BOM;

/// Longest name of a member, and longest id, that is read.
const LONGEST: usize = 64 << 10;

/// Messages of one batch that are looked at.
const MOST_ITEMS: usize = 10_000;

/// One message: an object, alone or in an array.
#[derive(Debug, Default, PartialEq)]
pub struct Item {
    /// A number or a text in its quotes, or whatever else stands there.
    pub id: Option<String>,
    /// It has a result or an error.
    pub answers: bool,
    /// It has a method.
    pub asks: bool,
}

/// Follows quotes and brackets only, so it makes something of any bytes.
#[derive(Debug, Default)]
pub struct Outline {
    depth: usize,
    /// Where members stand: 1, in a batch 2. 0 before the first sign.
    base: usize,
    in_text: bool,
    escaped: bool,
    open: bool,
    /// What was read of a member's name or its plain value.
    word: Vec<u8>,
    /// The value that is being read is the id.
    in_id: bool,
    item: Item,
    items: Vec<Item>,
}

impl Outline {
    pub fn of(text: &[u8]) -> Outline {
        let mut outline = Outline::default();
        outline.push(text);
        outline
    }

    /// The messages, the last one maybe in part.
    pub fn items(mut self) -> Vec<Item> {
        if self.open {
            self.items.push(self.item);
        }
        self.items
    }

    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.in_text && !self.escaped {
                let end = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
                let (plain, rest) = bytes.split_at(end);
                plain.iter().for_each(|byte| self.keep(*byte));
                bytes = rest;
                self.escaped = bytes.first() == Some(&b'\\');
                self.in_text = bytes.first() != Some(&b'"');
                bytes = self.kept(bytes);
            } else if self.in_text {
                self.escaped = false;
                bytes = self.kept(bytes);
            } else {
                self.sign(*first);
                bytes = rest;
            }
        }
    }

    /// Without the first byte, which is a part of the word.
    fn kept<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let Some((first, rest)) = bytes.split_first() else { return bytes };
        self.keep(*first);
        rest
    }

    fn is_member(&self) -> bool {
        self.open && self.depth == self.base
    }

    fn keep(&mut self, byte: u8) {
        if self.is_member() && self.word.len() < LONGEST {
            self.word.push(byte);
        }
    }

    /// A byte outside of texts.
    fn sign(&mut self, byte: u8) {
        match byte {
            b'{' | b'[' => self.opens(byte),
            b'}' | b']' => self.closes(),
            b':' if self.is_member() => self.named(),
            b',' if self.is_member() => self.valued(),
            byte if byte.is_ascii_whitespace() || self.base == 0 && BOM.contains(&byte) => {}
            byte => {
                // What begins otherwise is no message, whatever follows.
                self.base = if self.base == 0 { usize::MAX } else { self.base };
                self.in_text = byte == b'"';
                self.keep(byte);
            }
        }
    }

    fn opens(&mut self, byte: u8) {
        self.keep(byte);
        if self.depth == 0 && self.base == 0 {
            self.base = if byte == b'{' { 1 } else { 2 };
        }
        self.depth += 1;
        if byte == b'{' && self.depth == self.base && !self.open {
            self.open = true;
        }
    }

    fn closes(&mut self) {
        if self.is_member() {
            self.valued();
            self.open = false;
            let item = std::mem::take(&mut self.item);
            if self.items.len() < MOST_ITEMS {
                self.items.push(item);
            }
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn named(&mut self) {
        match self.word.as_slice() {
            b"\"result\"" | b"\"error\"" => self.item.answers = true,
            b"\"method\"" => self.item.asks = true,
            _ => {}
        }
        self.in_id = self.word == b"\"id\"";
        self.word.clear();
    }

    fn valued(&mut self) {
        if std::mem::take(&mut self.in_id) {
            self.item.id = String::from_utf8(std::mem::take(&mut self.word)).ok();
        }
        self.word.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also in single bytes: it must not matter how they come.
    fn items(text: &[u8]) -> Vec<Item> {
        let mut outline = Outline::default();
        text.chunks(1).for_each(|byte| outline.push(byte));
        let items = outline.items();
        assert_eq!(items, Outline::of(text).items());
        items
    }

    fn item(id: Option<&str>, answers: bool, asks: bool) -> Item {
        Item { id: id.map(str::to_owned), answers, asks }
    }

    #[test]
    fn the_id_is_found_wherever_it_stands_and_as_it_was_written() {
        let text = br#" {"result":{"id":1,"x":["}",{"id":2}]},"jsonrpc":"2.0" , "id" : 1e20 }"#;
        assert_eq!(items(text), [item(Some("1e20"), true, false)]);
        let text = br#"{"id":"a\"\u0041 b","method":"x","params":{"error":"\"result\":"}}"#;
        assert_eq!(items(text), [item(Some(r#""a\"\u0041 b""#), false, true)]);
        assert_eq!(items(br#"{"id":3,"error":{"a":"\xff"#), [item(Some("3"), true, false)]);
        // It may go on: 3 may be the beginning of 34.
        assert_eq!(items(br#"{"result":1,"id":3"#), [item(None, true, false)]);
    }

    #[test]
    fn a_batch_has_an_item_for_each_object() {
        let text = br#"[{"id":1,"result":[{"id":5}]},7,[{"id":6}],{},{"id":[2],"method":""}]"#;
        let expected =
            [item(Some("1"), true, false), item(None, false, false), item(Some("["), false, true)];
        assert_eq!(items(text), expected);
    }

    #[test]
    fn what_is_no_message_has_none() {
        for text in [
            "",
            "print",
            "[1,2",
            "]]}}",
            "\"id\":1",
            "}{\"id\"",
            "[\"id\":1]",
            "log: {\"id\":1,\"result\":2}",
        ] {
            assert!(items(text.as_bytes()).iter().all(|i| *i == Item::default()), "{text}");
        }
        assert_eq!(items(&b"[".repeat(100_000)), []);
        assert_eq!(items(&b"{".repeat(100_000)), [Item::default()]);
    }
}
