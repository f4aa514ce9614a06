//! Proves a full segment with the stock prover: time and size per circuit and parameter set.
//!
//! `cargo run --release -p froben-circuits --example measure [RUNS]`; the times are medians.

use std::error::Error;
use std::time::{Duration, Instant};

use froben_circuits::{Circuit, Params, SEGMENT_BYTES, Witness, config, prove, verify};

fn main() -> Result<(), Box<dyn Error>> {
    let runs: usize = match std::env::args().nth(1) {
        Some(runs) => runs.parse()?,
        None => 3,
    };
    let bytes = (0..SEGMENT_BYTES).map(|i| (i * i + i / 7) as u8).collect();
    let witness = Witness::compute(bytes, 0)?;
    println!("params    circuit    rows  cells  prove ms  verify ms  proof KiB");
    for params in Params::ALL {
        let config = config::stock(params);
        for circuit in Circuit::ALL {
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
    Ok(())
}

fn median_ms(times: &mut [Duration]) -> u128 {
    times.sort_unstable();
    times[times.len() / 2].as_millis()
}
