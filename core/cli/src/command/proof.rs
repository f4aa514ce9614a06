//! `froben proof`: calldata and contracts of a SNARK. Needs no network.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use froben_compress::FinalProof;

use crate::args::{ProofCalldata, ProofSolidity, ProofVerb};
use crate::command::verify::{refused, snark};
use crate::error::{Error, Exit};

pub(crate) fn run(verb: ProofVerb) -> Result<(), Error> {
    match verb {
        ProofVerb::Calldata(args) => calldata(&args),
        ProofVerb::Solidity(args) => solidity(&args),
    }
}

fn calldata(args: &ProofCalldata) -> Result<(), Error> {
    let proof = read(&args.proof)?;
    println!("0x{}", hex::encode(proof.calldata()));
    Ok(())
}

fn solidity(args: &ProofSolidity) -> Result<(), Error> {
    let ProofSolidity { proof, out, force } = args;
    let proof = read(proof)?;
    let contracts = proof.contracts();
    let [inner, outer] =
        contracts.map_err(|error| Error::new(Exit::Unexpected, error.to_string()))?;
    fs::create_dir_all(out).map_err(|error| Error::file("make", out, &error))?;
    for (name, source) in [("Halo2Verifier.sol", inner), ("FrobenVerifier.sol", outer)] {
        let path = out.join(name);
        write(&path, &source, *force)?;
        println!("{}", path.display());
    }
    Ok(())
}

fn write(path: &Path, source: &str, force: bool) -> Result<(), Error> {
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .create_new(!force)
        .truncate(force)
        .open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let why = format!("{} exists", path.display());
            Error::new(Exit::Usage, why).hint("--force overwrites it")
        }
        _ => Error::file("write", path, &error),
    })?;
    file.write_all(source.as_bytes())
        .map_err(|error| Error::file("write", path, &error))
}

/// A SNARK that holds under the key of this program: contracts take the key and the proof's length, and a call is paid
/// for whether or not the proof holds.
fn read(path: &Path) -> Result<FinalProof, Error> {
    let proof = snark::read(path)?;
    let _digest = proof.verify().map_err(|error| refused(error.to_string()))?;
    // Whoever deploys or calls a contract should know what it is worth.
    if let Err(error) = proof.for_production() {
        eprintln!("warning: {error}");
    }
    Ok(proof)
}
