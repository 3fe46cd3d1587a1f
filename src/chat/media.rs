//! Bytes inside messages: images and documents, and what kind of file they are.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// A file in a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Encoded for the wire when sent.
    Bytes {
        data: Vec<u8>,
        mime_type: String,
    },
    Url(String),
}

impl Source {
    /// Bytes, of the given kind or of the one that shows.
    pub fn bytes(data: Vec<u8>, mime_type: Option<&str>) -> Source {
        let mime_type = mime_type.map_or_else(|| kind_of(&data).to_owned(), str::to_owned);
        Source::Bytes { data, mime_type }
    }

    /// A URL; one that holds its data itself is the same as the bytes.
    pub fn url(url: &str) -> Source {
        let Some((mime_type, data)) = data_url(url) else { return Source::Url(url.to_owned()) };
        Source::Bytes { data, mime_type }
    }

    /// As a URL, with the data inside if there is no other.
    pub fn to_url(&self) -> String {
        match self {
            Source::Url(url) => url.clone(),
            Source::Bytes { data, mime_type } => {
                format!("data:{mime_type};base64,{}", encoded(data))
            }
        }
    }
}

pub fn encoded(data: &[u8]) -> String {
    STANDARD.encode(data)
}

/// The bytes that a base64 text stands for.
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_ascii().trim_end_matches('=');
    STANDARD_NO_PAD.decode(text).ok()
}

/// The kind and the bytes of `data:image/png;base64,…`.
fn data_url(url: &str) -> Option<(String, Vec<u8>)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let mime_type = head.strip_suffix(";base64")?;
    Some((mime_type.to_owned(), decoded(data)?))
}

/// What kind of file begins like this.
pub fn kind_of(data: &[u8]) -> &'static str {
    const STARTS: [(&[u8], &str); 5] = [
        (b"\x89PNG", "image/png"),
        (b"\xFF\xD8\xFF", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"%PDF-", "application/pdf"),
        (b"BM", "image/bmp"),
    ];
    if let Some((_, kind)) = STARTS.iter().find(|(start, _)| data.starts_with(start)) {
        return kind;
    }
    match data {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ if std::str::from_utf8(data).is_ok() => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_and_its_bytes_are_the_same() {
        let source = Source::url("data:image/png;base64,iVBORw==");
        assert_eq!(source, Source::bytes(b"\x89PNG".to_vec(), None));
        assert_eq!(source.to_url(), "data:image/png;base64,iVBORw==");
        for url in ["https://x/y.png", "data:image/png;base64,%%", "data:,a"] {
            assert_eq!(Source::url(url), Source::Url(url.into()));
        }
    }

    #[test]
    fn files_are_told_by_their_first_bytes() {
        for (data, kind) in [
            (&b"\xFF\xD8\xFF\xE0"[..], "image/jpeg"),
            (b"RIFF\0\0\0\0WEBPVP8", "image/webp"),
            (b"%PDF-1.4", "application/pdf"),
            (b"plain words", "text/plain"),
            (b"\xFE\xFE", "application/octet-stream"),
        ] {
            assert_eq!(kind_of(data), kind);
        }
    }
}
