//! `bench`, `tune` and `selftest` over provers that are shell scripts: what the tables say, what the JSON
//! holds, and how the program ends.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::{Expect, expect};

const DEVICES: &str = r#"
  {"id": "pci:0000:01:00.0", "name": "Card", "driver": "Maker 1.2", "kind": "gpu", "memory_bytes": 1},
  {"id": "cpu", "name": "Processor", "driver": "Portable 3"}"#;

/// A prover: for each verb and device what it does, as lines of shell.
struct Prover {
    dir: tempfile::TempDir,
}

impl Prover {
    fn new(arms: &[(&str, &str)]) -> Prover {
        let dir = tempfile::tempdir().unwrap();
        let mut script = "#!/bin/sh\necho \"$*\" >> \"$0.asked\"\ncase \"$*\" in\n".to_owned();
        let devices = format!("echo '{{\"format\": 1, \"devices\": [{DEVICES}]}}'");
        for (asked, answer) in arms.iter().chain([&("devices -o json", devices.as_str())]) {
            script += &format!("'{asked}') {answer} ;;\n");
        }
        script += "*) echo \"unexpected: $*\" >&2; exit 2 ;;\nesac\n";
        let prover = Prover { dir };
        fs::write(prover.path(), script).unwrap();
        fs::set_permissions(prover.path(), fs::Permissions::from_mode(0o755)).unwrap();
        prover
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("prover")
    }

    fn asked(&self) -> String {
        fs::read_to_string(self.dir.path().join("prover.asked")).unwrap()
    }

    fn run(&self, args: &[&str]) -> Ended {
        operator(&self.path(), args)
    }
}

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn operator(prover: &Path, args: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_froben-operator"))
        .args(args)
        .arg("--prover")
        .arg(prover)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn answer(device: &str) -> String {
    format!("echo '{{\"format\": 1, \"devices\": [{device}]}}'")
}

fn check(ended: &Ended, code: i32, stdout: &Expect, stderr: &Expect) {
    stdout.assert_eq(&ended.stdout);
    stderr.assert_eq(&ended.stderr);
    assert_eq!(ended.code, Some(code));
}

fn measured(kernel: &str) -> String {
    answer(&format!(
        r#"{{"id": "pci:0000:01:00.0", "name": "Card", "driver": "Maker 1.2",
        "copy": {{"shape": "256 MiB", "runs": 9, "median_ns": 134217, "elements": 67108864,
          "elements_per_s": 5e11, "bytes": 536870912, "bytes_per_s": 4e12}},
        "kernels": [{kernel}], "error": null}}"#
    ))
}

const NTT: &str = r#"{"kernel": "ntt", "field": "goldilocks",
  "figures": {"shape": "2^20 x 16", "runs": 9, "median_ns": 301234, "elements": 16777216,
    "elements_per_s": 55694960727.8, "bytes": 805306368, "bytes_per_s": 2.6733e12},
  "of_copy": 0.668325, "error": null}"#;

#[test]
fn bench_shows_a_table_for_each_device_and_hands_its_options_on() {
    let prover = Prover::new(&[
        (
            "bench -o json --device pci:0000:01:00.0 --kernel ntt --kernel fold --runs 9",
            &measured(NTT),
        ),
        (
            "bench -o json --device cpu --kernel ntt --kernel fold --runs 9",
            "echo 'bench cpu: copy' >&2; kill -ABRT $$",
        ),
    ]);
    let ended = prover.run(&[
        "bench", "--kernel", "ntt", "--kernel", "fold", "--runs", "9",
    ]);
    check(
        &ended,
        11,
        &expect![[r#"
        pci:0000:01:00.0: Card, Maker 1.2
         KERNEL  FIELD       SHAPE        TIME  ELEMENTS     MEMORY  OF COPY
         copy                256 MiB    134 us   500 G/s  4.00 TB/s    100 %
         ntt     goldilocks  2^20 x 16  301 us  55.7 G/s  2.67 TB/s     67 %

        cpu: Processor, Portable 3
        failed: the prover was ended by SIGABRT, which is most likely its driver's doing
    "#]],
        &expect![[r#"
        bench cpu: copy
        error: bench failed on cpu
    "#]],
    );
}

#[test]
fn a_kernel_without_figures_is_named_below_the_others() {
    let kernels = format!(
        r#"{NTT}, {{"kernel": "fold", "field": "babybear", "figures": null, "of_copy": null,
        "error": "the card cannot hold 9 bytes"}}"#
    );
    let prover = Prover::new(&[
        (
            "bench -o json --device pci:0000:01:00.0 --runs 7",
            &(measured(&kernels) + "; exit 11"),
        ),
        (
            "devices -o json --device pci:0000:01:00.0",
            &answer(r#"{"id": "pci:0000:01:00.0", "name": "Card", "driver": "Maker 1.2"}"#),
        ),
    ]);
    let ended = prover.run(&["bench", "--device", "pci:0000:01:00.0"]);
    check(
        &ended,
        11,
        &expect![[r#"
        pci:0000:01:00.0: Card, Maker 1.2
         KERNEL  FIELD       SHAPE        TIME  ELEMENTS     MEMORY  OF COPY
         copy                256 MiB    134 us   500 G/s  4.00 TB/s    100 %
         ntt     goldilocks  2^20 x 16  301 us  55.7 G/s  2.67 TB/s     67 %
        fold babybear failed: the card cannot hold 9 bytes
    "#]],
        &expect![[r#"
        error: bench failed on pci:0000:01:00.0
    "#]],
    );
    assert_eq!(prover.asked().lines().count(), 2, "{}", prover.asked());
}

#[test]
fn json_has_the_provers_names_and_survives_a_device_that_aborts() {
    let prover = Prover::new(&[
        (
            "bench -o json --device pci:0000:01:00.0 --runs 7",
            &measured(NTT),
        ),
        ("bench -o json --device cpu --runs 7", "kill -SEGV $$"),
    ]);
    let ended = prover.run(&["bench", "-o", "json"]);
    check(
        &ended,
        11,
        &expect![[r#"
        {
          "format": 1,
          "devices": [
            {
              "id": "pci:0000:01:00.0",
              "name": "Card",
              "driver": "Maker 1.2",
              "copy": {
                "shape": "256 MiB",
                "runs": 9,
                "median_ns": 134217,
                "elements": 67108864,
                "elements_per_s": 500000000000.0,
                "bytes": 536870912,
                "bytes_per_s": 4000000000000.0
              },
              "kernels": [
                {
                  "kernel": "ntt",
                  "field": "goldilocks",
                  "figures": {
                    "shape": "2^20 x 16",
                    "runs": 9,
                    "median_ns": 301234,
                    "elements": 16777216,
                    "elements_per_s": 55694960727.8,
                    "bytes": 805306368,
                    "bytes_per_s": 2673300000000.0
                  },
                  "of_copy": 0.668325,
                  "error": null
                }
              ],
              "error": null
            },
            {
              "id": "cpu",
              "name": "Processor",
              "driver": "Portable 3",
              "copy": null,
              "kernels": [],
              "error": "the prover was ended by SIGSEGV, which is most likely its driver's doing"
            }
          ]
        }
    "#]],
        &expect![[r#"
        error: bench failed on cpu
    "#]],
    );
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["devices"][0]["kernels"][0]["figures"]["runs"], 9);
}

#[test]
fn selftest_names_the_kernel_that_fails_and_ends_with_a_code_of_its_own() {
    let right = r#"{"kernel": "ntt", "field": "babybear", "ok": true, "error": null}"#;
    let wrong = r#"{"kernel": "fold", "field": "babybear", "ok": false,
        "error": "the card computes wrongly: fold over babybear; do not prove on this device"}"#;
    let report = |id: &str, checks: &str| {
        answer(&format!(
            r#"{{"id": "{id}", "name": "n", "driver": "d", "checks": [{checks}], "error": null}}"#
        ))
    };
    let gpu = "selftest -o json --device pci:0000:01:00.0";
    let cpu = "selftest -o json --device cpu";
    let prover = Prover::new(&[
        (
            gpu,
            &(report("pci:0000:01:00.0", &format!("{right}, {wrong}")) + "; exit 11"),
        ),
        (cpu, &report("cpu", right)),
    ]);
    let ended = prover.run(&["selftest"]);
    check(
        &ended,
        11,
        &expect![[r#"
        pci:0000:01:00.0: n, d
         KERNEL  FIELD     ANSWERS
         ntt     babybear  right
         fold    babybear  the card computes wrongly: fold over babybear; do not prove on this device

        cpu: n, d
         KERNEL  FIELD     ANSWERS
         ntt     babybear  right
    "#]],
        &expect![[r#"
        error: selftest failed on pci:0000:01:00.0
    "#]],
    );

    let prover = Prover::new(&[
        (gpu, &report("pci:0000:01:00.0", right)),
        (cpu, &report("cpu", right)),
    ]);
    let ended = prover.run(&["selftest"]);
    check(
        &ended,
        0,
        &expect![[r#"
        pci:0000:01:00.0: n, d
         KERNEL  FIELD     ANSWERS
         ntt     babybear  right

        cpu: n, d
         KERNEL  FIELD     ANSWERS
         ntt     babybear  right
    "#]],
        &expect![],
    );
}

#[test]
fn tune_shows_what_was_found_left_out_and_not_kept() {
    let found = |default_ns: u64, best_ns: u64, rejected: &str, not_kept: &str| {
        format!(
            r#"{{"kernel": "ntt_pass", "field": "babybear", "error": null, "found":
            {{"shape": "2^16 x 16", "layout": "lane 8, group 1, tile 32 KiB, 8 levels", "candidates": 45,
            "rejected": [{rejected}], "default_ns": {default_ns}, "best_ns": {best_ns},
            "not_kept": {not_kept}}}}}"#
        )
    };
    let kernels = format!(
        "{}, {}",
        found(3_000_000, 2_000_000, "", "null"),
        found(5, 5, r#""lane 1: wrong""#, r#""disk full""#)
    );
    let prover = Prover::new(&[
        (
            "devices -o json --device cpu",
            &answer(r#"{"id": "cpu", "name": "Processor", "driver": "Portable 3"}"#),
        ),
        (
            "tune -o json --device cpu",
            &answer(&format!(
                r#"{{"id": "cpu", "name": "Processor", "driver": "Portable 3",
                "kernels": [{kernels}], "error": null}}"#
            )),
        ),
    ]);
    let ended = prover.run(&["tune", "--device", "cpu"]);
    check(
        &ended,
        0,
        &expect![[r#"
        cpu: Processor, Portable 3
         KERNEL    FIELD     LAYOUT                                  TRIED  DEFAULT     BEST  GAIN
         ntt_pass  babybear  lane 8, group 1, tile 32 KiB, 8 levels     45  3.00 ms  2.00 ms  1.50
         ntt_pass  babybear  lane 8, group 1, tile 32 KiB, 8 levels     45     5 ns     5 ns  1.00
        ntt_pass babybear: left out lane 1: wrong
        ntt_pass babybear: not kept for later: disk full
    "#]],
        &expect![],
    );
}

#[test]
fn what_keeps_a_verb_from_beginning_has_its_exit_code() {
    let list = "devices -o json";
    for (asked, answer, code, words) in [
        (list, "exit 10", 10, "finds no OpenCL device"),
        (list, "exit 1", 1, "exited with code 1"),
        (list, "kill -KILL $$", 1, "was ended by SIGKILL"),
        (list, "echo nonsense", 1, "does not answer as expected"),
        (
            list,
            "echo '{\"format\": 2, \"devices\": []}'",
            1,
            "answers in format 2, not 1",
        ),
        (
            "selftest -o json --device pci:0000:01:00.0",
            "exit 2",
            2,
            "takes no such arguments",
        ),
        (
            "selftest -o json --device pci:0000:01:00.0",
            "exit 3",
            3,
            "has no such device",
        ),
    ] {
        let ended = Prover::new(&[(asked, answer)]).run(&["selftest"]);
        assert_eq!(ended.code, Some(code), "{answer}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{answer}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{answer}");
    }
    let ended = operator(Path::new("/no/such/prover"), &["bench"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    for args in [&["bench", "--runs", "x"][..], &["tune", "-o", "csv"]] {
        let ended = Prover::new(&[]).run(args);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    }
}
