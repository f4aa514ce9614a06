//! The only door to OpenCL, and the only place with `unsafe` code.
//!
//! What leaves this module is safe to call: handles own what they point at, transfers carry the
//! length of the slice they were given, and [`launch`] checks every buffer of a kernel against the
//! bounds that the kernel's source states before it is enqueued. Launches go to one in-order queue, so
//! that a buffer may be reused as soon as its last command is enqueued; only [`transfer`], which copies
//! beside them on a second queue, needs events.
//!
//! Not here: what to launch and when. Drivers return status codes that `ocl` does not know, and then
//! it panics; [`crate::session`] turns that into an error at the edge of its thread.
#![allow(unsafe_code)]

mod info;
pub(crate) mod launch;
pub mod loader;
mod program;
mod queue;
mod transfer;
mod words;

pub(crate) use info::{DeviceHandle, devices};
pub(crate) use queue::{Adopted, Buffer, Failure, Kernel, Queue};
#[cfg(test)]
pub(crate) use transfer::Span;
pub(crate) use transfer::{Mark, Transfer};

mod sealed {
    pub trait Sealed: Copy + Eq + std::fmt::Debug + Send + 'static {
        /// What the driver transfers.
        type Limb: ocl::OclPrm;

        fn limbs(words: &[Self]) -> &[Self::Limb];
        fn limbs_mut(words: &mut [Self]) -> &mut [Self::Limb];
    }

    macro_rules! single {
        ($($word:ty),*) => {$(
            impl Sealed for $word {
                type Limb = Self;

                fn limbs(words: &[Self]) -> &[Self] {
                    words
                }

                fn limbs_mut(words: &mut [Self]) -> &mut [Self] {
                    words
                }
            }
        )*};
    }
    single!(u32, u64);

    impl Sealed for [u64; 4] {
        type Limb = u64;

        fn limbs(words: &[Self]) -> &[u64] {
            words.as_flattened()
        }

        fn limbs_mut(words: &mut [Self]) -> &mut [u64] {
            words.as_flattened_mut()
        }
    }
}

/// An unsigned integer that a field element is stored in, little-endian limbs where it has several.
pub trait Word: sealed::Sealed {}

impl Word for u32 {}
impl Word for u64 {}
impl Word for [u64; 4] {}
