//! Names of things. Each is a type of its own, so that a machine is never taken for an operator.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::Error;

/// A workflow: 16 random bytes, written `wf-` and 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkflowId(pub [u8; 16]);

impl fmt::Display for WorkflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wf-{}", hex::encode(self.0))
    }
}

impl fmt::Debug for WorkflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for WorkflowId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed = |why| Error::malformed("workflow id", text, why);
        let digits = text
            .strip_prefix("wf-")
            .ok_or_else(|| malformed("it starts with `wf-`"))?;
        let mut bytes = [0; 16];
        hex::decode_to_slice(digits, &mut bytes)
            .map_err(|_| malformed("32 hex digits follow `wf-`"))?;
        Ok(WorkflowId(bytes))
    }
}

/// A call of a script: 1, 2, 3 ... in the order in which the script makes them.
///
/// The journal keys calls by this number, so a replay meets the same calls under the same ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

impl CallId {
    /// Set in the id of what checks an item: a delegation that no script has made.
    const CHECK: u64 = 1 << 63;
    /// Bits of the item's index; [`crate::limits::ITEMS`] is far below.
    const INDEX_BITS: u32 = 20;

    /// The id of the check of an item of this call.
    pub fn check(self, index: u32) -> CallId {
        let fits = self.0 < Self::CHECK >> Self::INDEX_BITS && index < 1 << Self::INDEX_BITS;
        assert!(fits, "invariant: calls and items are few");
        CallId(Self::CHECK | self.0 << Self::INDEX_BITS | u64::from(index))
    }

    /// The call and the item that this is the check of.
    pub fn checked(self) -> Option<(CallId, u32)> {
        let index = self.0 & ((1 << Self::INDEX_BITS) - 1);
        let call = (self.0 & !Self::CHECK) >> Self::INDEX_BITS;
        (self.0 & Self::CHECK != 0).then_some((CallId(call), index as u32))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.checked() {
            Some((call, index)) => write!(f, "{call}/check/{index}"),
            None => write!(f, "#{}", self.0),
        }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            pub fn new(text: impl Into<String>) -> Result<Self, Error> {
                let text = text.into();
                match $check(&text) {
                    Ok(()) => Ok(Self(text.into())),
                    Err(why) => Err(Error::malformed($what, &text, why)),
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::new(text)
            }
        }
    };
}

name!(
    /// Who offers machines: the name in the operator's certificate.
    OperatorId, "operator name", check_name
);
name!(
    /// Who asks for proofs: the name in the seeker's certificate.
    SeekerId, "seeker name", check_name
);
name!(
    /// One machine of an operator: `OPERATOR/LABEL`.
    MachineId, "machine name", check_machine
);
name!(
    /// What a task is, and what a machine offers: dotted words, a slash, a version: `data.prove/1`.
    Kind, "kind", check_kind
);

impl MachineId {
    /// The machine that `operator` calls `label`.
    pub fn of(operator: &OperatorId, label: &str) -> Result<Self, Error> {
        Self::new(format!("{operator}/{label}"))
    }

    /// Whose machine it is.
    pub fn operator(&self) -> OperatorId {
        let (operator, _) = self
            .0
            .split_once('/')
            .expect("invariant: a machine's name has a slash");
        OperatorId(operator.into())
    }
}

fn check_name(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > 64 {
        return Err("1 to 64 characters");
    }
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_.".contains(&c);
    match text.bytes().all(fits) {
        true => Ok(()),
        false => Err("lower-case letters, digits, `-`, `_` and `.` only"),
    }
}

fn check_machine(text: &str) -> Result<(), &'static str> {
    let (operator, label) = text
        .split_once('/')
        .ok_or("it has the form OPERATOR/LABEL")?;
    check_name(operator)?;
    check_name(label)
}

fn check_kind(text: &str) -> Result<(), &'static str> {
    let (name, version) = text.split_once('/').ok_or("it ends in a version: NAME/1")?;
    check_name(name)?;
    match version.len() <= 4 && version.parse::<u16>().is_ok_and(|v| v > 0) {
        true => Ok(()),
        false => Err("the version after `/` is a number from 1 to 9999"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflow_ids_round_trip_and_refuse_the_rest() {
        let id = WorkflowId([7; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [
            "",
            "wf-",
            "07070707070707070707070707070707",
            "wf-07",
            "wf-zz",
        ] {
            assert!(bad.parse::<WorkflowId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_check_has_an_id_of_its_own() {
        for (call, index) in [(0, 0), (1, 0), (7, 1023), ((1 << 43) - 1, (1 << 20) - 1)] {
            let check = CallId(call).check(index);
            assert_eq!(check.checked(), Some((CallId(call), index)));
            assert_eq!(CallId(call).checked(), None);
        }
        assert_eq!(CallId(7).check(3).to_string(), "#7/check/3");
    }

    #[test]
    fn names_are_checked() {
        for good in ["a", "op-1", "a.b_c"] {
            assert!(OperatorId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a b", "a/b", "ä", "a\n", &"x".repeat(65)] {
            assert!(OperatorId::new(bad).is_err(), "{bad}");
        }
        for (text, fits) in [
            ("data.prove/1", true),
            ("data.prove", false),
            ("data.prove/0", false),
            ("data.prove/x", false),
            ("/1", false),
            ("a/b/1", false),
        ] {
            assert_eq!(Kind::new(text).is_ok(), fits, "{text}");
        }
        let machine = MachineId::new("op/gpu-1").unwrap();
        assert_eq!(machine.operator(), OperatorId::new("op").unwrap());
        assert!(MachineId::new("op").is_err());
    }

    #[test]
    fn an_error_message_stays_one_short_line() {
        let error = OperatorId::new("x\n".repeat(1000)).unwrap_err().to_string();
        assert!(error.len() < 200 && !error.contains('\n'), "{error}");
    }
}
