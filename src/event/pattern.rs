//! Patterns of event names: `workflow.*`, `agent.*.started`, `**.failed`.
//!
//! Names are segments with dots between them. `*` in the middle stands for exactly one segment, at
//! the end for any rest of the name; behind the beginning of the last segment for any rest, too.
//! `**` stands for any number of segments, also none.

use crate::error::{Error, Result, quoted};

/// Segments a pattern may have: the tree of patterns is as deep.
const MOST_SEGMENTS: usize = 128;

/// A segment of a pattern before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Exact(Box<str>),
    /// Exactly one segment.
    One,
    /// Any number of segments.
    Any,
}

/// What may follow behind the steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Nothing,
    /// At least one segment.
    Rest,
    /// A segment that begins with that text, and anything behind it.
    Prefix(Box<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub steps: Vec<Step>,
    pub end: End,
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Pattern> {
        let mut pattern = Pattern { steps: Vec::new(), end: End::Nothing };
        let mut segments = text.split('.').peekable();
        while let Some(segment) = segments.next() {
            let last = segments.peek().is_none();
            match segment {
                "**" => pattern.skip(),
                "*" if last => pattern.end = End::Rest,
                "*" => pattern.steps.push(Step::One),
                _ if !segment.contains('*') => pattern.steps.push(Step::Exact(segment.into())),
                _ => pattern.end = End::Prefix(beginning(segment, last, text)?),
            }
        }
        if pattern.steps.len() > MOST_SEGMENTS {
            let most = format!("{}: more than {MOST_SEGMENTS} segments", quoted(text));
            return Err(Error::invalid(most));
        }
        Ok(pattern)
    }

    /// Several `**` in a row are one.
    fn skip(&mut self) {
        if self.steps.last() != Some(&Step::Any) {
            self.steps.push(Step::Any);
        }
    }

    /// Whether an event of that name is meant.
    pub fn matches(&self, name: &str) -> bool {
        let segments: Vec<&str> = name.split('.').collect();
        let (mut step, mut at) = (0, 0);
        // Where to go on when what follows the last `**` did not fit: one segment later.
        let mut retry = None;
        loop {
            let fits = match self.steps.get(step) {
                Some(Step::Any) => {
                    step += 1;
                    retry = Some((step, at));
                    continue;
                }
                Some(Step::One) => at < segments.len(),
                Some(Step::Exact(text)) => segments.get(at).is_some_and(|s| *s == &**text),
                None if self.end.takes(segments.get(at)) => return true,
                None => false,
            };
            (step, at) = match &mut retry {
                _ if fits => (step + 1, at + 1),
                Some((behind, from)) if *from < segments.len() => {
                    *from += 1;
                    (*behind, *from)
                }
                _ => return false,
            };
        }
    }
}

impl End {
    /// Whether the name may go on with that segment, or end if there is none.
    fn takes(&self, next: Option<&&str>) -> bool {
        match self {
            End::Nothing => next.is_none(),
            End::Rest => next.is_some(),
            End::Prefix(beginning) => next.is_some_and(|next| next.starts_with(&**beginning)),
        }
    }
}

/// What stands before the `*` at the end of the last segment.
fn beginning(segment: &str, last: bool, text: &str) -> Result<Box<str>> {
    let beginning = segment.strip_suffix('*').filter(|rest| last && !rest.contains('*'));
    beginning.map(Box::from).ok_or_else(|| refused(text))
}

fn refused(text: &str) -> Error {
    Error::invalid(format!(
        "{}: a `*` may be a whole segment (`agent.*.started`, `agent.*`) or the end of the pattern \
         (`agent.st*`), and `**` a whole segment",
        quoted(text)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(name)
    }

    #[test]
    fn stars_mean_what_the_contract_says() {
        let cases = [
            ("workflow.*", "workflow.started", true),
            ("workflow.*", "workflow.step.started", true),
            ("workflow.*", "workflow", false),
            ("workflow.*", "workflows.started", false),
            ("workflow.*", "workflow.", true),
            ("agent.st*", "agent.started", true),
            ("agent.st*", "agent.st", true),
            ("agent.st*", "agent.started.again", true),
            ("agent.st*", "agent.ended", false),
            ("agent.st*", "agent", false),
            ("*", "anything", true),
            ("*", "any.thing", true),
            ("st*", "started", true),
            ("agent.*.started", "agent.llm.started", true),
            ("agent.*.started", "agent.started", false),
            ("agent.*.started", "agent.a.b.started", false),
            ("*.started", "agent.started", true),
            ("*.started", "started", false),
            ("**", "anything.at.all", true),
            ("**.failed", "failed", true),
            ("**.failed", "a.b.failed", true),
            ("**.failed", "a.failed.b", false),
            ("a.**", "a", true),
            ("a.**", "a.b.c", true),
            ("a.**", "b", false),
            ("a.**.z", "a.z", true),
            ("a.**.z", "a.b.z.c.z", true),
            ("a.**.*", "a", false),
            ("a.**.*", "a.b", true),
            ("a.**.b.*", "a.b", false),
            ("a.**.b.*", "a.b.b.c", true),
            ("**.x.**.y*", "x.q.yes.no", true),
            ("a", "a", true),
            ("a", "a.b", false),
            ("a..b", "a..b", true),
            ("a.*.b", "a..b", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} and {name}");
        }
    }

    #[test]
    fn a_star_anywhere_else_is_refused_with_what_is_allowed() {
        for text in ["a*b", "*a", "a*.b", "a**", "***", "a.*b", "**a", "a.b**", "s*t*"] {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.message().contains(&quoted(text)), "{error}");
            assert!(error.message().contains("`agent.st*`"), "{error}");
        }
        assert!(Pattern::parse(&"a.".repeat(200)).unwrap_err().message().contains("128 segments"));
    }

    #[test]
    fn many_double_stars_take_no_longer_than_their_product() {
        let pattern = format!("{}x", "**.a.".repeat(60));
        assert!(!matches(&pattern, &"a.".repeat(3000)));
    }
}
