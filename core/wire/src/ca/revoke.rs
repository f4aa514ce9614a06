//! Taking certificates back: the CA's list of those that it has revoked.
//!
//! The list itself is the memory of what was revoked; each new one holds all of the one before. Its
//! number is the time in seconds, or one more than the last one's: so it grows even if a list was lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use time::OffsetDateTime;

use super::{CLOCK_SKEW, Ca, issue, replace};
use crate::register::Register;
use crate::{CRL_FILE, Error, Issued, RevocationList, Role, Serial, identity};

/// How long a list is good for, unless it is said.
pub const LIST_VALIDITY: Duration = Duration::from_secs(90 * 24 * 3600);

/// Which certificates are meant.
#[derive(Debug, Clone)]
pub enum Which {
    /// All of an owner's so far that have not expired; later ones are not touched.
    Name {
        name: String,
        role: Option<Role>,
    },
    Serial(Serial),
    /// The one in a file, such as an owner's `cert.pem`.
    File(PathBuf),
}

/// A certificate that was issued, and since when it is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub issued: Issued,
    pub revoked_s: Option<i64>,
}

impl Ca {
    /// Puts certificates on the list, and writes that. Those that are on it already stay as they are.
    ///
    /// *Errors*: a name that has no certificate, or one in each of several roles; a file that is not
    /// this CA's.
    pub fn revoke(
        &self,
        which: &Which,
        valid: Duration,
    ) -> Result<(Vec<Serial>, RevocationList), Error> {
        let mut register = Register::open(&self.dir)?;
        let serials = self.find(which, &mut register)?;
        let list = self.write_list(&serials, valid)?;
        Ok((serials, list))
    }

    /// Makes the list anew, with what is on it: the first one of a CA that has none, or one that is
    /// good for longer.
    pub fn renew_list(&self, valid: Duration) -> Result<RevocationList, Error> {
        let _alone = Register::open(&self.dir)?;
        self.write_list(&[], valid)
    }

    /// What was issued, in order.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let mut register = Register::open(&self.dir)?;
        let list = self.list()?;
        let since = |serial: &Serial| list.as_ref()?.since_s(serial);
        let all = register.all()?.into_iter();
        let entries = all.map(|issued| Entry {
            revoked_s: since(&issued.serial),
            issued,
        });
        Ok(entries.collect())
    }

    /// Where the list is.
    pub fn list_path(&self) -> PathBuf {
        self.dir.join(CRL_FILE)
    }

    /// The list, if there is one.
    fn list(&self) -> Result<Option<RevocationList>, Error> {
        let path = self.list_path();
        match path.try_exists() {
            Ok(false) => Ok(None),
            _ => RevocationList::load_of(&path, &[self.certificate()?]).map(Some),
        }
    }

    fn find(&self, which: &Which, register: &mut Register) -> Result<Vec<Serial>, Error> {
        match which {
            Which::Serial(serial) => Ok(vec![serial.clone()]),
            Which::File(path) => Ok(vec![self.serial_of_file(path)?]),
            Which::Name { name, role } => {
                let now_s = now_s();
                let of_name = |one: &Issued| {
                    one.subject.name == *name && role.is_none_or(|role| one.subject.role == role)
                };
                let mut found = register.all()?;
                found.retain(|one| of_name(one) && one.until_s > now_s);
                let roles: BTreeSet<Role> = found.iter().map(|one| one.subject.role).collect();
                match roles.len() {
                    0 => Err(Error::NoCertificate {
                        name: name.clone(),
                        path: self.dir.display().to_string(),
                    }),
                    1 => Ok(found.into_iter().map(|one| one.serial).collect()),
                    _ => Err(Error::SeveralRoles {
                        name: name.clone(),
                        roles: roles
                            .iter()
                            .map(|role| role.name())
                            .collect::<Vec<_>>()
                            .join(", "),
                    }),
                }
            }
        }
    }

    fn serial_of_file(&self, path: &Path) -> Result<Serial, Error> {
        let chain = identity::certificates(path)?;
        let ours = self.has_signed(&chain[0])?;
        let serial = Serial::of(&chain[0]).filter(|_| ours);
        serial.ok_or_else(|| Error::Malformed {
            path: path.display().to_string(),
            what: "certificate of this CA",
            reason: "another CA has issued it".to_owned(),
        })
    }

    fn write_list(&self, more: &[Serial], valid: Duration) -> Result<RevocationList, Error> {
        let before = self.list()?;
        let (mut revoked, last) = match before {
            Some(list) => (list.revoked, list.number),
            None => (BTreeMap::new(), 0),
        };
        let now_s = now_s();
        for serial in more {
            revoked.entry(serial.clone()).or_insert(now_s);
        }
        let number = u64::try_from(now_s).unwrap_or(0).max(last + 1);
        let now = SystemTime::now();
        let revoked_certs = revoked.iter().map(|(serial, since_s)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial.as_bytes()),
            revocation_time: OffsetDateTime::from_unix_timestamp(*since_s)
                .unwrap_or(OffsetDateTime::UNIX_EPOCH),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: (now - CLOCK_SKEW).into(),
            next_update: (now + valid).into(),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let pem = list
            .signed_by(&self.issuer)
            .and_then(|list| list.pem())
            .map_err(issue)?;
        let path = self.list_path();
        replace(&path, pem.as_bytes())?;
        // As whoever is given it will read it.
        RevocationList::load_of(&path, &[self.certificate()?])
    }
}

fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::tests::request;
    use super::*;
    use crate::Identity;

    fn named(name: &str, role: Option<Role>) -> Which {
        let name = name.to_owned();
        Which::Name { name, role }
    }

    #[test]
    fn a_list_holds_what_was_revoked_before_and_its_number_grows() {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::init(&dir.path().join("ca")).unwrap();
        let first = RevocationList::load_of(&ca.list_path(), &[ca.certificate().unwrap()]).unwrap();
        assert!(first.is_empty());
        let mut identities = Vec::new();
        for folder in ["a", "a-again", "b"] {
            let to = dir.path().join(folder);
            let name = folder.strip_suffix("-again").unwrap_or(folder);
            ca.issue(&request(Role::Operator, name), &to).unwrap();
            identities.push(Identity::load(&to).unwrap());
        }
        let serial = |n: usize| Serial::of(&identities[n].chain[0]).unwrap();

        let (serials, second) = ca.revoke(&named("a", None), LIST_VALIDITY).unwrap();
        assert_eq!(serials, [serial(0), serial(1)]);
        assert!(second.number > first.number);
        assert!(second.holds(&serial(0)) && !second.holds(&serial(2)));

        // By any of the other ways, and later certificates of the name are not touched.
        let to = dir.path().join("a-third");
        ca.issue(&request(Role::Operator, "a"), &to).unwrap();
        let file = Which::File(dir.path().join("b/cert.pem"));
        let (_, third) = ca.revoke(&file, LIST_VALIDITY).unwrap();
        let (_, fourth) = ca.revoke(&Which::Serial(serial(0)), LIST_VALIDITY).unwrap();
        assert!(fourth.number > third.number && third.number > second.number);
        assert_eq!(fourth.len(), 3);
        assert_eq!(fourth.since_s(&serial(0)), second.since_s(&serial(0)));
        let now_good = Identity::load(&to).unwrap();
        assert!(!fourth.holds(&Serial::of(&now_good.chain[0]).unwrap()));

        let revoked: Vec<bool> = ca
            .entries()
            .unwrap()
            .iter()
            .map(|entry| entry.revoked_s.is_some())
            .collect();
        assert_eq!(revoked, [true, true, true, false]);
        assert_eq!(ca.renew_list(LIST_VALIDITY).unwrap().len(), 3);
    }

    #[test]
    fn what_does_not_name_a_certificate_of_ours_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::init(&dir.path().join("ca")).unwrap();
        let other = Ca::init(&dir.path().join("other")).unwrap();
        for (role, folder) in [(Role::Operator, "x"), (Role::Seeker, "y")] {
            ca.issue(&request(role, "x"), &dir.path().join(folder))
                .unwrap();
        }
        other
            .issue(&request(Role::Operator, "x"), &dir.path().join("theirs"))
            .unwrap();

        let refused = |which: &Which| ca.revoke(which, LIST_VALIDITY).unwrap_err().to_string();
        let text = refused(&named("x", None));
        assert!(text.contains("operator, seeker"), "{text}");
        let text = refused(&named("nobody", None));
        assert!(text.contains("froben ca list"), "{text}");
        let text = refused(&Which::File(dir.path().join("theirs/cert.pem")));
        assert!(text.contains("another CA"), "{text}");
        let (serials, _) = ca
            .revoke(&named("x", Some(Role::Seeker)), LIST_VALIDITY)
            .unwrap();
        assert_eq!(serials.len(), 1);

        // A list that another CA has signed is none, here and for whoever is given it.
        std::fs::copy(other.list_path(), ca.list_path()).unwrap();
        let text = ca.renew_list(LIST_VALIDITY).unwrap_err().to_string();
        assert!(text.contains("not signed by this network's CA"), "{text}");
        let identity = Identity::load(&dir.path().join("x")).unwrap();
        assert!(RevocationList::load(&other.list_path(), &identity).is_err());
    }
}
