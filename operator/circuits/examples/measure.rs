//! Proves a full segment with the stock prover: time and size per circuit and parameter set.
//!
//! `cargo run --release -p froben-circuits --example measure [RUNS [PARAMS CIRCUIT]]`; the times are
//! medians. The last line is the most memory that the process held, where Linux tells: of one proof, if
//! one circuit and one set are asked for.

use std::error::Error;
use std::time::{Duration, Instant};

use froben_circuits::{Circuit, Params, SEGMENT_BYTES, Witness, config, prove, verify};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runs: usize = match args.first() {
        Some(runs) => runs.parse()?,
        None => 3,
    };
    let only: Option<(Params, Circuit)> = match args.get(1..3) {
        Some([params, circuit]) => Some((params.parse()?, circuit.parse()?)),
        _ => None,
    };
    let bytes = (0..SEGMENT_BYTES).map(|i| (i * i + i / 7) as u8).collect();
    let witness = Witness::compute(bytes, 0)?;
    println!("params    circuit    rows  cells  prove ms  verify ms  proof KiB");
    for params in Params::ALL {
        let config = config::stock(params);
        for circuit in Circuit::ALL {
            if only.is_some_and(|only| only != (params, circuit)) {
                continue;
            }
            let mut proving = Vec::new();
            let mut verifying = Vec::new();
            let mut size = 0;
            for _ in 0..runs.max(1) {
                let start = Instant::now();
                let proof = prove(&config, circuit, &witness)?;
                proving.push(start.elapsed());
                let start = Instant::now();
                verify(params, circuit, &witness.statement, &proof)?;
                verifying.push(start.elapsed());
                size = proof.len();
            }
            println!(
                "{:<9} {:<9} {:>5} {:>6} {:>9} {:>10} {:>10}",
                params.name(),
                circuit.name(),
                1usize << circuit.log_height(),
                circuit.width(),
                median_ms(&mut proving),
                median_ms(&mut verifying),
                size.div_ceil(1024)
            );
        }
    }
    if let Some(peak) = peak_mib() {
        println!("peak memory: {peak} MiB");
    }
    Ok(())
}

/// The most memory that this process has held, in MiB.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib.div_ceil(1024))
}

fn median_ms(times: &mut [Duration]) -> u128 {
    times.sort_unstable();
    times[times.len() / 2].as_millis()
}
