//! Makes the keys that `froben-compress` pins, and a final proof under them.
//!
//! `cargo run -p froben-compress --example make_snark_keys PARAMS [SEGMENTS PROOF]`, after `make_tree_keys` of `froben-recursion`. It writes
//! `operator/compress/keys/PARAMS.key`; with `PROOF` it also proves so many segments through the whole chain, verifies the
//! result and writes it to that file. The test's golden proof is `dev 2 operator/compress/tests/golden/dev.final`.

mod tree;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use froben_circuits::{Params, SEGMENT_BYTES, Statement};
use froben_compress::kzg::{Halo2Msm, Setup};
use froben_compress::{Compressor, Pinned, log_rows};
use froben_recursion::aggregate::batch_digest;
use froben_recursion::tree::{Keys, Piece};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (params, proof) = match arguments.as_slice() {
        [params] => (params, None),
        [params, segments, proof] => (params, Some((segments.parse::<u32>()?, proof))),
        _ => return Err("make_snark_keys PARAMS [SEGMENTS PROOF]".into()),
    };
    let params: Params = params.parse()?;

    let mut clock = Clock(Instant::now(), processor_seconds());
    let setup = Arc::new(Setup::dev(log_rows(params)));
    clock.lap("setup");
    let scheduler = Keys::of(params)?.key(Piece::Scheduler);
    let (pinned, last_layer, keys) = Pinned::make(params, scheduler, setup)?;
    clock.lap("keys of the compression");
    println!(
        "last layer {:?}, columns {:?}, key {}",
        last_layer.log_heights(),
        keys.columns().counts(),
        pinned.key.name()
    );
    println!(
        "{}: SHA-256 {}",
        pinned.keys_file_name(),
        hex::encode(pinned.keys_file)
    );
    let bytes = pinned.to_bytes();
    if Pinned::from_bytes(&bytes)?.key.digest() != pinned.key.digest() {
        return Err("the key is not read as it was written".into());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("keys");
    let path = folder.join(format!("{params}.key"));
    std::fs::write(&path, &bytes)?;
    println!("{}: {} bytes", path.display(), bytes.len());

    let Some((segments, proof)) = proof else {
        return Ok(());
    };
    let witnesses = tree::witnesses(segments)?;
    let scheduler = tree::scheduler(params, &witnesses)?;
    clock.lap("the tree");
    let compressor = Compressor::of(pinned, last_layer, keys, Arc::new(Halo2Msm));
    let length = (witnesses.len() * SEGMENT_BYTES) as u64;
    let made = compressor.compress(&scheduler, length, &|phase| {
        println!("{}", phase.name());
    })?;
    clock.lap("compression");
    let statements: Vec<Statement> = witnesses.iter().map(|it| it.statement).collect();
    if made.verify_under(compressor.pinned())? != batch_digest(&statements)? {
        return Err("the digest is not that of the statements".into());
    }
    std::fs::write(proof, made.to_bytes())?;
    println!("final proof {} bytes", made.to_bytes().len());
    Ok(())
}

/// Since when, and seconds of processor time until then.
struct Clock(Instant, f64);

impl Clock {
    /// Prints the time since the last call, the processor's time and the most memory used where the system tells.
    fn lap(&mut self, what: &str) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find(|line| line.starts_with("VmHWM"));
        let peak = peak.unwrap_or("");
        let seconds = self.0.elapsed().as_secs_f64();
        let processor = processor_seconds();
        println!(
            "{what}: {seconds:.1} s, {:.1} s of processors, {peak}",
            processor - self.1
        );
        // Starts the peak anew.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        *self = Self(Instant::now(), processor);
    }
}

/// Seconds that this process had processors for, in the usual hundredths.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or("");
    let ticks = fields.split(' ').skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}
