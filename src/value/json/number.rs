//! The text of a number, as JSON has it.

/// A number and where it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int(i64),
    Float(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// What stands at this index cannot go on a number: a digit must.
    Digit(usize),
    /// Larger than any float.
    Range,
}

/// Powers of ten that are exact as floats.
const EXACT: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Decimal digits that always fit into 64 bits.
const FITTING: usize = 19;

/// Reads the number at `from`; gives it and the index behind it.
///
/// Integers beyond 64 bits and `-0` become floats.
#[inline]
pub fn read(text: &[u8], from: usize) -> Result<(Number, usize), Wrong> {
    let negative = byte(text, from) == b'-';
    let start = from + usize::from(negative);
    let mut digits = Digits { text, at: start, value: 0, count: 0 };
    digits.whole()?;
    if matches!(byte(text, digits.at), b'.' | b'e' | b'E') {
        return float(digits, from, negative);
    }
    let value = digits.value;
    let int = match negative {
        false => i64::try_from(value).ok(),
        true => 0i64.checked_sub_unsigned(value).filter(|n| *n != 0),
    };
    match int {
        Some(int) if digits.count < FITTING => Ok((Number::Int(int), digits.at)),
        _ => long(text, from, digits.at),
    }
}

#[inline]
fn byte(text: &[u8], at: usize) -> u8 {
    // No number goes on with a zero byte.
    text.get(at).copied().unwrap_or(0)
}

struct Digits<'t> {
    text: &'t [u8],
    at: usize,
    /// Of the digits so far; wraps when there are more than fit.
    value: u64,
    count: usize,
}

impl Digits<'_> {
    /// The part before the point: `0`, or digits that do not begin with one.
    #[inline]
    fn whole(&mut self) -> Result<(), Wrong> {
        if byte(self.text, self.at) == b'0' {
            self.at += 1;
            return Ok(());
        }
        self.some()
    }

    /// One digit or more.
    #[inline]
    fn some(&mut self) -> Result<(), Wrong> {
        let start = self.at;
        loop {
            let digit = byte(self.text, self.at).wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            self.value = self.value.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
        self.count += self.at - start;
        if self.at == start { Err(Wrong::Digit(start)) } else { Ok(()) }
    }
}

#[inline(always)]
fn float(mut digits: Digits<'_>, from: usize, negative: bool) -> Result<(Number, usize), Wrong> {
    let mut exponent = 0i64;
    if byte(digits.text, digits.at) == b'.' {
        let before = digits.count;
        digits.at += 1;
        digits.some()?;
        exponent = before as i64 - digits.count as i64;
    }
    let (text, mut end) = (digits.text, digits.at);
    if matches!(byte(text, end), b'e' | b'E') {
        let (given, behind) = power(text, end + 1)?;
        exponent = exponent.saturating_add(given);
        end = behind;
    }
    match quick(digits.value, digits.count, exponent) {
        Some(value) => Ok((Number::Float(if negative { -value } else { value }), end)),
        None => slow(text, from, end),
    }
}

/// The exponent behind its letter. One that is out of all proportion stays so.
#[inline(never)]
fn power(text: &[u8], at: usize) -> Result<(i64, usize), Wrong> {
    let sign = byte(text, at);
    let start = at + usize::from(matches!(sign, b'+' | b'-'));
    let mut digits = Digits { text, at: start, value: 0, count: 0 };
    digits.some()?;
    let size = if digits.count > 9 { i64::from(u32::MAX) } else { digits.value as i64 };
    Ok((if sign == b'-' { -size } else { size }, digits.at))
}

/// Clinger's fast path: with both parts exact, one operation rounds once, so it rounds right.
fn quick(digits: u64, count: usize, exponent: i64) -> Option<f64> {
    if count > FITTING || digits > 1 << 53 {
        return None;
    }
    let power = *EXACT.get(usize::try_from(exponent.unsigned_abs()).ok()?)?;
    Some(if exponent < 0 { digits as f64 / power } else { digits as f64 * power })
}

/// An integer of nineteen digits or more: it fits, or it becomes a float.
#[cold]
fn long(text: &[u8], from: usize, to: usize) -> Result<(Number, usize), Wrong> {
    let int = str(text, from, to).parse::<i64>().ok().filter(|n| *n != 0);
    int.map_or_else(|| slow(text, from, to), |int| Ok((Number::Int(int), to)))
}

#[cold]
fn slow(text: &[u8], from: usize, to: usize) -> Result<(Number, usize), Wrong> {
    let value: f64 = str(text, from, to).parse().map_err(|_| Wrong::Digit(from))?;
    if value.is_finite() { Ok((Number::Float(value), to)) } else { Err(Wrong::Range) }
}

fn str(text: &[u8], from: usize, to: usize) -> &str {
    text.get(from..to).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_they_say() {
        let int = |n| Ok(Number::Int(n));
        let float = |n| Ok(Number::Float(n));
        for (text, expected) in [
            ("0", int(0)),
            ("-1", int(-1)),
            ("9223372036854775807", int(i64::MAX)),
            ("-9223372036854775808", int(i64::MIN)),
            ("9223372036854775808", float(9_223_372_036_854_775_808.0)),
            ("18446744073709551617", float(18_446_744_073_709_551_617.0)),
            ("0.1", float(0.1)),
            ("1e2", float(100.0)),
            ("123456789012345678901234567890e-20", float(1_234_567_890.123_456_7)),
            ("9007199254740993.0", float(9_007_199_254_740_992.0)),
            ("2.2250738585072011e-308", float(2.225_073_858_507_201e-308)),
            ("1e-400", float(0.0)),
            ("1e400", Err(Wrong::Range)),
            ("1e99999999999999999999", Err(Wrong::Range)),
            ("1.", Err(Wrong::Digit(2))),
            ("-", Err(Wrong::Digit(1))),
            ("1e+", Err(Wrong::Digit(3))),
        ] {
            assert_eq!(read(text.as_bytes(), 0).map(|(number, _)| number), expected, "{text}");
        }
    }

    #[test]
    fn a_negative_zero_keeps_its_sign() {
        for text in ["-0", "-0.0", "-0e5"] {
            let (number, end) = read(text.as_bytes(), 0).unwrap();
            assert!(matches!(number, Number::Float(n) if n == 0.0 && n.is_sign_negative()));
            assert_eq!(end, text.len());
        }
    }

    #[test]
    fn a_number_ends_where_it_cannot_go_on() {
        assert_eq!(read(b"01", 0), Ok((Number::Int(0), 1)));
        assert_eq!(read(b"[12,", 1), Ok((Number::Int(12), 3)));
    }
}
