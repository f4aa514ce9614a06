//! Both directions between the generated structs and [`froben_model`].
//!
//! `read_x` takes what a peer or an old journal holds and gives a checked model type; `write_x` takes
//! a model type and fills a builder. Writing cannot fail and checks nothing: whoever made the value
//! answers for it, and the reader at the other end refuses what is over a limit. Texts that people
//! will read (error messages, device names) are made one line while reading, and reading what was
//! read and written again changes nothing.

mod assignment;
mod blob;
mod lease;
mod ledger;
mod machine;
mod money;
mod outcome;
mod profile;
mod revision;
mod task;
mod trail;
mod value;
mod view;
mod why;

pub use assignment::{read_assignment, write_assignment};
pub use blob::{read_blob, write_blob};
pub use lease::{read_token, write_token};
pub use ledger::{read_posting, write_posting};
pub use machine::{read_device, read_machine, write_device, write_machine};
pub use money::{
    read_amount, read_held_keys, read_keys, read_usage, write_amount, write_held_keys, write_keys,
    write_usage,
};
pub use outcome::{
    read_class, read_item_error, read_outcome, write_class, write_item_error, write_outcome,
};
pub use profile::{read_profile, write_profile};
pub use revision::{
    read_plan, read_problems, read_script_set, read_served, write_plan, write_problems,
    write_script_set, write_served,
};
pub use task::{read_needs, read_task, write_needs, write_task};
pub use trail::{read_trails, write_trails};
pub use value::{read_value, write_value};
pub use view::{
    read_detail, read_failure, read_log_line, read_machine_view, read_pipeline, read_summary,
    read_workflow_state, write_detail, write_failure, write_log_line, write_machine_view,
    write_pipeline, write_summary, write_workflow_state,
};
pub use why::{read_why, write_why};

use capnp::text;

/// What is wrong with a message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not a message of this schema, or hold more than the reader allows.
    #[error("malformed message: {0}")]
    Message(#[from] capnp::Error),
    /// A newer peer uses a word that this version does not have.
    #[error("{field} has the unknown form {form}")]
    Unknown { field: &'static str, form: u16 },
    #[error(transparent)]
    Word(#[from] froben_model::Error),
    #[error("{field} is {size}, the limit is {limit}")]
    TooLarge {
        field: &'static str,
        size: u64,
        limit: u64,
    },
    #[error("{field} has {size} bytes, not {expected}")]
    Length {
        field: &'static str,
        size: usize,
        expected: usize,
    },
    #[error("{field} is not UTF-8")]
    Utf8 { field: &'static str },
    #[error("{field} is empty")]
    Empty { field: &'static str },
    #[error("the keys of a map are not in ascending order at `{key}`")]
    KeyOrder { key: String },
    #[error("a number is not finite")]
    NotFinite,
    #[error("{field} names `{text}` twice")]
    Duplicate { field: &'static str, text: String },
}

impl Error {
    /// For the `map_err` of a union or an enum.
    pub fn unknown(field: &'static str) -> impl FnOnce(capnp::NotInSchema) -> Error {
        move |capnp::NotInSchema(form)| Error::Unknown { field, form }
    }
}

impl From<Error> for capnp::Error {
    /// What a caller gets to see whose message was refused.
    fn from(error: Error) -> capnp::Error {
        capnp::Error::failed(error.to_string())
    }
}

/// A text of at most `limit` bytes.
pub fn read_text(
    field: &'static str,
    text: text::Reader<'_>,
    limit: usize,
) -> Result<String, Error> {
    check_size(field, text.len() as u64, limit as u64)?;
    let text = text.to_str().map_err(|_| Error::Utf8 { field })?;
    Ok(text.to_owned())
}

/// `bytes` as an array of exactly `N`.
pub fn read_bytes<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(|_| Error::Length {
        field,
        size: bytes.len(),
        expected: N,
    })
}

/// Refuses a `size` above `limit`; both in the field's own unit.
pub fn check_size(field: &'static str, size: u64, limit: u64) -> Result<(), Error> {
    match size <= limit {
        true => Ok(()),
        false => Err(Error::TooLarge { field, size, limit }),
    }
}

/// The length of a list as Cap'n Proto counts it.
pub fn list_len(len: usize) -> u32 {
    u32::try_from(len).expect("invariant: a list in memory is far below 2^32 elements")
}
