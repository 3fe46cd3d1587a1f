//! Which of several words a text means: other case, other punctuation, a remark beside it, or the
//! word inside a sentence.

use std::collections::HashMap;

/// Something to be recognised by its names.
pub struct Choice<'c> {
    /// The value's own text, its alias, its description.
    pub names: Vec<&'c str>,
}

/// Costs of recognising.
pub const EXACT: u32 = 0;
const SPELLING: u32 = 1;
const AMONG_WORDS: u32 = 3;

/// The choice that a text means and what recognising it cost; `None` if there is none or the text
/// names several equally often.
pub fn choose(choices: &[Choice<'_>], text: &str) -> Option<(usize, u32)> {
    let exact = |text: &str| choices.iter().position(|c| c.names.contains(&text));
    if let Some(at) = exact(text) {
        return Some((at, EXACT));
    }
    let bare = text.trim().trim_matches(|c| "\"'`*.".contains(c));
    if let Some(at) = exact(bare) {
        return Some((at, SPELLING));
    }
    spelled(choices, text).or_else(|| among_words(choices, text).map(|at| (at, AMONG_WORDS)))
}

/// Equal but for case, space and punctuation, also with the description behind the name.
fn spelled(choices: &[Choice<'_>], text: &str) -> Option<(usize, u32)> {
    let folded = fold(text);
    if folded.is_empty() {
        return None;
    }
    let is_meant = |choice: &Choice<'_>| {
        choice.names.iter().any(|name| fold(name) == folded) || {
            let whole: String = choice.names.iter().skip(1).map(|name| fold(name)).collect();
            let first = choice.names.first().map(|name| fold(name) + &whole);
            !whole.is_empty() && (whole == folded || first.is_some_and(|all| all == folded))
        }
    };
    let mut meant = choices.iter().enumerate().filter(|(_, choice)| is_meant(choice));
    let first = meant.next()?;
    meant.next().is_none().then_some((first.0, SPELLING))
}

/// Letters and digits alone, in lower case and without accents.
pub fn fold(text: &str) -> String {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    let mut folded = String::with_capacity(text.len());
    letters.flat_map(char::to_lowercase).for_each(|c| without_accent(c, &mut folded));
    folded
}

/// Letters of Latin alphabets and what they are written as without their marks.
const ACCENTS: &[(&str, &str)] = &[
    ("a", "àáâãäåāăą"),
    ("ae", "æ"),
    ("c", "çćĉċč"),
    ("d", "ďđð"),
    ("e", "èéêëēĕėęě"),
    ("g", "ĝğġģ"),
    ("h", "ĥħ"),
    ("i", "ìíîïĩīĭįı"),
    ("k", "ķ"),
    ("l", "ĺļľŀł"),
    ("n", "ñńņňŉ"),
    ("o", "òóôõöøōŏő"),
    ("oe", "œ"),
    ("r", "ŕŗř"),
    ("s", "śŝşšș"),
    ("ss", "ß"),
    ("t", "ţťŧț"),
    ("th", "þ"),
    ("u", "ùúûüũūŭůűų"),
    ("w", "ŵ"),
    ("y", "ýÿŷ"),
    ("z", "źżž"),
];

fn without_accent(c: char, folded: &mut String) {
    let plain = || ACCENTS.iter().find(|(_, marked)| marked.contains(c)).map(|(plain, _)| *plain);
    match if c.is_ascii() { None } else { plain() } {
        Some(plain) => folded.push_str(plain),
        None => folded.push(c),
    }
}

/// The choice named most often inside a text.
fn among_words(choices: &[Choice<'_>], text: &str) -> Option<usize> {
    let tokens = tokens(text);
    let mut by_first: HashMap<String, Vec<(usize, Vec<String>)>> = HashMap::new();
    for (at, choice) in choices.iter().enumerate() {
        for name in &choice.names {
            let words = self::tokens(name);
            let joined = words.concat();
            if words.len() > 1 {
                by_first.entry(joined.clone()).or_default().push((at, vec![joined]));
            }
            if let Some(first) = words.first() {
                by_first.entry(first.clone()).or_default().push((at, words));
            }
        }
    }
    // The longest name wins where several begin.
    by_first
        .values_mut()
        .for_each(|names| names.sort_by_key(|(_, words)| usize::MAX - words.len()));
    let mut counts = vec![0usize; choices.len()];
    let mut i = 0;
    while let Some(token) = tokens.get(i) {
        let names = by_first.get(token).into_iter().flatten();
        let here = |words: &[String]| tokens.get(i..).is_some_and(|rest| rest.starts_with(words));
        match names.into_iter().find(|(_, words)| here(words)) {
            Some((at, words)) => {
                counts[*at] += 1;
                i += words.len();
            }
            None => i += 1,
        }
    }
    let most = counts.iter().copied().max().filter(|most| *most > 0)?;
    let mut best = counts.iter().enumerate().filter(|(_, count)| **count == most);
    let first = best.next()?.0;
    best.next().is_none().then_some(first)
}

/// Runs of letters and digits in lower case; a capital after a small letter begins a new one.
fn tokens(text: &str) -> Vec<String> {
    let (mut all, mut token, mut small) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        let breaks = !c.is_alphanumeric() || (small && c.is_uppercase());
        if breaks && !token.is_empty() {
            all.push(std::mem::take(&mut token));
        }
        if c.is_alphanumeric() {
            c.to_lowercase().for_each(|c| without_accent(c, &mut token));
        }
        small = c.is_lowercase();
    }
    if !token.is_empty() {
        all.push(token);
    }
    all
}

/// A boolean in words; `None` if there is none, or both.
pub fn boolean(text: &str) -> Option<bool> {
    let word = text.trim().trim_matches(|c: char| !c.is_alphanumeric());
    ["true", "yes", "1", "on", "y"]
        .iter()
        .any(|yes| word.eq_ignore_ascii_case(yes))
        .then_some(true)
        .or_else(|| {
            let no = ["false", "no", "0", "off", "n"];
            no.iter().any(|no| word.eq_ignore_ascii_case(no)).then_some(false)
        })
}

/// As [`boolean`], of a sentence that holds one of the two words.
pub fn boolean_among_words(text: &str) -> Option<bool> {
    let has = |word: &str| tokens(text).iter().any(|token| token == word);
    match (has("true"), has("false"), has("yes"), has("no")) {
        (true, false, ..) => Some(true),
        (false, true, ..) => Some(false),
        (false, false, true, false) => Some(true),
        (false, false, false, true) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(choices: &[&[&str]], text: &str) -> Option<usize> {
        let choices: Vec<_> = choices.iter().map(|n| Choice { names: n.to_vec() }).collect();
        choose(&choices, text).map(|(at, _)| at)
    }

    const COLOURS: &[&[&str]] = &[&["DARK_RED", "crimson", "like blood"], &["BLUE"], &["GREEN"]];

    #[test]
    fn spellings_aliases_and_descriptions_are_recognised() {
        for text in [
            "DARK_RED",
            "dark red",
            "DarkRed",
            "\"dark-red\"",
            "Crimson",
            "like blood!",
            "DARK_RED: like blood",
            "crimson, like blood",
        ] {
            assert_eq!(meant(COLOURS, text), Some(0), "{text}");
        }
        assert_eq!(meant(COLOURS, "redd"), None);
        assert_eq!(meant(COLOURS, ""), None);
    }

    #[test]
    fn a_word_in_a_sentence_is_meant_if_it_is_named_most() {
        assert_eq!(meant(COLOURS, "I would say blue."), Some(1));
        assert_eq!(meant(COLOURS, "green? no: blue, really blue"), Some(1));
        assert_eq!(meant(COLOURS, "blue or green"), None);
        assert_eq!(meant(COLOURS, "blueish"), None);
        assert_eq!(meant(&[&["one"], &["one hundred"]], "it is one hundred"), Some(1));
    }

    #[test]
    fn accents_do_not_matter() {
        let dishes: &[&[&str]] = &[&["CRÈME_BRÛLÉE"], &["Weißwurst"]];
        assert_eq!(meant(dishes, "creme brulee"), Some(0));
        assert_eq!(meant(dishes, "a weisswurst, please"), Some(1));
    }

    #[test]
    fn booleans_are_words_too() {
        assert_eq!(boolean(" Yes."), Some(true));
        assert_eq!(boolean("OFF"), Some(false));
        assert_eq!(boolean("maybe"), None);
        assert_eq!(boolean_among_words("The answer is True"), Some(true));
        assert_eq!(boolean_among_words("true or false"), None);
    }
}
