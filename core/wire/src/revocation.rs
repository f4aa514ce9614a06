//! The list of certificates that a CA has revoked, signed by it.
//!
//! An X.509 CRL. Who makes one is [`crate::Ca`]; here it is read, and held against the CA's key before
//! anything is done with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use crate::{Error, Identity, Serial};

/// Half a million certificates.
const BYTES: u64 = 32 << 20;

/// Certificates that count no more, whatever their dates say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    /// Grows from list to list.
    pub number: u64,
    /// By when its CA means to have made another one, in seconds since the epoch.
    pub until_s: Option<i64>,
    /// Since when each of them is revoked.
    pub(crate) revoked: BTreeMap<Serial, i64>,
    pub(crate) der: CertificateRevocationListDer<'static>,
}

impl RevocationList {
    /// Reads a list of the CA that `identity` belongs to.
    ///
    /// *Errors*: a file that is missing, is something else, or that this CA has not signed.
    pub fn load(path: &Path, identity: &Identity) -> Result<RevocationList, Error> {
        RevocationList::load_of(path, &identity.ca)
    }

    pub(crate) fn load_of(
        path: &Path,
        ca: &[CertificateDer<'static>],
    ) -> Result<RevocationList, Error> {
        let mut pem = Vec::new();
        File::open(path)
            .and_then(|file| file.take(BYTES).read_to_end(&mut pem))
            .map_err(|error| Error::read(path, error))?;
        let malformed = |reason: String| Error::Malformed {
            path: path.display().to_string(),
            what: "revocation list",
            reason,
        };
        let der = CertificateRevocationListDer::from_pem_slice(&pem)
            .map_err(|error| malformed(error.to_string()))?;
        RevocationList::read(der, ca).map_err(malformed)
    }

    fn read(
        der: CertificateRevocationListDer<'static>,
        ca: &[CertificateDer<'static>],
    ) -> Result<RevocationList, String> {
        let (_, list) =
            CertificateRevocationList::from_der(&der).map_err(|error| error.to_string())?;
        let signed = ca.iter().any(|certificate| {
            X509Certificate::from_der(certificate).is_ok_and(|(_, ca)| {
                list.issuer() == ca.subject() && list.verify_signature(ca.public_key()).is_ok()
            })
        });
        if !signed {
            return Err("it is not signed by this network's CA".to_owned());
        }
        let number = list.crl_number().and_then(|n| u64::try_from(n).ok());
        let revoked = list.iter_revoked_certificates();
        Ok(RevocationList {
            number: number.ok_or("it has no number")?,
            until_s: list.next_update().map(|time| time.timestamp()),
            revoked: revoked
                .map(|one| {
                    (
                        Serial::new(one.raw_serial()),
                        one.revocation_date.timestamp(),
                    )
                })
                .collect(),
            der,
        })
    }

    /// How many certificates are on it.
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    pub fn is_empty(&self) -> bool {
        self.revoked.is_empty()
    }

    pub fn holds(&self, serial: &Serial) -> bool {
        self.revoked.contains_key(serial)
    }

    /// Since when a certificate is revoked, in seconds since the epoch; `None` if it is not.
    pub fn since_s(&self, serial: &Serial) -> Option<i64> {
        self.revoked.get(serial).copied()
    }
}
