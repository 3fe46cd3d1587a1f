//! Conditions as text: `{{previous.output.score}} >= 0.8 and not {{input.draft}}`.
//!
//! From weak to strong: `or`, `and`, `not`, then one of `== ~= != < <= > >= contains matches`
//! between two values. A value is a hole of a template or a literal: a text in quotes, which may have
//! holes in it, a number, a table in JSON, `true`, `false`, `nil`. A value alone holds unless it is
//! nil or false, as in Lua.
//!
//! A number and a text that says one are compared as numbers: models answer with texts.

mod judge;

use serde_json::Value;

use super::template::{Hole, Part, Template, hole, is_template, literal};

use judge::Judge;
pub use judge::matches;

/// Deepest nesting of parentheses and `not`.
const DEEPEST: usize = 100;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    /// As it was written.
    pub text: String,
    root: Node,
    /// In the order they are written; [`Condition::holds`] takes their values.
    pub templates: Vec<Template>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Any(Vec<Node>),
    All(Vec<Node>),
    Not(Box<Node>),
    Compare(Operand, Comparison, Operand),
    Is(Operand),
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Literal(Value),
    /// Number of a template.
    Filled(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
    Matches,
}

/// Longer signs first: `<` begins `<=`, too.
const SIGNS: &[(&str, Comparison)] = &[
    ("==", Comparison::Equal),
    ("~=", Comparison::Unequal),
    ("!=", Comparison::Unequal),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

const WORDS: &[(&str, Comparison)] =
    &[("contains", Comparison::Contains), ("matches", Comparison::Matches)];

impl Condition {
    /// Reads a condition; else says what is wrong with it.
    pub fn parse(text: &str) -> Result<Condition, String> {
        let mut reader = Reader { rest: text, templates: Vec::new(), depth: 0 };
        let root = reader.any()?;
        match reader.rest.trim_start() {
            "" => Ok(Condition { text: text.to_owned(), root, templates: reader.templates }),
            _ => Err(reader.wrong("an operator, \"and\" or \"or\"")),
        }
    }

    pub fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.templates.iter().flat_map(Template::holes)
    }

    /// Whether it holds for these values of its templates; `None` is nil. `matches` tells whether a text
    /// has a pattern in it. An order of what has none is an error, as in Lua.
    pub fn holds(
        &self,
        values: &[Option<Value>],
        matches: &dyn Fn(&str, &str) -> Result<bool, String>,
    ) -> Result<bool, String> {
        Judge { values, matches }.holds(&self.root)
    }
}

impl Default for Node {
    /// One that never holds.
    fn default() -> Node {
        Node::Any(Vec::new())
    }
}

struct Reader<'t> {
    rest: &'t str,
    templates: Vec<Template>,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn any(&mut self) -> Result<Node, String> {
        let mut nodes = vec![self.all()?];
        while self.word("or") {
            nodes.push(self.all()?);
        }
        Ok(joined(nodes, Node::Any))
    }

    fn all(&mut self) -> Result<Node, String> {
        let mut nodes = vec![self.one()?];
        while self.word("and") {
            nodes.push(self.one()?);
        }
        Ok(joined(nodes, Node::All))
    }

    fn one(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("a condition nests {DEEPEST} deep at most"));
        }
        let node = if self.word("not") {
            Node::Not(Box::new(self.one()?))
        } else if self.sign("(") {
            self.inner()?
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn inner(&mut self) -> Result<Node, String> {
        let node = self.any()?;
        if self.sign(")") { Ok(node) } else { Err(self.wrong("\")\"")) }
    }

    fn comparison(&mut self) -> Result<Node, String> {
        let left = self.operand()?;
        let sign = SIGNS.iter().find(|(sign, _)| self.sign(sign));
        let found = sign.or_else(|| WORDS.iter().find(|(word, _)| self.word(word)));
        match found {
            Some((_, comparison)) => Ok(Node::Compare(left, *comparison, self.operand()?)),
            None => Ok(Node::Is(left)),
        }
    }

    fn operand(&mut self) -> Result<Operand, String> {
        self.rest = self.rest.trim_start();
        if let Some(inner) = self.rest.strip_prefix("{{") {
            let (hole, behind) = hole(inner)?;
            self.rest = behind;
            return Ok(self.filled(Template { parts: vec![Part::Hole(hole)] }));
        }
        let (value, behind) = literal(self.rest).ok_or_else(|| self.wrong(VALUE))?;
        self.rest = behind;
        match value.as_str().filter(|text| is_template(text)) {
            Some(text) => Template::parse(text).map(|template| self.filled(template)),
            None => Ok(Operand::Literal(value)),
        }
    }

    fn filled(&mut self, template: Template) -> Operand {
        self.templates.push(template);
        Operand::Filled(self.templates.len() - 1)
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = self.rest.trim_start().strip_prefix(sign);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn word(&mut self, word: &str) -> bool {
        let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let found = self.rest.trim_start().strip_prefix(word);
        let found = found.filter(|behind| !behind.starts_with(part_of_word));
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn wrong(&self, expected: &str) -> String {
        match self.rest.trim_start() {
            "" => format!("expected {expected} at its end"),
            rest => {
                format!("expected {expected} at {:?}", rest.chars().take(30).collect::<String>())
            }
        }
    }
}

const VALUE: &str = "{{…}}, a text in quotes, a number, true, false or nil";

fn joined(mut nodes: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Node {
    match (nodes.len(), nodes.pop()) {
        (1, Some(node)) => node,
        (_, last) => join(nodes.into_iter().chain(last).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ask(text: &str, values: &[Value]) -> Result<bool, String> {
        let condition = Condition::parse(text)?;
        let values: Vec<Option<Value>> = values.iter().cloned().map(Some).collect();
        condition.holds(&values, &|text, pattern| Ok(text.starts_with(pattern)))
    }

    #[test]
    fn values_are_compared_as_in_lua_and_texts_of_numbers_as_numbers() {
        for (text, value, expected) in [
            ("{{a}} >= 0.8", json!(0.9), true),
            ("{{a}} >= 0.8", json!("0.9"), true),
            ("{{a}} < 10", json!(" 9 "), true),
            ("{{a}} < \"10\"", json!("9"), false),
            ("{{a}} == 1", json!(1.0), true),
            ("{{a}} == '1'", json!(1), true),
            ("{{a}} ~= 'x'", json!("x"), false),
            ("{{a}} != nil", json!(null), false),
            ("nil == {{a}}", json!(null), true),
            ("{{a}}", json!(0), true),
            ("{{a}}", json!(false), false),
            ("not {{a}}", json!(null), true),
            ("{{a}} == [1, \"2\"]", json!([1.0, "2"]), true),
            ("{{a}} == [1, \"2\"]", json!([1, 2]), false),
            ("{{a}} contains \"el\"", json!("hello"), true),
            ("{{a}} contains 2", json!([1, 2]), true),
            ("{{a}} contains \"k\"", json!({"k": null}), true),
            ("{{a}} contains \"k\"", json!(null), false),
            ("{{a}} matches \"he\"", json!("hello"), true),
            ("{{a}} == \"and\"", json!("and"), true),
            ("{{a}} == 9007199254740993", json!(9007199254740992u64), false),
            ("{{a}} < 9007199254740993", json!("9007199254740992"), true),
            ("{{a}} == []", json!({}), true),
            ("{} == {{a}}", json!([]), true),
            ("{{a}} == []", json!({"k": 1}), false),
            ("{{a}} contains 5", json!({}), false),
            ("'{{a}}' == 1", json!(1), true),
        ] {
            assert_eq!(ask(text, std::slice::from_ref(&value)), Ok(expected), "{text} {value}");
        }
    }

    #[test]
    fn and_is_stronger_than_or_and_not_than_both() {
        let truth = [json!(true), json!(false), json!(false)];
        for (text, expected) in [
            ("{{a}} or {{b}} and {{c}}", true),
            ("({{a}} or {{b}}) and {{c}}", false),
            ("not {{a}} or {{b}} == false", true),
            ("not ({{a}} and {{b}})", true),
            ("not not {{a}}", true),
        ] {
            assert_eq!(ask(text, &truth), Ok(expected), "{text}");
        }
        // What comes behind the answer is not looked at.
        assert_eq!(ask("{{a}} or {{b}} < {{c}}", &truth), Ok(true));
        assert_eq!(ask("{{b}} and {{b}} < {{c}}", &[json!(false), json!(1), json!({})]), Ok(false));
    }

    #[test]
    fn what_is_no_condition_is_told() {
        for (text, part) in [
            ("", "expected {{…}}"),
            ("{{a}} ==", "at its end"),
            ("{{a}} == done", "expected {{…}}, a text in quotes"),
            ("{{a}} = 1", "expected an operator"),
            ("{{a}} 1", "expected an operator"),
            ("({{a}}", "expected \")\""),
            ("{{a}} orx", "expected an operator"),
            ("{{a", "no closing braces"),
        ] {
            let why = Condition::parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
        let deep = "(".repeat(5000) + "1" + &")".repeat(5000);
        assert!(Condition::parse(&deep).unwrap_err().contains("100 deep"));
        assert!(Condition::parse(&("not ".repeat(5000) + "1")).is_err());
    }

    #[test]
    fn what_has_no_order_is_an_error() {
        for (text, value) in [
            ("{{a}} < 1", json!("x")),
            ("{{a}} < 1", json!(null)),
            ("{{a}} >= 'x'", json!([])),
            ("{{a}} matches 'x'", json!(1)),
            ("{{a}} contains 1", json!("1")),
        ] {
            assert!(ask(text, std::slice::from_ref(&value)).is_err(), "{text} {value}");
        }
    }
}
