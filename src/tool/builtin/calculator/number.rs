//! Numbers that stay integers as long as they are exact.

use serde_json::Value;

/// Integers beyond it are not all there among the floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int(i64),
    Float(f64),
}

/// Why there is no result.
pub type Trouble = &'static str;
pub type Computed = Result<Number, Trouble>;

pub const BY_ZERO: Trouble = "division by zero";
const TOO_LARGE: Trouble = "the result is too large";
const UNDEFINED: Trouble = "the result is not a real number";

impl Number {
    /// Fails for what is no number, or endless.
    pub fn float(value: f64) -> Computed {
        match value {
            value if value.is_nan() => Err(UNDEFINED),
            value if value.is_infinite() => Err(TOO_LARGE),
            value if value.fract() == 0.0 && value.abs() <= EXACT => Ok(Number::Int(value as i64)),
            value => Ok(Number::Float(value)),
        }
    }

    pub fn value(self) -> f64 {
        match self {
            Number::Int(n) => n as f64,
            Number::Float(x) => x,
        }
    }

    pub fn to_json(self) -> Value {
        match self {
            Number::Int(n) => n.into(),
            Number::Float(x) => x.into(),
        }
    }

    pub fn is_zero(self) -> bool {
        self.value() == 0.0
    }

    pub fn negated(self) -> Computed {
        exactly(self, self, |n, _| n.checked_neg(), |x, _| -x)
    }

    pub fn plus(self, other: Number) -> Computed {
        exactly(self, other, i64::checked_add, |a, b| a + b)
    }

    pub fn minus(self, other: Number) -> Computed {
        exactly(self, other, i64::checked_sub, |a, b| a - b)
    }

    pub fn times(self, other: Number) -> Computed {
        exactly(self, other, i64::checked_mul, |a, b| a * b)
    }

    pub fn over(self, other: Number) -> Computed {
        if other.is_zero() {
            return Err(BY_ZERO);
        }
        let whole = |a: i64, b: i64| (a.checked_rem(b)? == 0).then(|| a / b);
        exactly(self, other, whole, |a, b| a / b)
    }

    /// With the sign of the divisor, as in Lua.
    pub fn modulo(self, other: Number) -> Computed {
        if other.is_zero() {
            return Err(BY_ZERO);
        }
        let floored = |rest: f64, b: f64| if rest * b < 0.0 { rest + b } else { rest };
        let whole = |a: i64, b: i64| {
            let rest = a.checked_rem(b)?;
            Some(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        };
        exactly(self, other, whole, |a, b| floored(a % b, b))
    }

    pub fn power(self, other: Number) -> Computed {
        if self.is_zero() && other.value() < 0.0 {
            return Err(BY_ZERO);
        }
        let whole = |a: i64, b: i64| a.checked_pow(u32::try_from(b).ok()?);
        exactly(self, other, whole, f64::powf)
    }
}

/// By integers where both are and the result is one, else by floats.
fn exactly(
    a: Number,
    b: Number,
    whole: impl Fn(i64, i64) -> Option<i64>,
    real: impl Fn(f64, f64) -> f64,
) -> Computed {
    if let (Number::Int(a), Number::Int(b)) = (a, b)
        && let Some(n) = whole(a, b)
    {
        return Ok(Number::Int(n));
    }
    Number::float(real(a.value(), b.value()))
}
