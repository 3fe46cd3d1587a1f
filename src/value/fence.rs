//! Fenced blocks of a text: ` ```yaml … ``` `.
//!
//! This is for finding documents in what a model wrote, where fences may be indented, unclosed or
//! in the middle of prose. What CommonMark says of code blocks, `output/markdown` knows.

use std::ops::Range;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence<'t> {
    /// First word behind the opening fence; empty if there is none.
    pub language: &'t str,
    /// Bytes of the content.
    pub content: Range<usize>,
    /// Bytes of everything, fences included.
    pub whole: Range<usize>,
    /// Spaces before the opening fence.
    pub indent: usize,
}

/// All fenced blocks, in order. One that is never closed goes to the end.
pub fn fences(text: &str) -> Vec<Fence<'_>> {
    let mut found = Vec::new();
    let mut open: Option<(Fence<'_>, &str)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        match (open.take(), mark(line)) {
            (Some((mut fence, opening)), Some((closing, "", _))) if closes(opening, closing) => {
                fence.content.end = at;
                fence.whole.end = end;
                found.push(fence);
            }
            (None, Some((marks, info, indent))) if !info.contains('`') => {
                let language = info.split_whitespace().next().unwrap_or_default();
                let fence = Fence { language, content: end..end, whole: at..end, indent };
                open = Some((fence, marks));
            }
            (still, _) => open = still,
        }
        at = end;
    }
    if let Some((mut fence, _)) = open {
        (fence.content.end, fence.whole.end) = (text.len(), text.len());
        found.push(fence);
    }
    found
}

/// The fence on a line: its marks, what stands behind them, the space before.
fn mark(line: &str) -> Option<(&str, &str, usize)> {
    let line = line.trim_end();
    let rest = line.trim_start();
    let first = rest.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let info = rest.trim_start_matches(first);
    let marks = &rest[..rest.len() - info.len()];
    (marks.len() >= 3).then_some((marks, info.trim(), line.len() - rest.len()))
}

fn closes(opening: &str, closing: &str) -> bool {
    closing.len() >= opening.len() && closing.starts_with(&opening[..1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_are_found_wherever_they_stand() {
        let text = "Here:\n  ```json x\n{}\n```\n~~~~\n```\n~~~~\n```yaml\na: 1";
        let found: Vec<_> =
            fences(text).into_iter().map(|f| (f.language, &text[f.content], f.indent)).collect();
        assert_eq!(found, [("json", "{}\n", 2), ("", "```\n", 0), ("yaml", "a: 1", 0)]);
    }
}
