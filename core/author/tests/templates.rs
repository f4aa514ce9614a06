//! Every template is what `froben new` promises: its pipelines check without a word, it is formatted, and it
//! passes its own specs, whatever they draw, under any name.

mod checker;

use checker::types;
use froben_author::specs::{self, Plan, Report};
use froben_author::{CheckOptions, TEMPLATES, Template, check, diff, files, format};

const SEEDS: u64 = 3;

/// The template, as it is written into an empty folder.
fn written(template: &Template, name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let written = template.write(dir.path(), name).expect("it is written");
    assert!(written[0].ends_with(format!("pipelines/{name}.lua")));
    dir
}

fn names(template: &Template) -> [String; 3] {
    let own = template.name.to_owned();
    // `-part` comes after it.
    let long = format!("my_{own}_").repeat(8)[..59].to_owned();
    [own, "x".to_owned(), long]
}

#[test]
fn every_template_is_checked_linted_and_formatted() {
    let types = types();
    if types.is_none() {
        println!("SKIP the types: froben-typecheck is not built");
    }
    for template in &TEMPLATES {
        for name in names(template) {
            let dir = written(template, &name);
            let sources = files::read(dir.path()).expect("it can be read");
            assert!(sources.contains_key(&format!("spec/{name}.lua")));
            let options = CheckOptions {
                types: types.clone(),
                ..CheckOptions::default()
            };
            assert_eq!(check(&sources, &options), [], "{name}");
            for (path, text) in &sources {
                let formatted = format(path, text).expect("it parses");
                assert_eq!(diff([path, "formatted"], text, &formatted), "", "{name}");
            }
        }
    }
}

#[test]
fn every_template_passes_its_specs() {
    for template in &TEMPLATES {
        for (seed, name) in (0..SEEDS).zip(names(template)) {
            let dir = written(template, &name);
            let found = specs::find(dir.path()).expect("it has specs");
            let report = specs::run(
                &found,
                &Plan {
                    filter: String::new(),
                    seed,
                },
                &mut |_| {},
            );
            assert_eq!(
                report.failed(),
                0,
                "{name}, seed {seed}: {}",
                unmet(&report)
            );
            // It succeeds, fails, takes too long, dies half way, and sends what is none.
            assert!(report.outcomes.len() >= 5, "{name}");
            let spec = &found[0].source;
            for deed in ["ok(", "fail(", "hang()", "die(", "crash_at"] {
                assert!(spec.contains(deed), "the spec of {name} has no {deed}");
            }
        }
    }
}

/// A spec that cannot fail would promise nothing: each fails for a pipeline that does nothing.
#[test]
fn no_spec_passes_with_an_idle_pipeline() {
    for template in &TEMPLATES {
        let dir = written(template, "idle");
        let idle =
            "return workflow(\"idle\", {}, function(ctx, input) return { done = true } end)\n";
        std::fs::write(dir.path().join("pipelines/idle.lua"), idle).expect("a file");
        let found = specs::find(dir.path()).expect("it has specs");
        let report = specs::run(&found, &Plan::default(), &mut |_| {});
        let passed = report
            .outcomes
            .iter()
            .filter(|outcome| outcome.unmet.is_none());
        let passed: Vec<String> = passed.map(|outcome| outcome.case.name()).collect();
        // A part of `children` does not need the whole.
        let known = ["idle › can be a part alone"];
        assert!(
            passed.iter().all(|case| known.contains(&case.as_str())),
            "{}: {passed:?}",
            template.name
        );
    }
}

fn unmet(report: &Report) -> String {
    let cases = report.outcomes.iter().filter_map(|outcome| {
        let unmet = outcome.unmet.as_ref()?;
        Some(format!("{}: {unmet:?}", outcome.case.name()))
    });
    let problems = report.problems.iter().map(|problem| format!("{problem:?}"));
    cases.chain(problems).collect::<Vec<_>>().join("\n")
}
