//! The number that a CA gives to a certificate, and by which it is revoked.

use std::fmt;
use std::str::FromStr;

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What X.509 allows.
const BYTES: usize = 20;

/// A certificate's serial number, big-endian and without leading zeros. Two certificates of one CA have
/// two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(Vec<u8>);

impl Serial {
    /// Made from a public key, which is made anew for each certificate.
    pub(crate) fn of_key(public_key: &[u8]) -> Serial {
        let mut bytes = blake3::hash(public_key).as_bytes()[..BYTES].to_vec();
        // Positive, and of one length.
        bytes[0] = bytes[0] & 0x7f | 0x40;
        Serial(bytes)
    }

    pub(crate) fn new(bytes: &[u8]) -> Serial {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Serial(bytes[zeros..].to_vec())
    }

    /// That of a certificate; `None` if it is none.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Serial> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(Serial::new(parsed.raw_serial()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Serial {
    type Err = String;

    /// Hexadecimal digits, with colons between the bytes or without.
    fn from_str(text: &str) -> Result<Serial, String> {
        let wrong = || {
            format!(
                "`{text}` is no serial number; they are in hexadecimal, as `froben ca list` shows them"
            )
        };
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        let pairs = digits.as_bytes().chunks(2).map(|pair| {
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            let [high, low] = pair else { return None };
            u8::try_from(digit(high)? << 4 | digit(low)?).ok()
        });
        let bytes: Vec<u8> = pairs.collect::<Option<_>>().ok_or_else(wrong)?;
        match (1..=BYTES).contains(&bytes.len()) {
            true => Ok(Serial::new(&bytes)),
            false => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_it_is_shown_and_as_others_show_it() {
        let serial = Serial::of_key(b"a key");
        assert_eq!(serial.to_string().parse(), Ok(serial.clone()));
        assert_eq!(serial.to_string().len(), 40);
        assert_eq!("00:0a:FF".parse(), Ok(Serial::new(&[10, 255])));
        let long = "01".repeat(21);
        for wrong in ["", "a", "abc", "xy", "+1", "0é", long.as_str()] {
            assert!(wrong.parse::<Serial>().is_err(), "{wrong}");
        }
    }
}
