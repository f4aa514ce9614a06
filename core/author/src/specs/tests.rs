use std::path::Path;

use super::*;

/// Writes a set into a folder of its own and gives the specs in it.
fn specs(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<SpecFile>) {
    let dir = tempfile::tempdir().expect("a folder");
    for (path, source) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        std::fs::write(path, source).expect("a file");
    }
    let found = find(dir.path()).expect("there are specs");
    (dir, found)
}

fn run_all(files: &[SpecFile], plan: &Plan) -> Report {
    run(files, plan, &mut |_| {})
}

fn all_pass(files: &[SpecFile], seed: u64) -> Report {
    let filter = String::new();
    let report = run_all(files, &Plan { filter, seed });
    let failures = report
        .outcomes
        .iter()
        .filter(|outcome| outcome.unmet.is_some());
    let failures: Vec<_> = failures
        .map(|outcome| format!("{}\n{}", outcome.case.name(), failure_lines(outcome, seed)))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    report
}

/// The specs that ship with Froben, under several seeds: none may hang on the luck of the draw.
#[test]
fn the_specs_of_the_repository_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let files = find(&root).expect("there are specs");
    let names: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
    assert!(names.contains(&"spec/retry.lua"), "{names:?}");
    for seed in 0..5 {
        let report = all_pass(&files, seed);
        assert!(report.outcomes.len() > 20, "{}", report.outcomes.len());
    }
}

const SET: (&str, &str) = (
    "pipelines/p.lua",
    "return workflow('p', {}, function(ctx)
  local d = ctx:delegate { kind = 'a.b/1', key = 'k', items = { 1, 2, 3, 4 }, timeout = '1m' }
  local result = d:await()
  ctx:sleep('5s')
  ctx:log(if result.ok then 'good' else result.err.class)
  local values = {}
  for i, item in result.items do values[i] = item.value or item.err.class end
  return values
end)",
);

/// What a case with this body came to: `None` if it passed, or the message and its line.
fn came_to(body: &str) -> Option<(u32, String)> {
    let source = format!("it('a', function() {body}\nend)");
    let (_dir, files) = specs(&[SET, ("spec/x.lua", &source)]);
    let report = run_all(&files, &Plan::default());
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let [outcome] = report.outcomes.as_slice() else {
        panic!("{report:?}")
    };
    outcome.unmet.as_ref().map(|unmet| {
        let told = [&unmet.expected, &unmet.got];
        let told = told.into_iter().flatten().cloned().collect::<Vec<_>>();
        (
            unmet.line,
            format!("{} {}", unmet.message, told.join(" / ")),
        )
    })
}

#[test]
fn operators_do_as_they_are_told() {
    for (operator, values, state, elapsed) in [
        (
            "function(t, item) return ok(item * item) end",
            "{ 1, 4, 9, 16 }",
            "succeeded",
            4,
        ),
        (
            "function(t, item, n) return if n > 2 then die() else ok(0) end",
            "{ 0, 0, 'worker_failed', 'worker_failed' }",
            "failed",
            3,
        ),
        (
            "{ ok(0), fail('out_of_memory'), fail('bad_request'), ok(0) }",
            "{ 0, 'out_of_memory', 'bad_request', 0 }",
            "failed",
            4,
        ),
        (
            "function(t, item, n) return if n == 2 then hang() else ok(0) end",
            "{ 0, 'timeout', 'timeout', 'timeout' }",
            "timed_out",
            60,
        ),
        (
            "function(t, item, n) return if n == 4 then disconnect('1s') else ok(0) end",
            "{ 0, 0, 0, 'disconnected' }",
            "failed",
            4,
        ),
        ("after('10s', ok(0))", "{ 0, 0, 0, 0 }", "succeeded", 40),
        (
            "{ answer = ok(2 ^ 53), takes = '250ms', joins = '3s' }",
            "{ 2 ^ 53, 2 ^ 53, 2 ^ 53, 2 ^ 53 }",
            "succeeded",
            4,
        ),
        (
            "{ answer = ok(0), leaves = '2500ms' }",
            "{ 0, 0, 'disconnected', 'disconnected' }",
            "failed",
            2,
        ),
        (
            "{ refuse('busy'), ok(0) }",
            "{ 0, 0, 0, 0 }",
            "succeeded",
            4,
        ),
    ] {
        let body = format!(
            "\nlocal run = simulate {{ pipeline = 'p', operators = {{ a = {operator} }} }}
            expect(run.output):to_equal({values})
            expect(run.delegations[1].state):to_equal('{state}')
            expect(math.floor(run.delegations[1].ended)):to_equal({elapsed})
            expect(run.sleeps):to_equal({{ 5 }})
            expect(#run.log):to_equal(1)"
        );
        assert_eq!(came_to(&body), None, "{operator}");
    }
}

#[test]
fn what_goes_wrong_in_a_run_is_told_where_it_did() {
    for (body, line, part) in [
        (
            "\nsimulate { pipeline = 'p', operators = {\n a = function() error('oh') end } }",
            3,
            "oh",
        ),
        (
            "\nsimulate { pipeline = 'p', operators = {\n a = function(t) expect(t.key):to_equal('j') \
             end } }",
            3,
            "\"j\" / \"k\"",
        ),
        (
            "\nsimulate { pipeline = 'p', operators = { a = function(t, i, n) return if n == 1 then \
             ok() else refuse() end } }",
            2,
            "which the machine had taken already",
        ),
        (
            "\nlocal run = simulate { pipeline = 'q' }\nexpect(run.state):never_to_equal('succeeded')",
            2,
            "simulate: there is no pipeline `q`; did you mean `p`?",
        ),
        (
            "\nsimulate { pipeline = 'p', operators = { a = ok(0) }, give_up = '3s' }",
            2,
            "not over after",
        ),
    ] {
        let (at, message) = came_to(body).unwrap_or_else(|| panic!("it passed: {body}"));
        assert!(message.contains(part), "{message}");
        assert_eq!(at, line, "{message}");
    }
}

#[test]
fn a_crash_is_a_crash_and_a_seed_is_a_seed() {
    let body = "
        local function crash(write)
          return simulate { pipeline = 'p', operators = { a = ok(1) }, crash_at = write, seed = 5 }
        end
        local whole = simulate { pipeline = 'p', operators = { a = ok(1) }, seed = 5 }
        expect(whole.restarts):to_equal(0)
        expect(whole.writes):to_be_at_least(10)
        for write = 1, whole.writes do
          local run = crash(write)
          expect(run.restarts):to_equal(1)
          expect(run.output):to_equal({ 1, 1, 1, 1 })
          -- The last write is the end: nobody waits for the coordinator then.
          expect(run.elapsed):to_be_at_least(whole.elapsed)
        end
        -- In flight when the coordinator died: it is handed out again.
        expect(#crash(4).delegations[1].operators):to_equal(2)
        local twice = crash({ 3, 6 })
        expect(twice.restarts):to_equal(2)
        expect(twice.output):to_equal({ 1, 1, 1, 1 })
        expect(twice.seed):to_equal(5)";
    assert_eq!(came_to(body), None);
}

#[test]
fn failures_are_printed_with_the_command_that_runs_them_alone() {
    let source = "describe('group', function()
  it('passes', function() expect(1):to_equal(1) end)

  it('<fails>', function()
    expect({ a = 1 }):to_equal({ a = 2 })
  end)
end)";
    let (dir, files) = specs(&[SET, ("spec/x.lua", source), ("spec/y.lua", "oops(")]);
    let plan = Plan {
        seed: 7,
        ..Plan::default()
    };
    let report = run_all(&files, &plan);
    assert_eq!((report.outcomes.len(), report.failed()), (2, 2));
    let shown = |text: String| text.replace(&dir.path().display().to_string(), "scripts");
    let failure = shown(failure_lines(&report.outcomes[1], 7));
    // The line before it keeps the indentation.
    expect_test::expect![[r#"
        failed:
          scripts/spec/x.lua:5: at .a
            expected  2
            got       1
            run it alone: froben test scripts/spec/x.lua:4 --seed 7
    "#]]
    .assert_eq(&format!("failed:\n{failure}"));
    let summary = summary_line(&report, Colour::None);
    assert!(
        summary.ends_with("2 cases: 1 passed, 1 failed, 1 do not check; seed 7"),
        "{summary}"
    );
    assert_eq!(report.problems[0].1.code.as_str(), "FRB-LUA-001");

    // FILE:LINE is the case around the line.
    let alone = dir.path().join("spec/x.lua:5");
    let alone = run_all(&find(&alone).expect("it is there"), &plan);
    let names: Vec<_> = alone
        .outcomes
        .iter()
        .map(|outcome| outcome.case.name())
        .collect();
    assert_eq!(
        (names, alone.left_out),
        (vec!["group › <fails>".to_string()], 1)
    );
    let filter = "passes".to_string();
    let filtered = run_all(&files[..1], &Plan { filter, seed: 7 });
    assert_eq!((filtered.outcomes.len(), filtered.failed()), (1, 0));

    let seconds = without_times(&shown(junit(&report)));
    expect_test::expect_file!["tests/junit.xml"].assert_eq(&seconds);
    let document = json(&report);
    assert_eq!(document["cases"][1]["failure"]["expected"], "2");
    assert_eq!(document["problems"][0]["code"], "FRB-LUA-001");
    assert!(find(&dir.path().join("pipelines")).is_err());
}

/// Times differ from run to run.
fn without_times(xml: &str) -> String {
    let mut parts = xml.split("time=\"");
    let mut text = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let rest = part.split_once('"').map_or("", |(_, rest)| rest);
        text.push_str("time=\"T\"");
        text.push_str(rest);
    }
    text
}

/// Minutes of virtual time in a loop of a thousand runs: no sleeps are in it.
#[test]
fn virtual_hours_pass_at_once() {
    let body = "
        local elapsed = 0
        for seed = 1, 200 do
          local run = simulate { pipeline = 'p', operators = { a = after('1m', fail('timeout')) }, seed = seed }
          elapsed += run.elapsed
        end
        expect(elapsed):to_be_at_least(3 * 3600)";
    assert_eq!(came_to(body), None);
}
