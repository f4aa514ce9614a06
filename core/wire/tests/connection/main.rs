//! Real TLS over loopback: who comes in, and what a bad peer can do to others.

mod host;
mod limits;
mod tls;
