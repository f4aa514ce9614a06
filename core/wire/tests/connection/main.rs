//! Real TLS over loopback: who comes in, and what a bad peer can do to others.

#![allow(clippy::unwrap_used)]

mod host;
mod limits;
mod tls;
