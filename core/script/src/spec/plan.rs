//! What a spec wants simulated and what its operators say, in plain words: no Lua in here.

use froben_model::{ErrorClass, Kind, OperatorId, SetupKey, Value};

/// A run that a case asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// The line of the spec file that asked.
    pub line: u32,
    pub subject: Subject,
    pub input: Value,
    pub operators: Vec<Operator>,
    pub seed: Option<u64>,
    /// The coordinator crashes right after so many writes, counted over the whole run.
    pub crash_at: Vec<u64>,
    pub cancel_at_ms: Option<u64>,
    pub give_up_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A pipeline of the script set.
    Pipeline(String),
    /// A workflow that the spec file declares.
    Declared(String),
}

impl Subject {
    pub fn name(&self) -> &str {
        match self {
            Subject::Pipeline(name) | Subject::Declared(name) => name,
        }
    }
}

/// A scripted operator. All its machines are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Operator {
    pub name: OperatorId,
    pub machines: u32,
    pub cpu_cores: u32,
    pub ram_bytes: u64,
    pub devices: u32,
    pub vram_bytes: u64,
    /// `None`: every kind there is.
    pub kinds: Option<Vec<Kind>>,
    /// What each keystore holds.
    pub keys: Vec<SetupKey>,
    pub takes_ms: u64,
    pub joins_ms: u64,
    pub leaves_ms: Option<u64>,
}

/// What an operator is asked: one item of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Question<'a> {
    /// Position in [`Simulation::operators`].
    pub operator: usize,
    pub machine: &'a str,
    pub kind: &'a Kind,
    pub key: &'a str,
    pub input: &'a Value,
    /// How many items the attempt owes.
    pub items: usize,
    pub attempt: u32,
    pub item: &'a Value,
    /// Position in the delegation, from 0.
    pub index: u32,
}

/// What a scripted operator does about an item.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub deed: Deed,
    /// Instead of [`Operator::takes_ms`].
    pub after_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    Ok(Value),
    Fail(ErrorClass, String),
    Die(String),
    Hang,
    Disconnect { back_ms: Option<u64> },
    Refuse(String),
}
