//! Where in a stream an entry stands: `<milliseconds>-<number>`.

/// Whether a text names a position, as Redis reads it.
pub fn is_position(text: &str) -> bool {
    parse(text).is_some()
}

/// `5` is `5-0`.
pub fn parse(text: &str) -> Option<(u64, u64)> {
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (time, number) = text.split_once('-').unwrap_or((text, "0"));
    (plain(time) && plain(number)).then_some(())?;
    Some((time.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_numbers() {
        assert_eq!(parse("0"), Some((0, 0)));
        assert_eq!(parse("1700000000000-12"), Some((1_700_000_000_000, 12)));
        for wrong in ["", "-", "1-", "-1", "1-2-3", "a", "$", "+1", "1 ", "99999999999999999999"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
