//! A coordinator with the real engine, over real TLS on loopback.

#![allow(clippy::unwrap_used)]

mod admins;
mod blobs;
mod durable;
mod host;
mod machines;
mod seekers;
