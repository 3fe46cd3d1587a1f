//! The functions and constants a calculation may name.

use std::f64::consts;

use super::number::{Computed, Number, Trouble};

type Compute = fn(&[Number]) -> Computed;

/// How many arguments, at least and at most.
type Count = (usize, usize);

const ONE: Count = (1, 1);
const TWO: Count = (2, 2);
const ANY: Count = (1, usize::MAX);

pub struct Function {
    pub name: &'static str,
    pub count: Count,
    pub compute: Compute,
}

const fn of(name: &'static str, count: Count, compute: Compute) -> Function {
    Function { name, count, compute }
}

/// A function of one float.
macro_rules! real {
    ($($name:literal $f:expr),* $(,)?) => {
        &[$(of($name, ONE, |x| Number::float($f(first(x).value())))),*]
    };
}

static REAL: &[Function] = real![
    "sqrt" f64::sqrt, "cbrt" f64::cbrt, "exp" f64::exp, "ln" logarithm, "log10" f64::log10,
    "log2" f64::log2, "sin" f64::sin, "cos" f64::cos, "tan" f64::tan, "asin" f64::asin,
    "acos" f64::acos, "atan" f64::atan, "sinh" f64::sinh, "cosh" f64::cosh, "tanh" f64::tanh,
    "deg" f64::to_degrees, "rad" f64::to_radians,
];

static OTHER: &[Function] = &[
    of("abs", ONE, |x| if first(x).value() < 0.0 { first(x).negated() } else { Ok(first(x)) }),
    of("sign", ONE, |x| Number::float(sign(first(x).value()))),
    of("floor", ONE, |x| whole(first(x), f64::floor)),
    of("ceil", ONE, |x| whole(first(x), f64::ceil)),
    of("trunc", ONE, |x| whole(first(x), f64::trunc)),
    of("round", (1, 2), round),
    of("log", (1, 2), log),
    of("pow", TWO, |x| first(x).power(second(x))),
    of("hypot", TWO, |x| Number::float(first(x).value().hypot(second(x).value()))),
    of("atan2", TWO, |x| Number::float(first(x).value().atan2(second(x).value()))),
    of("gcd", TWO, |x| Ok(Number::Int(gcd(integer(first(x))?, integer(second(x))?)))),
    of("lcm", TWO, lcm),
    of("factorial", ONE, factorial),
    of("min", ANY, |x| Ok(extreme(x, |a, b| a < b))),
    of("max", ANY, |x| Ok(extreme(x, |a, b| a > b))),
    of("sum", ANY, sum),
    of("mean", ANY, mean),
    of("avg", ANY, mean),
    of("median", ANY, median),
    of("variance", ANY, variance),
    of("stddev", ANY, |x| Number::float(variance(x)?.value().sqrt())),
    of("count", ANY, |x| Number::float(x.len() as f64)),
];

pub fn find(name: &str) -> Option<&'static Function> {
    REAL.iter().chain(OTHER).find(|function| function.name.eq_ignore_ascii_case(name))
}

pub fn constant(name: &str) -> Option<f64> {
    let known = [
        ("pi", consts::PI),
        ("e", consts::E),
        ("tau", consts::TAU),
        ("phi", 1.618_033_988_749_895),
    ];
    known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

/// Arguments were counted before.
fn first(x: &[Number]) -> Number {
    x.first().copied().unwrap_or(Number::Int(0))
}

fn second(x: &[Number]) -> Number {
    x.get(1).copied().unwrap_or(Number::Int(0))
}

fn logarithm(x: f64) -> f64 {
    x.ln()
}

fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

fn whole(x: Number, f: fn(f64) -> f64) -> Computed {
    match x {
        Number::Int(_) => Ok(x),
        Number::Float(x) => Number::float(f(x)),
    }
}

/// `round(x, digits)`: halves away from zero.
fn round(x: &[Number]) -> Computed {
    if x.len() < 2 {
        return whole(first(x), f64::round);
    }
    let digits = integer(second(x))?.clamp(-308, 308) as i32;
    let scale = 10f64.powi(digits);
    let scaled = first(x).value() * scale;
    if !scaled.is_finite() || scale == 0.0 {
        return Ok(first(x));
    }
    Number::float(scaled.round() / scale)
}

fn log(x: &[Number]) -> Computed {
    let natural = first(x).value().ln();
    match x.get(1) {
        None => Number::float(natural),
        Some(base) if base.value() == 10.0 => Number::float(first(x).value().log10()),
        Some(base) if base.value() == 2.0 => Number::float(first(x).value().log2()),
        Some(base) => Number::float(natural / base.value().ln()),
    }
}

fn integer(x: Number) -> Result<i64, Trouble> {
    match x {
        Number::Int(n) if n != i64::MIN => Ok(n),
        _ => Err("an integer is expected here"),
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}

fn lcm(x: &[Number]) -> Computed {
    let (a, b) = (integer(first(x))?, integer(second(x))?);
    match gcd(a, b) {
        0 => Ok(Number::Int(0)),
        by => Number::Int((a / by).abs()).times(Number::Int(b.abs())),
    }
}

fn factorial(x: &[Number]) -> Computed {
    match integer(first(x))? {
        n @ 0..=170 => (2..=n).try_fold(Number::Int(1), |all, n| all.times(Number::Int(n))),
        n if n < 0 => Err("a factorial of a negative number"),
        _ => Number::float(f64::INFINITY),
    }
}

fn extreme(x: &[Number], better: fn(f64, f64) -> bool) -> Number {
    let pick = |a: Number, b: Number| if better(b.value(), a.value()) { b } else { a };
    x.iter().copied().reduce(pick).unwrap_or(Number::Int(0))
}

fn sum(x: &[Number]) -> Computed {
    x.iter().try_fold(Number::Int(0), |sum, x| sum.plus(*x))
}

fn mean(x: &[Number]) -> Computed {
    sum(x)?.over(Number::Int(x.len() as i64))
}

fn median(x: &[Number]) -> Computed {
    let mut sorted = x.to_vec();
    sorted.sort_by(|a, b| a.value().total_cmp(&b.value()));
    let middle = sorted.len() / 2;
    let at = |i: usize| sorted.get(i).copied().unwrap_or(Number::Int(0));
    if sorted.len() % 2 == 1 {
        return Ok(at(middle));
    }
    at(middle.saturating_sub(1)).plus(at(middle))?.over(Number::Int(2))
}

/// Of all of them, not of a sample.
fn variance(x: &[Number]) -> Computed {
    let mean = mean(x)?.value();
    let squares = x.iter().map(|x| (x.value() - mean).powi(2));
    Number::float(squares.sum::<f64>() / x.len() as f64)
}
