//! `&amp;` and its like. Nothing that a document declares itself is ever replaced.

use super::is_character;

/// Longest reference that is looked for, `&` and `;` included.
const LONGEST: usize = 12;

/// The reference that a text begins with: what it stands for, and its bytes.
pub fn reference(text: &str) -> Option<(char, usize)> {
    let rest = text.strip_prefix('&')?;
    let end = rest.bytes().take(LONGEST).position(|byte| byte == b';')?;
    let name = rest.get(..end)?;
    let c = match name.strip_prefix('#') {
        Some(number) => numbered(number)?,
        None => named(name)?,
    };
    Some((c, end + 2))
}

fn numbered(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let all = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    let code = all.then(|| u32::from_str_radix(digits, radix).ok())??;
    char::from_u32(code).filter(|c| is_character(*c))
}

fn named(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

/// As [`reference`], for what HTML has besides.
pub fn html(text: &str) -> Option<(char, usize)> {
    const NAMES: &[(&str, char)] = &[
        ("&nbsp;", '\u{A0}'),
        ("&copy;", '©'),
        ("&reg;", '®'),
        ("&deg;", '°'),
        ("&euro;", '€'),
        ("&hellip;", '…'),
        ("&ndash;", '–'),
        ("&mdash;", '—'),
        ("&lsquo;", '‘'),
        ("&rsquo;", '’'),
        ("&ldquo;", '“'),
        ("&rdquo;", '”'),
        ("&bull;", '•'),
        ("&times;", '×'),
        ("&rarr;", '→'),
    ];
    NAMES.iter().find(|(name, _)| text.starts_with(name)).map(|(name, c)| (*c, name.len()))
}
