//! Generates Rust from the schemas, with the `capnp` compiler of the system.

fn main() {
    let schemas = ["common", "operator", "seeker", "admin", "journal"];
    let mut command = capnpc::CompilerCommand::new();
    for schema in schemas {
        let file = format!("{schema}.capnp");
        println!("cargo::rerun-if-changed={file}");
        command.file(file);
    }
    if let Err(error) = command.run() {
        eprintln!("cannot compile the Cap'n Proto schemas: {error}");
        eprintln!("hint: install the compiler, on Debian by `apt-get install capnproto`");
        std::process::exit(1);
    }
}
