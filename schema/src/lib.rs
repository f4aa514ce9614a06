//! The words that cross a process, in Cap'n Proto, and their translation into [`froben_model`].
//!
//! The generated modules carry the schemas' names; [`convert`] holds both directions for every struct
//! that more than one door uses. Reading checks sizes and forms, so that nothing malformed gets past
//! it. This crate opens no connection and knows no policy: what is allowed is decided elsewhere.

pub mod convert;

macro_rules! generated {
    ($($name:ident),*) => {$(
        // Not ours to style: capnpc writes it.
        #[allow(unsafe_code, unreachable_pub, rust_2018_idioms)]
        #[allow(clippy::all, clippy::unimplemented, clippy::unwrap_used)]
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
        }
    )*};
}

generated!(
    common_capnp,
    operator_capnp,
    seeker_capnp,
    admin_capnp,
    journal_capnp
);
