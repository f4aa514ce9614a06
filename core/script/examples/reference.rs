//! Writes the types and the manuals that are made from the registries. `cargo xtask docs` runs it.

use std::path::Path;

use froben_script::reference;

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (path, text) in reference::files() {
        let file = root.join(path);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, text)?;
        println!("wrote {path}");
    }
    Ok(())
}
