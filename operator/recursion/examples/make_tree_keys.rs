//! Writes the verifying keys of the tree of a parameter set into `keys/`, and prints what it made.
//!
//! `cargo run -p froben-recursion --example make_tree_keys -- dev`, after a change of any circuit, of
//! the tables or of the slots; then again with `standard`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use froben_circuits::Params;
use froben_recursion::Heights;
use froben_recursion::tree::Keys;

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match make(&name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn make(name: &str) -> Result<(), String> {
    let params: Params = name
        .parse()
        .map_err(|unknown| format!("{unknown}; it is the one argument"))?;
    let begun = Instant::now();
    let keys = Keys::make(params, &mut |piece, key| {
        let Heights { tall, short } = key.heights;
        println!("{piece}: 2^{tall}, 2^{short} ({:.0?})", begun.elapsed());
    });
    let keys = keys.map_err(|error| error.to_string())?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("keys")
        .join(params.name());
    let bytes = keys.encode();
    std::fs::write(&path, &bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{}: {} bytes", path.display(), bytes.len());
    Ok(())
}
