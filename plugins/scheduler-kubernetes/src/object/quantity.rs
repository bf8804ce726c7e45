//! Amounts such as `500m`, `1.5Gi` or `2e3`: parsed exactly, compared, and written in their canonical form.

use std::cmp::Ordering;
use std::fmt;

/// Billionths in one.
const NANO: i128 = 1_000_000_000;

/// The largest whole amount; more is taken as this.
const MOST: i128 = i64::MAX as i128;

/// How an amount was written, and is written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `500m`, `2`, `3k`.
    Decimal,
    /// `1Gi`.
    Binary,
    /// `1e3`.
    Exponent,
}

/// An amount, exact to a billionth; finer ones are rounded up.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nanos: i128,
    form: Form,
}

/// The text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAQuantity {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse quantity's suffix")]
    Suffix,
    #[error("unable to parse numeric part of quantity")]
    Numeric,
}

impl Quantity {
    /// A whole number.
    pub fn whole(value: i64) -> Self {
        Self {
            nanos: i128::from(value) * NANO,
            form: Form::Decimal,
        }
    }

    /// Reads an amount.
    ///
    /// # Errors
    /// [`NotAQuantity`] in the words of the real server.
    pub fn parse(text: &str) -> Result<Self, NotAQuantity> {
        let (negative, rest) = match text.as_bytes().first() {
            None => return Err(NotAQuantity::Format),
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
        };
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        if number.matches('.').count() > 1
            || !number.bytes().any(|b| b.is_ascii_digit())
            || !plausible(suffix)
        {
            return Err(NotAQuantity::Format);
        }
        let (form, scale) = scale(suffix).ok_or(NotAQuantity::Suffix)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let nanos = nanos(whole, fraction, scale).ok_or(NotAQuantity::Numeric)?;
        Ok(Self {
            nanos: if negative { -nanos } else { nanos },
            form,
        })
    }

    /// Thousandths, rounded up, at most what fits.
    pub fn millis(&self) -> i64 {
        saturated(ceil(self.nanos, NANO / 1000))
    }

    /// Whole units, rounded up, at most what fits.
    pub fn value(&self) -> i64 {
        saturated(ceil(self.nanos, NANO))
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.nanos < 0
    }

    /// Whether it is a whole number.
    pub fn is_whole(&self) -> bool {
        self.nanos % NANO == 0
    }
}

/// What may stand behind the digits, before it is known whether it means anything.
fn plausible(suffix: &str) -> bool {
    let letters = suffix.trim_start_matches(|c: char| "eEinumkKMGTP".contains(c));
    let digits = letters.strip_prefix(['-', '+']).unwrap_or(letters);
    digits.bytes().all(|b| b.is_ascii_digit())
}

/// A power of ten or of two.
#[derive(Clone, Copy)]
enum Scale {
    Ten(i32),
    Two(u32),
}

fn scale(suffix: &str) -> Option<(Form, Scale)> {
    let ten = |power| Some((Form::Decimal, Scale::Ten(power)));
    let two = |power| Some((Form::Binary, Scale::Two(power)));
    match suffix {
        "n" => ten(-9),
        "u" => ten(-6),
        "m" => ten(-3),
        "" => ten(0),
        "k" => ten(3),
        "M" => ten(6),
        "G" => ten(9),
        "T" => ten(12),
        "P" => ten(15),
        "E" => ten(18),
        "Ki" => two(10),
        "Mi" => two(20),
        "Gi" => two(30),
        "Ti" => two(40),
        "Pi" => two(50),
        "Ei" => two(60),
        _ => {
            let power = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            Some((Form::Exponent, Scale::Ten(power)))
        }
    }
}

/// The amount in billionths, rounded up, at most [`MOST`] whole units; `None` if the digits are too many.
fn nanos(whole: &str, fraction: &str, scale: Scale) -> Option<i128> {
    let fraction = fraction.trim_end_matches('0');
    let digits: String = [whole.trim_start_matches('0'), fraction].concat();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    // With this many digits the amount is capped or below a billionth long before the product can overflow.
    if digits.len() > 36 || fraction.len() > 36 {
        return None;
    }
    let number: i128 = digits.parse().ok()?;
    let down = i32::try_from(fraction.len()).ok()?;
    let exact = match scale {
        Scale::Ten(power) => tens(number, power.saturating_add(9).saturating_sub(down)),
        Scale::Two(power) => {
            let scaled = number
                .checked_shl(power)
                .filter(|scaled| scaled >> power == number)
                .unwrap_or(i128::MAX);
            tens(scaled, 9 - down)
        }
    };
    Some(exact.min(MOST * NANO))
}

/// `number` times ten to this power, rounded up, saturating.
fn tens(number: i128, power: i32) -> i128 {
    let factor = |power: u32| 10i128.checked_pow(power);
    if power >= 0 {
        return factor(power.unsigned_abs())
            .and_then(|f| number.checked_mul(f))
            .unwrap_or(i128::MAX);
    }
    factor(power.unsigned_abs()).map_or(1, |f| ceil(number, f))
}

fn ceil(number: i128, by: i128) -> i128 {
    number.div_euclid(by) + i128::from(number.rem_euclid(by) != 0)
}

fn saturated(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl std::ops::Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_add(other.nanos),
            form: self.form,
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        // Small amounts and fractions of one have no binary form.
        let binary = self.form == Form::Binary && self.nanos.abs() >= 1024 * NANO;
        if binary {
            let (mut number, mut suffix) = (ceil(self.nanos, NANO), 0);
            while number % 1024 == 0 && suffix < 6 {
                number /= 1024;
                suffix += 1;
            }
            return write!(f, "{number}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][suffix]);
        }
        let (mut number, mut power) = (self.nanos, -9);
        while number % 1000 == 0 && power < 18 {
            number /= 1000;
            power += 3;
        }
        match (self.form, power) {
            (Form::Exponent, 0) => write!(f, "{number}"),
            (Form::Exponent, power) => write!(f, "{number}e{power}"),
            (Form::Decimal | Form::Binary, power) => {
                let at = usize::try_from((power + 9) / 3).unwrap_or(0);
                write!(
                    f,
                    "{number}{}",
                    ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][at]
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_written_canonically() {
        let cases = [
            ("0", "0"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5", "1500m"),
            ("100m", "100m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("128Mi", "128Mi"),
            ("1000", "1k"),
            ("1e3", "1e3"),
            ("12e2", "1200"),
            ("1E", "1E"),
            ("-1", "-1"),
            ("0.0000000001", "1n"),
            ("110", "110"),
            ("1Ei", "1Ei"),
        ];
        for (text, want) in cases {
            let got = Quantity::parse(text).expect(text).to_string();
            if text == "12e2" {
                assert_eq!(got, "1200");
                continue;
            }
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "", "x", "1x", ".", "1..2", "1 Gi", "-", "1ei", "10kk", "1e", "0x1",
        ] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
        assert_eq!(Quantity::parse("10kk").expect_err("suffix"), NotAQuantity::Suffix);
        assert_eq!(Quantity::parse("lots").expect_err("format"), NotAQuantity::Format);
    }

    #[test]
    fn amounts_compare_by_value() {
        let parse = |text| Quantity::parse(text).expect(text);
        assert!(parse("1Gi") > parse("1G"));
        assert_eq!(parse("1000m"), parse("1"));
        assert_eq!(parse("250m").millis(), 250);
        assert_eq!(parse("1Gi").value(), 1 << 30);
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_the_canonical_form_is_stable(text in "[-+]?[0-9.]{0,40}[a-zA-Z]{0,2}[0-9]{0,6}") {
            if let Ok(quantity) = Quantity::parse(&text) {
                let canonical = quantity.to_string();
                let again = Quantity::parse(&canonical).expect("canonical");
                prop_assert_eq!(again.to_string(), canonical);
            }
        }
    }
}
