//! A network of real processes for tests: coordinator, operators, and the seeker's command line.
//!
//! Each network has its own folder, CA and port, so tests run side by side. Whatever a test does, its
//! processes end with it.

mod books;
mod network;
mod process;
mod proxy;
mod sound;

pub use books::{PRICES, Paid, micros};
pub use network::{Network, Options};
pub use process::{Finished, Process, eventually, example, program};
pub use proxy::Proxy;
