//! The only door to OpenCL, and the only place with `unsafe` code.
//!
//! What leaves this module is safe to call: handles own what they point at, transfers carry the
//! length of the slice they were given, and [`launch`] checks every buffer of a kernel against the
//! bounds that the kernel's source states before it is enqueued. Commands go to one in-order queue,
//! so no events are needed, and a buffer may be reused as soon as its last command is enqueued.
//!
//! Not here: what to launch and when. Drivers return status codes that `ocl` does not know, and then
//! it panics; [`crate::session`] turns that into an error at the edge of its thread.
#![allow(unsafe_code)]

mod info;
pub(crate) mod launch;
mod queue;
pub mod words;

pub(crate) use info::{DeviceHandle, devices};
pub(crate) use queue::{Buffer, Failure, Kernel, Queue};

mod sealed {
    pub trait Sealed: ocl::OclPrm {}
    impl Sealed for u32 {}
    impl Sealed for u64 {}
}

/// An unsigned integer that a field element is stored in.
pub trait Word: sealed::Sealed + Eq {}

impl Word for u32 {}
impl Word for u64 {}
