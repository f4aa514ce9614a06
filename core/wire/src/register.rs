//! What a CA has issued: one line for each certificate, so that it can be revoked by its owner's name.
//!
//! A line is written before the certificate is, so that none is missing. Whoever holds the register's
//! lock is alone in changing anything in the CA's folder.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::{Error, Role, Serial, Subject};

/// Beside the CA's key.
const FILE: &str = "issued.txt";

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    pub serial: Serial,
    pub subject: Subject,
    /// When it was issued and until when it is valid, in seconds since the epoch.
    pub at_s: i64,
    pub until_s: i64,
}

/// The register, locked until it is dropped.
pub(crate) struct Register {
    path: PathBuf,
    file: File,
}

impl Register {
    pub(crate) fn open(ca: &Path) -> Result<Register, Error> {
        let path = ca.join(FILE);
        let opened = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path);
        let file = opened.map_err(|error| Error::write(&path, error))?;
        file.lock().map_err(|error| Error::write(&path, error))?;
        Ok(Register { path, file })
    }

    /// Adds a certificate; on `Ok` that is on the disk.
    pub(crate) fn add(&mut self, issued: &Issued) -> Result<(), Error> {
        let Issued {
            serial,
            subject: Subject { role, name },
            at_s,
            until_s,
        } = issued;
        let line = format!("{serial} {role} {name} {at_s} {until_s}\n");
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_all())
            .map_err(|error| Error::write(&self.path, error))
    }

    /// All of them, in the order in which they were issued.
    ///
    /// *Errors*: a line that is none of ours; nothing is guessed about who can be revoked.
    pub(crate) fn all(&mut self) -> Result<Vec<Issued>, Error> {
        let mut text = String::new();
        self.file
            .read_to_string(&mut text)
            .map_err(|error| Error::read(&self.path, error))?;
        let lines = text.lines().enumerate();
        let read = lines.map(|(at, line)| {
            read(line).ok_or_else(|| Error::Malformed {
                path: self.path.display().to_string(),
                what: "register of a CA",
                reason: format!("line {} is not one of its lines", at + 1),
            })
        });
        read.collect()
    }
}

fn read(line: &str) -> Option<Issued> {
    let mut words = line.split(' ');
    let serial = words.next()?.parse().ok()?;
    let role: Role = words.next()?.parse().ok()?;
    let name = words.next()?.to_owned();
    let (at_s, until_s) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().is_none().then_some(Issued {
        serial,
        subject: Subject { role, name },
        at_s,
        until_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_there_and_what_is_foreign_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let issued = |name: &str| Issued {
            serial: Serial::of_key(name.as_bytes()),
            subject: Subject {
                role: Role::Operator,
                name: name.to_owned(),
            },
            at_s: 5,
            until_s: 7,
        };
        assert_eq!(Register::open(dir.path()).unwrap().all().unwrap(), []);
        for name in ["a", "b"] {
            Register::open(dir.path())
                .unwrap()
                .add(&issued(name))
                .unwrap();
        }
        let all = Register::open(dir.path()).unwrap().all().unwrap();
        assert_eq!(all, [issued("a"), issued("b")]);

        let path = dir.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text + "0a operator c 5\n").unwrap();
        let error = Register::open(dir.path()).unwrap().all().unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }
}
