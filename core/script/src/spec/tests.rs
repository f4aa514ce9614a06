#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use std::collections::{BTreeMap, BTreeSet};

use expect_test::expect_file;
use froben_model::{Kind, Value};

use super::*;
use crate::{Limits, Revision};

fn revision() -> Revision {
    let files = BTreeMap::from([
        (
            "lib/two.lua".to_owned(),
            "return { two = function() return 2 end }".to_owned(),
        ),
        (
            "pipelines/p.lua".to_owned(),
            "return workflow('p', {}, function() return {} end)".to_owned(),
        ),
    ]);
    Revision::check(&files, &Limits::default()).unwrap()
}

fn suite(source: &str) -> Suite {
    Suite::load(&revision(), "spec/x.lua", source, 1).unwrap_or_else(|problem| panic!("{problem}"))
}

/// Begins the one case of this body, which starts on line 1 of its file.
fn case(body: &str) -> (Suite, Step) {
    let mut suite = suite(&format!("it('a', function() {body}\nend)"));
    let step = suite.begin(0);
    (suite, step)
}

fn failed(body: &str) -> Unmet {
    match case(body).1 {
        Step::Failed(unmet) => unmet,
        other => panic!("{other:?}\n{body}"),
    }
}

fn simulated(body: &str) -> (Suite, Simulation) {
    match case(body) {
        (suite, Step::Simulate(simulation)) => (suite, *simulation),
        (_, other) => panic!("{other:?}\n{body}"),
    }
}

#[test]
fn the_page_and_the_verbs_are_what_the_registry_says() {
    expect_file!["../../../../docs/spec-api.md"].assert_eq(&reference());
    let declared: BTreeSet<&str> = SPEC_VERBS.iter().map(|verb| verb.name).collect();
    let prelude = include_str!("../prelude/spec.luau");
    let installed = prelude
        .lines()
        .filter_map(|line| line.strip_prefix("function verbs."));
    let installed: BTreeSet<&str> = installed
        .filter_map(|line| line.split('(').next())
        .collect();
    assert_eq!(declared, installed);
    let matchers = prelude
        .lines()
        .filter_map(|line| line.strip_prefix("function expectation."));
    let matchers: BTreeSet<&str> = matchers.filter_map(|line| line.split('(').next()).collect();
    let declared: BTreeSet<&str> = registry::MATCHERS.iter().map(|key| key.name).collect();
    assert_eq!(declared, matchers);
    for verb in SPEC_VERBS {
        assert!(verb.example.contains(verb.name), "{}", verb.name);
        // Every example is a program that compiles.
        let source = match crate::sandbox::compile(verb.example) {
            Ok(_) => continue,
            Err(_) => format!("local f = {}", verb.example),
        };
        let compiled = crate::sandbox::compile(&source);
        assert!(compiled.is_ok(), "{}: {compiled:?}", verb.name);
    }
}

#[test]
fn cases_have_the_names_of_their_groups_and_a_fresh_start() {
    let source = "local n = 0
describe('retry', function()
  describe('each', function()
    it('works', function() n += 1 expect(n):to_equal(1) end)
  end)
  it('fails', function() n += 1 expect(n):to_equal(1) end)
end)
it('alone', function() expect(require('lib/two').two()):to_equal(2) end)";
    let names: Vec<_> = suite(source).cases().iter().map(Case::name).collect();
    assert_eq!(names, ["retry › each › works", "retry › fails", "alone"]);
    assert_eq!(suite(source).cases()[1].line, 6);
    for case in 0..3 {
        assert_eq!(suite(source).begin(case), Step::Passed, "{case}");
    }
}

#[test]
fn what_is_expected_and_holds_passes() {
    for body in [
        "expect({ 1, { a = blob('x') } }):to_equal({ 1, { a = blob('x') } })",
        "expect(blob('x')):to_not_equal(blob('y'))",
        "expect({}):to_not_equal({ 1 })",
        "expect('abc'):to_contain('b')",
        "expect({ 'a', { 1 } }):to_contain({ 1 })",
        "expect(3):to_be_at_least(3):to_be_at_most(3)",
        "expect(function() error('oh no') end):to_raise('no')",
        "expect(0/0):to_equal(0/0)",
    ] {
        assert_eq!(case(body).1, Step::Passed, "{body}");
    }
}

#[test]
fn what_does_not_hold_is_told_with_its_line() {
    let told = |body: &str| {
        let unmet = failed(body);
        assert_eq!(
            (unmet.path.as_str(), unmet.line),
            ("spec/x.lua", 2),
            "{unmet:?}"
        );
        [unmet.message, unmet.expected.unwrap(), unmet.got.unwrap()]
    };
    for (body, expected) in [
        ("\nexpect(3):to_equal(4)", ["", "4", "3"]),
        (
            "\nexpect({ a = { 1, 2 } }):to_equal({ a = { 1, '2' } })",
            ["at .a[2]", "\"2\"", "2"],
        ),
        ("\nexpect({ b = 1 }):to_equal({})", ["at .b", "nil", "1"]),
        ("\nexpect(1):to_not_equal(1)", ["", "anything but 1", "1"]),
        ("\nexpect({}):to_contain(1)", ["", "something with 1", "{}"]),
        ("\nexpect(1):to_be_at_least(2)", ["", "at least 2", "1"]),
        ("\nexpect(1):to_be_at_most(0)", ["", "at most 0", "1"]),
        (
            "\nexpect(function() end):to_raise('x')",
            ["", "an error", "none was raised"],
        ),
        // An expectation that was caught still counts.
        (
            "\npcall(function() expect(1):to_equal(2) end)",
            ["", "2", "1"],
        ),
    ] {
        assert_eq!(told(body), expected.map(str::to_owned), "{body}");
    }
}

#[test]
fn misuse_is_told_with_its_line() {
    for (body, part) in [
        ("\nerror('boom')", "boom"),
        ("\nexpect(1).to_equal(1)", "write a colon"),
        ("\nexpect(1):to_eqal(1)", "did you mean `to_equal`?"),
        ("\nfail('lost')", "there is no class `lost`"),
        ("\nfail('no_capacity')", "what the coordinator says"),
        ("\nafter('x', ok(1))", "such as \"30s\""),
        ("\nafter('1s', 1)", "the second argument is a reply"),
        ("\nit('b', function() end)", "top level of the file"),
        ("\nworkflow('w', {}, function() end)", "in a VM of its own"),
        ("\nsimulate {}", "name a `pipeline`"),
        ("\nsimulate { pipline = 'p' }", "did you mean `pipeline`?"),
        (
            "\nsimulate { workflow = 1 }",
            "what workflow(name, options, run) returned",
        ),
        (
            "\nsimulate { pipeline = 'p', operators = { a = 1 } }",
            "the operator a: it answers with a function",
        ),
        (
            "\nsimulate { pipeline = 'p', operators = { a = { answer = ok(), rum = '1GiB' } } }",
            "did you mean `ram`?",
        ),
        (
            "\nsimulate { pipeline = 'p', crash_at = 0 }",
            "`crash_at` is a number",
        ),
    ] {
        let unmet = failed(body);
        assert!(unmet.message.contains(part), "{unmet:?}");
        assert_eq!(
            (unmet.path.as_str(), unmet.line),
            ("spec/x.lua", 2),
            "{unmet:?}"
        );
    }
    let wrong = Suite::load(&revision(), "spec/x.lua", "\nsimulate {}", 1);
    let problem = wrong.err().unwrap();
    assert_eq!((problem.path.as_str(), problem.line), ("spec/x.lua", 2));
    assert!(problem.message.contains("called in an it"), "{problem}");
    let wrong = Suite::load(&revision(), "spec/x.lua", "\nif", 1);
    assert_eq!(wrong.err().unwrap().line, 2);
}

#[test]
fn a_simulation_is_read_and_its_run_comes_back() {
    let (mut suite, simulation) = simulated(
        "local run = simulate {
           pipeline = 'p', input = { n = 1 }, seed = 7, crash_at = { 3, 5 }, cancel_at = '1m',
           operators = {
             beta = { answer = ok(2), machines = 2, kinds = { 'a.b/1' }, vram = '1GiB', takes = '2s' },
             alpha = function(task, item, n) return ok(item) end,
           } }
         expect(run.state):to_equal('succeeded')
         expect(run.output):to_equal(nil)
         return run.stat",
    );
    assert_eq!(simulation.subject, Subject::Pipeline("p".to_owned()));
    assert_eq!((simulation.line, simulation.seed), (1, Some(7)));
    assert_eq!(simulation.crash_at, [3, 5]);
    assert_eq!(simulation.cancel_at_ms, Some(60_000));
    let [alpha, beta] = simulation.operators.as_slice() else {
        panic!("{simulation:?}")
    };
    assert_eq!((alpha.name.as_str(), alpha.machines), ("alpha", 1));
    assert_eq!(
        (beta.machines, beta.takes_ms, beta.vram_bytes),
        (2, 2000, 1 << 30)
    );
    let run = Value::map([("state", Value::text("succeeded"))]);
    match suite.resume(Ok(run)) {
        Step::Failed(unmet) => {
            assert!(unmet.message.contains("did you mean `state`?"), "{unmet:?}");
            assert_eq!(unmet.line, 9);
        }
        other => panic!("{other:?}"),
    }
    let (mut suite, _) = simulated("simulate { pipeline = 'p' }");
    match suite.resume(Err("it never ends".to_owned())) {
        Step::Failed(unmet) => {
            assert_eq!((unmet.line, unmet.message.as_str()), (1, "it never ends"))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn operators_answer_what_they_were_scripted_to() {
    let (mut suite, _) = simulated(
        "simulate { pipeline = 'p', operators = {
           a = function(task, item, n)
             expect(task.operator):to_equal('a')
             if n == 2 then error('no') end
             if n == 3 then return 5 end
             return after('90s', ok(`{task.kind} {task.key} {item}`))
           end,
           b = { fail('timeout', 'late'), die() },
           c = { answer = disconnect('1m') },
         } }",
    );
    let kind = Kind::new("a.b/1").unwrap();
    let mut ask = |operator, index| {
        suite.ask(&Question {
            operator,
            machine: "a/m1",
            kind: &kind,
            key: "k",
            input: &Value::Nil,
            items: 3,
            attempt: 1,
            item: &Value::Int(9),
            index,
        })
    };
    let said = ask(0, 0).unwrap();
    assert_eq!(said.deed, Deed::Ok(Value::text("a.b/1 k 9")));
    assert_eq!(said.after_ms, Some(90_000));
    let raised = ask(0, 1).unwrap_err();
    assert_eq!((raised.line, raised.message.as_str()), (4, "no"));
    let odd = ask(0, 2).unwrap_err();
    assert!(
        odd.message.contains("the operator a answered with number"),
        "{odd:?}"
    );
    let late = Deed::Fail(froben_model::ErrorClass::Timeout, "late".to_owned());
    assert_eq!(ask(1, 0).unwrap().deed, late);
    for _ in 0..2 {
        assert_eq!(
            ask(1, 0).unwrap().deed,
            Deed::Die("the worker died".to_owned())
        );
    }
    let gone = Deed::Disconnect {
        back_ms: Some(60_000),
    };
    assert_eq!(ask(2, 0).unwrap().deed, gone);
}

#[test]
fn a_workflow_of_the_spec_runs_where_its_lines_are_what_they_were() {
    let source = "local two = require('lib/two')
local data = blob('x').size
describe('d', function()
  workflow('w', { input = { n = 'integer' } }, function(ctx, input)
    ctx:log(`{two.two()}`)
    error('here')
  end)
  it('a', function() simulate { workflow = 1 } end)
end)";
    let declared = revision()
        .with_declared("spec/x.lua", source, "w", &Limits::default())
        .unwrap_or_else(|problem| panic!("{problem}"));
    let input = Value::map([("n", Value::Int(1))]);
    let mut vm = crate::Vm::start(&declared, "w", input, 1, 0, Limits::default()).unwrap();
    let progress = vm.resume(Vec::new());
    assert_eq!(progress.calls[0].line, 5);
    match progress.state {
        crate::State::Failed(failure) => assert_eq!(failure.message, "spec/x.lua:6: here"),
        other => panic!("{other:?}"),
    }
    let taken = source.replace("'w'", "'p'");
    let problem = revision()
        .with_declared("spec/x.lua", &taken, "p", &Limits::default())
        .err()
        .unwrap();
    assert!(
        problem.message.contains("pipelines/p.lua already"),
        "{problem}"
    );
}
