//! The real program, asked by hand: devices, measurements, tests, and devices that are not to be trusted.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use froben_opencl::Device;
use serde_json::Value;

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs with a cache folder of its own, so that nothing is there from earlier runs or left for later ones.
fn prover(args: &[&str], cache: &Path, env: &[(&str, &str)]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_froben-prover"))
        .args(args)
        .env("XDG_CACHE_HOME", cache)
        .env_remove("RUST_LOG")
        .envs(env.iter().copied())
        .output()
        .unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn device() -> Option<Device> {
    match Device::discover() {
        Ok(devices) => devices.into_iter().next(),
        Err(error) => {
            println!("SKIP: {error}");
            None
        }
    }
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}{}", ended.stdout, ended.stderr);
    })
}

/// The names in a document, as paths; lists count by their first entry.
fn names(value: &Value, at: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                names(value, &format!("{at}.{name}"), into);
            }
        }
        Value::Array(list) => match list.first() {
            Some(first) => names(first, &format!("{at}[]"), into),
            None => into.push(format!("{at}[]")),
        },
        _ => into.push(at.trim_start_matches('.').to_owned()),
    }
}

#[test]
fn the_documents_have_the_names_that_are_promised() {
    let Some(device) = device() else { return };
    let dir = tempfile::tempdir().unwrap();
    let on = ["-o", "json", "--device", &device.id];
    for (args, expected) in [
        (
            &["devices"][..],
            "devices[].compute_units devices[].driver devices[].id devices[].kind \
             devices[].memory_bytes devices[].name devices[].pci devices[].vendor",
        ),
        (
            &["selftest", "--kernel", "fold", "--field", "goldilocks"],
            "devices[].checks[].error devices[].checks[].field devices[].checks[].kernel \
             devices[].checks[].ok devices[].driver devices[].error devices[].id devices[].name",
        ),
        (
            &["bench", "--kernel", "fold"],
            "devices[].copy.bytes devices[].copy.bytes_per_s devices[].copy.elements \
             devices[].copy.elements_per_s devices[].copy.median_ns devices[].copy.runs \
             devices[].copy.shape devices[].driver devices[].error devices[].id \
             devices[].kernels[].error devices[].kernels[].field \
             devices[].kernels[].figures.bytes devices[].kernels[].figures.bytes_per_s \
             devices[].kernels[].figures.elements devices[].kernels[].figures.elements_per_s \
             devices[].kernels[].figures.median_ns devices[].kernels[].figures.runs \
             devices[].kernels[].figures.shape devices[].kernels[].kernel \
             devices[].kernels[].of_copy devices[].name",
        ),
        (
            &["tune", "--kernel", "fri_fold"],
            "devices[].driver devices[].error devices[].id devices[].kernels[].error \
             devices[].kernels[].field devices[].kernels[].found.best_ns \
             devices[].kernels[].found.candidates devices[].kernels[].found.default_ns \
             devices[].kernels[].found.layout devices[].kernels[].found.not_kept \
             devices[].kernels[].found.rejected[] devices[].kernels[].found.shape \
             devices[].kernels[].kernel devices[].name",
        ),
    ] {
        let ended = prover(&[args, &on].concat(), dir.path(), &[]);
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
        let document = json(&ended);
        assert_eq!(document["format"], 1);
        assert_eq!(document["devices"][0]["id"], device.id);
        let mut found = Vec::new();
        names(&document["devices"], "devices", &mut found);
        found.sort();
        assert_eq!(found.join(" "), expected, "{args:?}");
    }
    let tuned: Vec<_> = fs::read_dir(dir.path().join("froben/opencl/tunings"))
        .unwrap()
        .collect();
    assert_eq!(tuned.len(), 1, "one file for one device");
}

#[test]
fn lines_are_separated_by_tabs_and_name_the_device() {
    let Some(device) = device() else { return };
    let dir = tempfile::tempdir().unwrap();
    let ended = prover(&["selftest", "--kernel", "ntt"], dir.path(), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for (line, field) in
        ended
            .stdout
            .lines()
            .zip(["babybear", "koalabear", "goldilocks", "bn254_fr"])
    {
        assert_eq!(line, format!("{}\tntt {field}\tok", device.id));
    }
}

#[test]
fn what_cannot_be_done_has_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let none = [
        ("OCL_ICD_VENDORS", "/nowhere/"),
        ("OPENCL_VENDOR_PATH", "/nowhere/"),
    ];
    for (args, code, words) in [
        (&["bench"][..], 10, "pocl-opencl-icd"),
        (&["devices"], 10, "pocl-opencl-icd"),
        (
            &["bench", "--kernel", "nonsense"],
            2,
            "ntt, lde, spread, fold, poseidon2, merkle, msm",
        ),
        (&["bench", "--field", "nonsense"], 2, "bn254_fr"),
        (
            &["tune", "--kernel", "nonsense"],
            2,
            "ntt_pass, ntt_spread, fri_fold, poseidon2_permute, merkle_leaves, merkle_nodes, msm",
        ),
        (&["selftest", "--field", "nonsense"], 2, "babybear"),
        (&["bench", "--runs", "many"], 2, "--runs"),
        (&["selftest", "--role", "cpu"], 2, "--role"),
    ] {
        let ended = prover(args, dir.path(), &none);
        assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{args:?}");
    }
    if device().is_some() {
        let ended = prover(&["tune", "--device", "pci:x"], dir.path(), &[]);
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains("pci:x"), "{}", ended.stderr);
    }
}

#[test]
fn a_corrupted_program_is_named_rebuilt_and_never_used() {
    let Some(_) = device() else { return };
    let dir = tempfile::tempdir().unwrap();
    let args = "selftest --field babybear --kernel ntt --kernel fold";
    let args: Vec<_> = args.split(' ').collect();
    let selftest = || prover(&args, dir.path(), &[]);
    assert_eq!(selftest().code, Some(0));
    let programs = dir.path().join("froben/opencl/programs");
    let mut corrupted = 0;
    for file in fs::read_dir(&programs).unwrap() {
        corrupted += 1;
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        fs::write(&path, bytes).unwrap();
    }
    let ended = selftest();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let warnings = ended.stderr.matches("its content is not what was written");
    assert_eq!(warnings.count(), corrupted, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("ntt_pass_babybear"),
        "{}",
        ended.stderr
    );
    let again = selftest();
    assert!(!again.stderr.contains("compiled anew"), "{}", again.stderr);
}

/// PoCL adds this to the options of every program: kernels work in other lanes than the host counts with,
/// and leave a part of each matrix as it was.
const MISCOMPILING: (&str, &str) = ("POCL_EXTRA_BUILD_FLAGS", "-DVW=4");

#[test]
fn a_device_that_computes_wrongly_is_named_with_its_kernels() {
    let Some(device) = device() else { return };
    let dir = tempfile::tempdir().unwrap();
    let args = ["selftest", "-o", "json", "--kernel", "ntt"];
    let ended = prover(&args, dir.path(), &[MISCOMPILING]);
    if ended.code == Some(0) {
        return println!("SKIP: {device} cannot be made to compute wrongly");
    }
    assert_eq!(ended.code, Some(11), "{}", ended.stderr);
    let checks = &json(&ended)["devices"][0]["checks"];
    assert_eq!(checks[0]["ok"], false, "{checks}");
    let error = checks[0]["error"].as_str().unwrap();
    assert!(
        error.contains(&device.id) && error.contains("computes wrongly: ntt over babybear"),
        "{error}"
    );
    // It is not measured either.
    let ended = prover(&["bench", "--kernel", "ntt"], dir.path(), &[MISCOMPILING]);
    assert_eq!(ended.code, Some(11), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("computes wrongly"),
        "{}",
        ended.stdout
    );
}
