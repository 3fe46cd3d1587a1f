//! Texts as URLs write them: `%25` and its like.

/// Everything escaped but the characters that never need it.
pub fn encoded(text: &str) -> String {
    encoded_by(text, |byte| format!("%{byte:02X}"))
}

/// The same with escapes of one's own: not all write the digits in capitals.
pub fn encoded_by(text: &str, escape: impl Fn(u8) -> String) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).into() } else { escape(byte) })
        .collect()
}

/// What is meant; a percent sign without digits behind it stays.
pub fn decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.filter(|_| *first == b'%').and_then(|d| u8::from_str_radix(d, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_escaped_comes_back() {
        let text = "a/b =ü%";
        assert_eq!(encoded(text), "a%2Fb%20%3D%C3%BC%25");
        assert_eq!(decoded(&encoded(text)), text);
        for stays in ["", "100%", "%z1", "%2"] {
            assert_eq!(decoded(stays), stays);
        }
    }
}
