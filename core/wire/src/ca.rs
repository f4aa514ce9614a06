//! The private CA: one key that makes every certificate of a network.
//!
//! It signs what it is asked to sign, so its directory belongs on the machine of whoever runs the
//! network, and nowhere else. What it has issued stands in a register there, and what it has revoked in
//! a list, which coordinators are given.

mod revoke;

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::identity::{CA_FILE, CERT_FILE, KEY_FILE, Role};
use crate::register::{Issued, Register};
use crate::{Error, SERVER_NAME, Serial, Subject};

pub use revoke::{Entry, LIST_VALIDITY, Which};

/// The CA's own key, beside its [`CA_FILE`].
const CA_KEY_FILE: &str = "ca.key";
const CA_VALIDITY: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Certificates begin a little in the past: the clocks of a network differ.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

pub struct Ca {
    dir: PathBuf,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    pub from: SystemTime,
    pub until: SystemTime,
}

impl Validity {
    /// From now on, for `lifetime`.
    pub fn lasting(lifetime: Duration) -> Validity {
        let now = SystemTime::now();
        Validity {
            from: now - CLOCK_SKEW,
            until: now + lifetime,
        }
    }
}

/// What a certificate is made for.
#[derive(Debug, Clone)]
pub struct Request {
    pub role: Role,
    pub name: String,
    /// Names beside [`SERVER_NAME`] that a coordinator's certificate is good for. Froben's own
    /// clients need none: they verify [`SERVER_NAME`] whatever address they dial, so that a
    /// coordinator may move.
    pub dns: Vec<String>,
    pub ips: Vec<IpAddr>,
    pub validity: Validity,
}

impl Ca {
    /// Makes a CA in `dir`, which is made if it is missing.
    ///
    /// *Errors*: [`Error::Exists`] if a CA is there already.
    pub fn init(dir: &Path) -> Result<Ca, Error> {
        let mut params = CertificateParams::default();
        let Validity { from, until } = Validity::lasting(CA_VALIDITY);
        (params.not_before, params.not_after) = (from.into(), until.into());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = DistinguishedName::new();
        let key = KeyPair::generate().map_err(issue)?;
        // Two CAs of one name could not be told apart: a certificate of the other one would look
        // like a broken one of ours.
        let number = blake3::hash(key.public_key_raw()).to_hex();
        let name = format!("Froben network CA {}", &number[..8]);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate_pem = params.self_signed(&key).map_err(issue)?.pem();

        make_dir(dir)?;
        write_new(
            &dir.join(CA_KEY_FILE),
            key.serialize_pem().as_bytes(),
            0o600,
        )?;
        write_new(&dir.join(CA_FILE), certificate_pem.as_bytes(), 0o644)?;
        let ca = Ca {
            dir: dir.to_owned(),
            certificate_pem,
            issuer: Issuer::new(params, key),
        };
        // An empty list, so that a coordinator can be given its place from the first day on.
        ca.renew_list(LIST_VALIDITY)?;
        Ok(ca)
    }

    pub fn load(dir: &Path) -> Result<Ca, Error> {
        let (path, key_path) = (dir.join(CA_FILE), dir.join(CA_KEY_FILE));
        let read = |path: &Path| fs::read_to_string(path).map_err(|error| Error::read(path, error));
        let certificate_pem = read(&path)?;
        let key = KeyPair::from_pem(&read(&key_path)?).map_err(|error| Error::Malformed {
            path: key_path.display().to_string(),
            what: "private key",
            reason: error.to_string(),
        })?;
        let issuer =
            Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(|error| Error::Malformed {
                path: path.display().to_string(),
                what: "CA certificate",
                reason: error.to_string(),
            })?;
        Ok(Ca {
            dir: dir.to_owned(),
            certificate_pem,
            issuer,
        })
    }

    /// The CA's certificate, which every party needs and anyone may see.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Makes a key and a certificate for it, and writes `cert.pem`, `key.pem` and `ca.pem` into
    /// `dir`, which is made if it is missing.
    ///
    /// *Errors*: a name that is none; files that exist already.
    pub fn issue(&self, request: &Request, dir: &Path) -> Result<(), Error> {
        let Request {
            role,
            name,
            dns,
            ips,
            validity,
        } = request;
        froben_model::OperatorId::new(name.as_str())
            .map_err(|error| Error::Issue(error.to_string()))?;
        let mut names = dns.clone();
        if *role == Role::Coordinator {
            names.push(SERVER_NAME.to_owned());
        }
        let mut params = CertificateParams::new(names).map_err(issue)?;
        params
            .subject_alt_names
            .extend(ips.iter().copied().map(SanType::IpAddress));
        (params.not_before, params.not_after) = (validity.from.into(), validity.until.into());
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationalUnitName, role.name());
        params
            .distinguished_name
            .push(DnType::CommonName, name.as_str());
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // An operator's certificate must not pass for a coordinator's, nor the other way round.
        params.extended_key_usages = vec![match role {
            Role::Coordinator => ExtendedKeyUsagePurpose::ServerAuth,
            Role::Operator | Role::Seeker | Role::Admin => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        let key = KeyPair::generate().map_err(issue)?;
        let serial = Serial::of_key(key.public_key_raw());
        params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
        let leaf = params.signed_by(&key, &self.issuer).map_err(issue)?;
        let chain = format!("{}{}", leaf.pem(), self.certificate_pem);

        make_dir(dir)?;
        // What could not be written in the end is in the register all the same, and does no harm there.
        Register::open(&self.dir)?.add(&Issued {
            serial,
            subject: Subject {
                role: *role,
                name: name.clone(),
            },
            at_s: unix_s(SystemTime::now()),
            until_s: unix_s(validity.until),
        })?;
        write_new(&dir.join(KEY_FILE), key.serialize_pem().as_bytes(), 0o600)?;
        write_new(&dir.join(CERT_FILE), chain.as_bytes(), 0o644)?;
        write_new(&dir.join(CA_FILE), self.certificate_pem.as_bytes(), 0o644)
    }

    fn certificate(&self) -> Result<CertificateDer<'static>, Error> {
        CertificateDer::from_pem_slice(self.certificate_pem.as_bytes()).map_err(|error| {
            Error::Malformed {
                path: self.dir.join(CA_FILE).display().to_string(),
                what: "CA certificate",
                reason: error.to_string(),
            }
        })
    }

    /// Whether this CA has signed a certificate.
    fn has_signed(&self, certificate: &CertificateDer<'_>) -> Result<bool, Error> {
        let ca = self.certificate()?;
        let parsed = (
            X509Certificate::from_der(&ca),
            X509Certificate::from_der(certificate),
        );
        let (Ok((_, ca)), Ok((_, certificate))) = parsed else {
            return Ok(false);
        };
        Ok(certificate.verify_signature(Some(ca.public_key())).is_ok())
    }
}

fn unix_s(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

fn issue(error: rcgen::Error) -> Error {
    Error::Issue(error.to_string())
}

fn make_dir(dir: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| Error::write(dir, error))
}

/// Writes a file that does not exist yet, with its final permissions from the first byte on.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let opened = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Error::Exists {
                path: path.display().to_string(),
            });
        }
        Err(error) => return Err(Error::write(path, error)),
    };
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|error| Error::write(path, error))
}

/// Writes a file in the place of one that others read meanwhile: they see the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let new = path.with_extension("new");
    let written = || {
        let mut file = fs::File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    written().map_err(|error| Error::write(path, error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::Identity;

    pub(super) fn request(role: Role, name: &str) -> Request {
        Request {
            role,
            name: name.to_owned(),
            dns: Vec::new(),
            ips: Vec::new(),
            validity: Validity::lasting(Duration::from_secs(3600)),
        }
    }

    #[test]
    fn what_it_issues_says_who_it_is_for() {
        let dir = tempfile::tempdir().unwrap();
        Ca::init(&dir.path().join("ca")).unwrap();
        let ca = Ca::load(&dir.path().join("ca")).unwrap();
        for role in Role::ALL {
            let to = dir.path().join(role.name());
            ca.issue(&request(role, "name-1"), &to).unwrap();
            let identity = Identity::load(&to).unwrap();
            assert_eq!(
                (identity.subject.role, identity.subject.name.as_str()),
                (role, "name-1")
            );
            assert_eq!(identity.chain.len(), 2);
        }
    }

    #[test]
    fn keys_are_private_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::init(dir.path()).unwrap();
        assert!(matches!(Ca::init(dir.path()), Err(Error::Exists { .. })));
        let to = dir.path().join("op");
        ca.issue(&request(Role::Operator, "op"), &to).unwrap();
        for key in [dir.path().join(CA_KEY_FILE), to.join(KEY_FILE)] {
            let mode = fs::metadata(&key).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", key.display());
        }
        let before = fs::read(to.join(KEY_FILE)).unwrap();
        assert!(matches!(
            ca.issue(&request(Role::Operator, "op"), &to),
            Err(Error::Exists { .. })
        ));
        assert_eq!(fs::read(to.join(KEY_FILE)).unwrap(), before);
    }

    #[test]
    fn names_and_files_that_are_wrong_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::init(&dir.path().join("ca")).unwrap();
        for name in ["", "Upper", "a/b", "a\nb"] {
            let refused = ca.issue(&request(Role::Seeker, name), &dir.path().join("x"));
            assert!(matches!(refused, Err(Error::Issue(_))), "{name:?}");
        }
        assert!(matches!(
            Identity::load(dir.path()),
            Err(Error::Read { .. })
        ));
        fs::write(dir.path().join(CERT_FILE), "nothing").unwrap();
        assert!(matches!(
            Identity::load(dir.path()),
            Err(Error::Malformed { .. })
        ));
        // A CA's certificate is no identity.
        let error = Identity::load(&{
            let to = dir.path().join("pretender");
            fs::create_dir(&to).unwrap();
            fs::write(to.join(CERT_FILE), ca.certificate_pem()).unwrap();
            to
        });
        assert!(matches!(error, Err(Error::Malformed { .. })));
    }
}
