//! The scripts that ship keep what their specs say, and the specs say something: every public function of the
//! library has one, and each of a list of planted bugs is caught.

use std::fs;
use std::path::{Path, PathBuf};

use froben_author::specs::{self, Plan, Report};

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts")
}

fn run(path: &Path, seed: u64) -> Report {
    let found = specs::find(path).expect("it has specs");
    let plan = Plan {
        filter: String::new(),
        seed,
    };
    specs::run(&found, &plan, &mut |_| {})
}

fn unmet(report: &Report) -> Vec<String> {
    let cases = report.outcomes.iter().filter_map(|outcome| {
        let unmet = outcome.unmet.as_ref()?;
        Some(format!("{}: {unmet:?}", outcome.case.name()))
    });
    let problems = report.problems.iter().map(|problem| format!("{problem:?}"));
    cases.chain(problems).collect()
}

#[test]
fn the_specs_pass_whatever_is_drawn() {
    for seed in 0..3 {
        assert_eq!(
            unmet(&run(&scripts(), seed)),
            Vec::<String>::new(),
            "seed {seed}"
        );
    }
}

#[test]
fn every_public_function_of_the_library_has_a_spec() {
    let folder = fs::read_dir(scripts().join("lib")).expect("the library");
    for entry in folder {
        let path = entry.expect("a module").path();
        let module = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let source = fs::read_to_string(&path).expect("a module");
        let spec = scripts().join(format!("spec/{module}.lua"));
        let spec = fs::read_to_string(spec).unwrap_or_else(|error| panic!("{module}: {error}"));
        let begins = format!("function {module}.");
        let functions = source
            .lines()
            .filter_map(|line| line.strip_prefix(&begins)?.split('(').next());
        let mut count = 0;
        for function in functions {
            count += 1;
            let called = format!("{module}.{function}(");
            let called = [called.clone(), called.replace('(', " {")];
            assert!(
                called.iter().any(|call| spec.contains(call)),
                "{module}.{function} has no spec"
            );
        }
        assert!(count > 0, "{module} has no functions");
    }
}

/// A module, what is in it, and what is there instead.
const BUGS: &[(&str, &str, &str)] = &[
    ("chunk", "math.min(2, widest)", "1"),
    ("chunk", "return abreast * math", "return math"),
    ("chunk", "first + width - 1", "first + width"),
    ("era", "return number + 2", "return number + 1"),
    ("era", "totals[round] += #level", "totals[round] += 1"),
    (
        "era",
        "{piece.first - 1}-{piece.last - 1}",
        "{piece.first}-{piece.last}",
    ),
    ("join", "and getmetatable(value) == nil", ""),
    ("join", "if round < MOST_ROUNDS then", "if true then"),
    ("join", "    table.insert(avoid, maker)", ""),
    ("join", "table.insert(anew.elsewhere, maker)", ""),
    ("join", "middle + 1, last", "middle, last"),
    ("options", "level + 1", "level"),
    ("options", "table.sort(known)", ""),
    (
        "options",
        "best, nearest = away - 1, candidate",
        "best, nearest = away, candidate",
    ),
    ("retry", "lost = 2 * attempts", "lost = attempts"),
    ("retry", "math.min(2, attempts)", "1"),
    ("retry", "table.insert(said, err.operator)", ""),
    (
        "retry",
        "job.pause = math.min(2 * job.pause, LONGEST_PAUSE)",
        "",
    ),
    ("retry", "LONGEST_PAUSE = 60", "LONGEST_PAUSE = 90"),
    ("retry", "ATTEMPTS = 5", "ATTEMPTS = 6"),
    ("retry", "spent[cause] >= budgets", "spent[cause] > budgets"),
    ("retry", "table.insert(job.avoid, err.operator)", ""),
    ("retry", "job.avoid = table.clone(job.objectors)", ""),
    ("retry", "table.clone(spec.elsewhere or {})", "{}"),
    (
        "retry",
        "disconnected = \"lost\"",
        "disconnected = \"error\"",
    ),
    ("retry", "timeout = \"timeout\"", "timeout = \"error\""),
    (
        "retry",
        "out_of_memory = \"out_of_memory\"",
        "out_of_memory = \"timeout\"",
    ),
    (
        "retry",
        "invalid_result = \"invalid\"",
        "invalid_result = \"error\"",
    ),
    (
        "retry",
        "worker_failed = \"error\"",
        "worker_failed = \"lost\"",
    ),
    ("retry", "message = why or", "message ="),
];

#[test]
fn planted_bugs_are_caught() {
    for (module, right, wrong) in BUGS {
        let dir = tempfile::tempdir().expect("a folder");
        for folder in ["lib", "spec"] {
            fs::create_dir(dir.path().join(folder)).expect("a folder");
        }
        let lib = fs::read_dir(scripts().join("lib")).expect("the library");
        for entry in lib {
            let from = entry.expect("a module").path();
            let to = dir
                .path()
                .join("lib")
                .join(from.file_name().expect("a name"));
            fs::copy(from, to).expect("a copy");
        }
        let spec = format!("spec/{module}.lua");
        fs::copy(scripts().join(&spec), dir.path().join(&spec)).expect("a copy");
        let path = dir.path().join(format!("lib/{module}.lua"));
        let source = fs::read_to_string(&path).expect("a module");
        assert!(
            source.contains(right),
            "there is no `{right}` in {module}: mend this list"
        );
        fs::write(&path, source.replace(right, wrong)).expect("a module");
        let report = run(dir.path(), 1);
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        assert!(report.failed() > 0, "{module}: {wrong:?} for {right:?}");
    }
}
