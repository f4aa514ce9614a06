//! The Solidity compiler, from npm.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// The release that `snark-verifier` writes for.
const VERSION: &str = "0.8.19";

const SCRIPT: &str = r#"
const solc = require('solc');
const source = require('fs').readFileSync(0, 'utf8');
const settings = { optimizer: { enabled: false }, outputSelection: { '*': { '*': ['evm.bytecode.object'] } } };
const input = { language: 'Solidity', sources: { 's.sol': { content: source } }, settings };
const output = JSON.parse(solc.compile(JSON.stringify(input)));
const errors = (output.errors || []).filter((error) => error.severity === 'error');
if (errors.length) {
  console.error(errors.map((error) => error.formattedMessage).join('\n'));
  process.exit(1);
}
process.stdout.write(Object.values(output.contracts['s.sol'])[0].evm.bytecode.object);
"#;

/// Installs the compiler in a folder of `directory`, unless it is there.
fn installed(directory: &Path) -> PathBuf {
    // Tests run at the same time and share the folder.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _guard = INSTALLING.lock().expect("npm installs");
    let directory = directory.join(format!("solc-{VERSION}"));
    if !directory.join("compile.js").exists() {
        fs::create_dir_all(&directory).expect("a directory for solc");
        let status = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--prefix"])
            .arg(&directory)
            .arg(format!("solc@{VERSION}"))
            .stdout(Stdio::null())
            .status()
            .expect("npm runs");
        assert!(status.success(), "npm installs solc {VERSION}");
        // Written last: where it is, the compiler is.
        fs::write(directory.join("compile.js"), SCRIPT).expect("the script is written");
    }
    directory
}

/// The deployment code of the only contract in `source`, by a compiler that is kept in `directory`.
pub(crate) fn compile(directory: &Path, source: &str) -> Vec<u8> {
    let mut node = Command::new("node")
        .arg("compile.js")
        .current_dir(installed(directory))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    let mut stdin = node.stdin.take().expect("a pipe");
    stdin.write_all(source.as_bytes()).expect("node reads");
    drop(stdin);
    let output = node.wait_with_output().expect("node ends");
    assert!(output.status.success(), "the contract compiles");
    hex::decode(output.stdout).expect("bytecode")
}
