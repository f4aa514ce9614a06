//! Amounts of money: whole numbers, so that sums are exact everywhere.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// An amount in millionths of the network's unit of account, never negative.
///
/// What the unit is worth is for the people of a network to say; here it is only counted. Written as a
/// decimal with up to six places: `0.05`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(pub u64);

/// Places behind the point.
const PLACES: usize = 6;
const UNIT: u64 = 1_000_000;

impl Amount {
    pub const ZERO: Amount = Amount(0);

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The price of so many; the largest amount if there is no such.
    pub fn times(self, count: u32) -> Amount {
        Amount(self.0.saturating_mul(u64::from(count)))
    }

    pub fn checked_sub(self, other: Amount) -> Option<Amount> {
        self.0.checked_sub(other.0).map(Amount)
    }

    pub fn saturating_add(self, other: Amount) -> Amount {
        Amount(self.0.saturating_add(other.0))
    }

    pub fn saturating_sub(self, other: Amount) -> Amount {
        Amount(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, micros) = (self.0 / UNIT, self.0 % UNIT);
        let places = format!("{micros:06}");
        match places.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            places => write!(f, "{whole}.{places}"),
        }
    }
}

impl FromStr for Amount {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed = |why| Error::malformed("amount of money", text, why);
        let form = "digits, and up to six more behind a point: 0.05";
        let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
        if !digits(whole) || !digits(places) || places.len() > PLACES {
            return Err(malformed(form));
        }
        let micros = format!("{places:0<PLACES$}");
        let amount = || {
            let whole = whole.parse::<u64>().ok()?.checked_mul(UNIT)?;
            whole.checked_add(micros.parse().ok()?)
        };
        amount()
            .map(Amount)
            .ok_or_else(|| malformed("more than there can be"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_decimals() {
        for (text, micros, shown) in [
            ("0", 0, "0"),
            ("1", 1_000_000, "1"),
            ("0.05", 50_000, "0.05"),
            ("12.500000", 12_500_000, "12.5"),
            ("0.000001", 1, "0.000001"),
            ("18446744073709.551615", u64::MAX, "18446744073709.551615"),
        ] {
            let amount: Amount = text.parse().unwrap();
            assert_eq!((amount, amount.to_string()), (Amount(micros), shown.into()));
        }
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "0.0000001",
            "1,5",
            "٣",
            "18446744073709.551616",
        ] {
            assert!(bad.parse::<Amount>().is_err(), "{bad}");
        }
    }
}
