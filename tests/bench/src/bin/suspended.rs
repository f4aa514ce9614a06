//! Holds many suspended workflows and prints what they occupy: `suspended [COUNT]`.
//!
//! Resident memory of the process, not what the allocator was asked for: pages half used count whole.

use froben_bench::{FAN_OUT, pipeline, resident_bytes, start};

fn main() {
    let count = std::env::args().nth(1).and_then(|word| word.parse().ok());
    let count: usize = count.unwrap_or(4_000);
    let revision = pipeline(FAN_OUT);
    // What is made once for the whole process does not count.
    start(&revision, 10).resume(Vec::new());
    let before = resident_bytes();
    let workflows: Vec<_> = (0..count)
        .map(|_| {
            let mut vm = start(&revision, 10);
            vm.resume(Vec::new());
            vm
        })
        .collect();
    let each = (resident_bytes() - before) / count;
    println!(
        "{} workflows, each waiting for 10 tasks: {} KiB resident each, {} in a GiB",
        workflows.len(),
        each >> 10,
        (1 << 30) / each
    );
}
