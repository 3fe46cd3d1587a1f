//! Reads an expression and computes it on the way.

use super::functions::{self, Function};
use super::number::{Number, Trouble};
use crate::error::{Code, Error, Result, quoted};

/// Characters of an expression.
pub const LONGEST: usize = 10_000;
/// Parentheses, signs and powers inside each other.
const DEEPEST: usize = 100;

pub fn compute(text: &str) -> Result<Number> {
    if text.chars().count() > LONGEST {
        return Err(failure(format!("the expression is longer than {LONGEST} characters")));
    }
    let mut reader = Reader { rest: text, text, depth: 0 };
    let result = reader.sum()?;
    match reader.peek() {
        None => Ok(result),
        Some(_) => Err(reader.expected("an operator")),
    }
}

fn failure(message: String) -> Error {
    Error::new(Code::ToolError, message)
}

struct Reader<'t> {
    rest: &'t str,
    text: &'t str,
    depth: usize,
}

impl<'t> Reader<'t> {
    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn take(&mut self, sign: &str) -> bool {
        self.peek();
        let Some(rest) = self.rest.strip_prefix(sign) else { return false };
        self.rest = rest;
        true
    }

    /// The first of these signs that stands here, by what it means.
    fn sign(&mut self, signs: &[(&str, char)]) -> Option<char> {
        signs.iter().find(|(sign, _)| self.take(sign)).map(|(_, meaning)| *meaning)
    }

    fn column(&self) -> usize {
        let read = self.text.len() - self.rest.len();
        self.text.get(..read).unwrap_or_default().chars().count() + 1
    }

    fn expected(&mut self, what: &str) -> Error {
        let found = match self.peek() {
            None => "the end".into(),
            Some(_) => quoted(&self.rest.chars().take(12).collect::<String>()),
        };
        failure(format!("column {}: expected {what}, got {found}", self.column()))
    }

    fn at<T>(&self, column: usize, result: std::result::Result<T, Trouble>) -> Result<T> {
        result.map_err(|why| failure(format!("column {column}: {why}")))
    }

    fn sum(&mut self) -> Result<Number> {
        let mut left = self.product()?;
        while let Some(sign) = self.sign(&[("+", '+'), ("-", '-'), ("−", '-')]) {
            let column = self.column();
            let right = self.product()?;
            let result = if sign == '+' { left.plus(right) } else { left.minus(right) };
            left = self.at(column, result)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Number> {
        const SIGNS: &[(&str, char)] =
            &[("*", '*'), ("×", '*'), ("·", '*'), ("/", '/'), ("÷", '/'), ("%", '%')];
        let mut left = self.signed()?;
        while let Some(sign) = self.sign(SIGNS) {
            let column = self.column();
            let right = self.signed()?;
            let result = match sign {
                '*' => left.times(right),
                '/' => left.over(right),
                _ => left.modulo(right),
            };
            left = self.at(column, result)?;
        }
        Ok(left)
    }

    /// Every nesting passes here.
    fn signed(&mut self) -> Result<Number> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(failure(format!("nested deeper than {DEEPEST} levels")));
        }
        let column = self.column();
        let result = match self.sign(&[("-", '-'), ("−", '-'), ("+", '+')]) {
            Some('-') => {
                let negated = self.signed()?.negated();
                self.at(column, negated)
            }
            Some(_) => self.signed(),
            None => self.power(),
        };
        self.depth -= 1;
        result
    }

    fn power(&mut self) -> Result<Number> {
        let base = self.primary()?;
        if self.sign(&[("^", '^'), ("**", '^')]).is_none() {
            return Ok(base);
        }
        let column = self.column();
        let exponent = self.signed()?;
        self.at(column, base.power(exponent))
    }

    fn primary(&mut self) -> Result<Number> {
        match self.peek() {
            Some('(') => {
                self.take("(");
                let inner = self.sum()?;
                if self.take(")") { Ok(inner) } else { Err(self.expected("an operator or \")\"")) }
            }
            Some('0'..='9' | '.') => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.named(),
            _ => Err(self.expected("a number")),
        }
    }

    fn number(&mut self) -> Result<Number> {
        let length = length_of_number(self.rest.as_bytes());
        let (text, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        let is_whole = text.bytes().all(|c| c.is_ascii_digit());
        let whole = text.parse().ok().filter(|_| is_whole).map(Number::Int);
        let Some(value) = whole.map(Ok).or_else(|| Some(Number::float(text.parse().ok()?))) else {
            return Err(self.expected("a number"));
        };
        let value = self.at(self.column(), value)?;
        self.rest = rest;
        Ok(value)
    }

    fn named(&mut self) -> Result<Number> {
        let column = self.column();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        if let Some(function) = functions::find(name) {
            return self.call(function, column);
        }
        let unknown = || failure(format!("column {column}: unknown name {}", quoted(name)));
        let value = functions::constant(name).ok_or_else(unknown)?;
        self.at(column, Number::float(value))
    }

    fn call(&mut self, function: &Function, column: usize) -> Result<Number> {
        if !self.take("(") {
            return Err(self.expected(&format!("\"(\" after {}", function.name)));
        }
        let mut given = Vec::new();
        if !self.take(")") {
            self.list(")", &mut given)?;
        }
        let (least, most) = function.count;
        if given.len() < least || given.len() > most {
            let wanted = match most {
                usize::MAX => format!("at least {least}"),
                most if most == least => least.to_string(),
                most => format!("{least} to {most}"),
            };
            let (name, count) = (function.name, given.len());
            return Err(failure(format!(
                "column {column}: {name} takes {wanted} arguments, got {count}"
            )));
        }
        self.at(column, (function.compute)(&given))
    }

    /// Numbers up to the closing sign; a list in brackets is as its items.
    fn list(&mut self, close: &str, given: &mut Vec<Number>) -> Result<()> {
        loop {
            if close == ")" && self.take("[") {
                if !self.take("]") {
                    self.list("]", given)?;
                }
            } else {
                given.push(self.sum()?);
            }
            if self.take(close) {
                return Ok(());
            }
            if !self.take(",") && !self.take(";") {
                return Err(self.expected(&format!("\",\" or \"{close}\"")));
            }
        }
    }
}

/// `12`, `.5`, `1.25e-3`
fn length_of_number(text: &[u8]) -> usize {
    let digits = |from: usize| text.iter().skip(from).take_while(|c| c.is_ascii_digit()).count();
    let mut end = digits(0);
    if text.get(end) == Some(&b'.') {
        end += 1 + digits(end + 1);
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        match digits(end + 1 + sign) {
            0 => {}
            more => end += 1 + sign + more,
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> f64 {
        compute(text).unwrap_or_else(|e| panic!("{text}: {e}")).value()
    }

    fn trouble(text: &str) -> String {
        compute(text).map(|n| panic!("{text} = {n:?}")).unwrap_err().message().to_owned()
    }

    #[test]
    fn signs_bind_as_in_mathematics() {
        let known = [
            ("2 + 3 * 4", 14.0),
            ("(2 + 3) * 4", 20.0),
            ("2 ^ 3 ^ 2", 512.0),
            ("-2 ^ 2", -4.0),
            ("2 ^ -1", 0.5),
            ("2 ** 3", 8.0),
            ("10 - 4 - 3", 3.0),
            ("100 / 10 / 5", 2.0),
            ("7 % 3 * 2", 2.0),
            ("-7 % 3", 2.0),
            ("7 % -3", -2.0),
            ("--3", 3.0),
            ("2 × 3 ÷ 4 − 1", 0.5),
            ("1.5e2 + .5", 150.5),
            ("2*e", 2.0 * std::f64::consts::E),
        ];
        for (text, expected) in known {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn integers_stay_exact_while_they_can() {
        assert_eq!(compute("6 / 3").unwrap(), Number::Int(2));
        assert_eq!(compute("sqrt(16)").unwrap(), Number::Int(4));
        assert_eq!(compute("9007199254740993 + 1").unwrap(), Number::Int(9_007_199_254_740_994));
        assert_eq!(compute("7 / 2").unwrap(), Number::Float(3.5));
        assert_eq!(compute("2 ^ 64").unwrap(), Number::Float(18_446_744_073_709_551_616.0));
        assert_eq!(compute("-9223372036854775807 - 1").unwrap(), Number::Int(i64::MIN));
        let smallest = "(-9223372036854775807 - 1)";
        assert_eq!(compute(&format!("{smallest} % -1")).unwrap(), Number::Int(0));
        assert_eq!(value(&format!("{smallest} / -1")), 9.223_372_036_854_776e18);
        assert_eq!(value(&format!("abs({smallest})")), 9.223_372_036_854_776e18);
    }

    #[test]
    fn functions_take_what_they_say() {
        let known = [
            ("mean(1, 2, 3, 4)", 2.5),
            ("median([3, 1, 2])", 2.0),
            ("median(4, 1, 3, 2)", 2.5),
            ("sum([1, 2], 3)", 6.0),
            ("stddev(2, 4, 4, 4, 5, 5, 7, 9)", 2.0),
            ("round(2.5)", 3.0),
            ("round(2.71828, 1)", 2.7),
            ("log(8, 2)", 3.0),
            ("log10(1000)", 3.0),
            ("LN(E)", 1.0),
            ("factorial(5)", 120.0),
            ("gcd(12, -18)", 6.0),
            ("lcm(4, 6)", 12.0),
            ("max(1, 5, 3) - min(1, 5, 3)", 4.0),
            ("hypot(3, 4)", 5.0),
        ];
        for (text, expected) in known {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn what_has_no_result_says_why() {
        let known = [
            ("1 / 0", "column 4: division by zero"),
            ("5 % (2 - 2)", "column 4: division by zero"),
            ("0 ^ -1", "column 4: division by zero"),
            ("sqrt(-1)", "column 1: the result is not a real number"),
            ("(-8) ^ 0.5", "column 7: the result is not a real number"),
            ("9 ^ 9 ^ 9 ^ 9", "the result is too large"),
            ("1e999", "column 1: the result is too large"),
            ("ln(0)", "the result is too large"),
            ("factorial(171)", "the result is too large"),
            ("", "expected a number, got the end"),
            ("2 +", "expected a number, got the end"),
            ("2 2", "expected an operator, got \"2\""),
            ("(2", "expected an operator or \")\""),
            ("2)", "expected an operator, got \")\""),
            ("os.exit(1)", "unknown name \"os\""),
            ("sqrt 4", "expected \"(\" after sqrt"),
            ("sqrt(1, 2)", "sqrt takes 1 arguments, got 2"),
            ("mean()", "mean takes at least 1 arguments, got 0"),
            ("1,000", "expected an operator"),
            ("2 + ä", "expected a number, got \"ä\""),
            (".", "expected a number"),
        ];
        for (text, expected) in known {
            assert!(trouble(text).contains(expected), "{text}: {}", trouble(text));
        }
    }

    #[test]
    fn length_and_depth_are_bounded() {
        let nested = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
        assert_eq!(value(&nested(99)), 1.0);
        assert!(trouble(&nested(4000)).contains("deeper than 100"));
        assert!(trouble(&"-".repeat(9000)).contains("deeper than 100"));
        assert!(trouble(&"2^".repeat(4000)).contains("deeper than 100"));
        assert!(trouble(&"sqrt(".repeat(2000)).contains("deeper than 100"));
        assert!(trouble(&"1+".repeat(6000)).contains("longer than 10000"));
        assert_eq!(value(&format!("0{}", "+1".repeat(4000))), 4000.0);
    }
}
