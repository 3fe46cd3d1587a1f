//! One answer of a script: bytes, and what goes wrong with them.

use std::time::Duration;

use serde_json::json;

/// A body that is sent whole, or cut where its author wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Whole(Vec<u8>),
    Chunks(Vec<Vec<u8>>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
    /// Before the head.
    pub delay: Duration,
    /// Between chunks.
    pub chunk_delay: Duration,
    /// Before the end, or in place of what `close_after` cuts off.
    pub stall: Duration,
    /// A reset of the connection in place of the end.
    pub reset: bool,
    /// The connection ends behind so many bytes of the body.
    pub close_after: Option<usize>,
    /// Not even a head.
    pub silent: bool,
}

impl Default for Reply {
    fn default() -> Reply {
        Reply {
            status: 200,
            headers: Vec::new(),
            body: Body::Whole(Vec::new()),
            delay: Duration::ZERO,
            chunk_delay: Duration::ZERO,
            stall: Duration::ZERO,
            reset: false,
            close_after: None,
            silent: false,
        }
    }
}

impl Reply {
    /// An error of the server's own, in words that clients of every vendor find.
    pub fn failure(status: u16, why: &str) -> Reply {
        let error = json!({"message": why, "type": "mock_error", "code": null, "param": null});
        let body = json!({"type": "error", "error": error, "message": why});
        Reply {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: Body::Whole(body.to_string().into_bytes()),
            ..Reply::default()
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |key: &str| key.eq_ignore_ascii_case(name);
        self.headers.iter().find(|(key, _)| same(key)).map(|(_, value)| value.as_str())
    }

    pub fn pieces(&self) -> &[Vec<u8>] {
        match &self.body {
            Body::Whole(body) if body.is_empty() => &[],
            Body::Whole(body) => std::slice::from_ref(body),
            Body::Chunks(chunks) => chunks,
        }
    }

    pub fn length(&self) -> usize {
        self.pieces().iter().map(Vec::len).sum()
    }
}
