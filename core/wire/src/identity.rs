//! Who somebody is: a role and a name in a certificate, and the files that hold it.
//!
//! The organisational unit is the role, the common name is the name; nothing that a peer sends later
//! can change either.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Error;

/// The chain, leaf first.
pub const CERT_FILE: &str = "cert.pem";
/// The private key, readable by its owner only.
pub const KEY_FILE: &str = "key.pem";
/// The CA that the other side's certificate must come from.
pub const CA_FILE: &str = "ca.pem";
/// What the CA has revoked, in the CA's own folder and wherever a coordinator is told to look.
pub const CRL_FILE: &str = "crl.pem";

/// What a certificate lets its owner do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Coordinator,
    Operator,
    Seeker,
    /// A seeker who may also say which scripts new workflows run.
    Admin,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Coordinator, Role::Operator, Role::Seeker, Role::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Role::Coordinator => "coordinator",
            Role::Operator => "operator",
            Role::Seeker => "seeker",
            Role::Admin => "admin",
        }
    }

    /// Whether its certificate opens the door of `door`.
    pub fn opens(self, door: Role) -> bool {
        self == door || (self == Role::Admin && door == Role::Seeker)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Role, String> {
        let found = Role::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| {
            format!("`{text}` is no role; the roles are coordinator, operator, seeker and admin")
        })
    }
}

/// Who a certificate says that its owner is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    pub role: Role,
    pub name: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.name)
    }
}

impl Subject {
    /// Reads a certificate that has been verified. `None` unless it has exactly one role and one name,
    /// both of Froben's form: a certificate that could be read in two ways is nobody's.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Subject> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let mut roles = parsed.subject().iter_organizational_unit();
        let mut names = parsed.subject().iter_common_name();
        let (role, name) = (roles.next()?.as_str().ok()?, names.next()?.as_str().ok()?);
        if roles.next().is_some() || names.next().is_some() {
            return None;
        }
        let role = role.parse().ok()?;
        // Operators and seekers are named by the same rule.
        froben_model::OperatorId::new(name).ok()?;
        Some(Subject {
            role,
            name: name.to_owned(),
        })
    }
}

/// A certificate with its key, and the CA that the other side must belong to.
#[derive(Debug)]
pub struct Identity {
    pub subject: Subject,
    /// Where it was read from, for messages.
    pub dir: PathBuf,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) ca: Vec<CertificateDer<'static>>,
}

impl Clone for Identity {
    fn clone(&self) -> Identity {
        let Identity {
            subject,
            dir,
            chain,
            key,
            ca,
        } = self;
        Identity {
            subject: subject.clone(),
            dir: dir.clone(),
            chain: chain.clone(),
            // Keys are not cloned by accident.
            key: key.clone_key(),
            ca: ca.clone(),
        }
    }
}

impl Identity {
    /// Reads the three files in `dir`, as [`crate::Ca::issue`] leaves them.
    ///
    /// *Errors*: a file that is missing or is something else. Whether the certificate is valid now
    /// is for the other side to say.
    pub fn load(dir: &Path) -> Result<Identity, Error> {
        Identity::load_files(
            &dir.join(CERT_FILE),
            &dir.join(KEY_FILE),
            &dir.join(CA_FILE),
        )
    }

    pub fn load_files(cert: &Path, key: &Path, ca: &Path) -> Result<Identity, Error> {
        let chain = certificates(cert)?;
        let subject = Subject::of(&chain[0]).ok_or_else(|| Error::Malformed {
            path: cert.display().to_string(),
            what: "certificate of Froben's",
            reason: "its subject has no role and name; issue one with `froben ca issue`".to_owned(),
        })?;
        let pem = fs::read(key).map_err(|error| Error::read(key, error))?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| Error::Malformed {
            path: key.display().to_string(),
            what: "private key",
            reason: error.to_string(),
        })?;
        Ok(Identity {
            subject,
            dir: cert.parent().unwrap_or(cert).to_owned(),
            chain,
            key,
            ca: certificates(ca)?,
        })
    }

    /// From when until when the certificate is valid, in seconds since the epoch.
    pub(crate) fn validity_s(&self) -> Option<(i64, i64)> {
        let (_, parsed) = X509Certificate::from_der(&self.chain[0]).ok()?;
        let validity = parsed.validity();
        Some((
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        ))
    }
}

/// The certificates of a file; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = fs::read(path).map_err(|error| Error::read(path, error))?;
    let malformed = |reason: String| Error::Malformed {
        path: path.display().to_string(),
        what: "certificate",
        reason,
    };
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| malformed(error.to_string()))?;
    match found.is_empty() {
        true => Err(malformed("there is no PEM block of one".to_owned())),
        false => Ok(found),
    }
}

/// A moment as a person reads it, in UTC: `2026-01-31 12:00 UTC`.
pub fn date(seconds: i64) -> String {
    match time::OffsetDateTime::from_unix_timestamp(seconds) {
        Ok(moment) => format!(
            "{}-{:02}-{:02} {:02}:{:02} UTC",
            moment.year(),
            u8::from(moment.month()),
            moment.day(),
            moment.hour(),
            moment.minute()
        ),
        Err(_) => format!("{seconds} s after 1970"),
    }
}
