//! The pieces in which an answer is sent.

use serde_json::Value;

/// Characters of the shortest pieces that a text is cut into.
const SHORTEST: usize = 6;
/// The most pieces that a text is cut into.
const MOST: usize = 64;

/// Events as they are written, each a piece of the body.
#[derive(Debug, Default)]
pub struct Stream {
    pub chunks: Vec<Vec<u8>>,
}

impl Stream {
    /// An event without a name.
    pub fn data(&mut self, event: &Value) {
        self.text(format!("data: {event}\n\n"));
    }

    /// An event whose name is its `type`.
    pub fn named(&mut self, event: &Value) {
        let name = event["type"].as_str().unwrap_or_default();
        self.text(format!("event: {name}\ndata: {event}\n\n"));
    }

    /// A document on a line of its own.
    pub fn line(&mut self, document: &Value) {
        self.text(format!("{document}\n"));
    }

    /// The word after the last event.
    pub fn done(&mut self) {
        self.text("data: [DONE]\n\n".into());
    }

    fn text(&mut self, text: String) {
        self.chunks.push(text.into_bytes());
    }
}

/// The text cut at borders of characters.
pub fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let size = SHORTEST.max(text.len().div_ceil(MOST));
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest.char_indices().nth(size).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_text() {
        let text = "Grüße aus Köln: \u{1F600} and more";
        assert_eq!(pieces(text).collect::<String>(), text);
        assert!(pieces(text).count() > 2);
        assert_eq!(pieces("").count(), 0);
        assert!(pieces(&"x".repeat(100_000)).count() <= MOST);
    }
}
