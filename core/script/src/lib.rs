//! The sandbox in which pipelines run, and what they may call.
//!
//! A [`Revision`] is a set of scripts that was checked as a whole. A [`Vm`] is one live workflow of one
//! of its pipelines: a Luau state of its own, driven by hand. [`Vm::resume`] feeds it what happened, in
//! the journal's order, and returns the calls that the script made since. The VM does no I/O, reads no
//! clock and keeps nothing: a workflow is rebuilt by starting a new VM with the same input and seed
//! and feeding it the same completions, in batches of any size.
//!
//! This is the only crate that knows mlua. It does not know the journal, nor who carries calls out.

mod convert;
mod failure;
mod host;
mod inspect;
mod limits;
mod occupied;
mod options;
mod random;
pub mod reference;
mod registry;
mod revision;
mod sandbox;
mod show;
mod signature;
mod slice;
mod source;
pub mod spec;
mod suggest;
mod task;
mod verbs;
mod vm;

pub use convert::holdable;
pub use failure::{Code, Failure};
pub use host::{Call, CallOp, Completion, Event};
pub use inspect::{Frame, Local, Standing};
pub use limits::Limits;
pub use registry::{ArgType, Key, OBJECTS, Object, OptionTable, Typed, VERBS, Verb};
pub use revision::{PipelineInfo, Problem, Revision};
pub use show::hidden as is_secret_name;
pub use signature::{Field, FieldType, check_input};
pub use suggest::nearest;
pub use vm::{Progress, State, Vm};
