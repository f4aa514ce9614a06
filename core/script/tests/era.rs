//! `lib/era`, `lib/chunk` and `lib/options`: order, names and sizes.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod harness;

use expect_test::{Expect, expect};
use froben_model::Value;
use froben_script::{CallOp, Limits, State, Vm};
use harness::*;

fn vm(body: &str) -> Vm {
    let mut files = shipped();
    files.retain(|path, _| path.starts_with("lib/"));
    let source = format!(
        "local era, chunk, options = require('lib/era'), require('lib/chunk'), require('lib/options')
         return workflow('t', {{}}, function(ctx, input)\n{body}\nend)"
    );
    files.insert("pipelines/t.lua".to_owned(), source);
    let input = Value::map::<String>([]);
    Vm::start(&check(&files), "t", input, 1, STARTED_MS, Limits::default()).unwrap()
}

fn shows(body: &str, expected: Expect) {
    let text = match vm(body).resume(Vec::new()).state {
        State::Returned(Value::Text(text)) => text,
        State::Failed(failure) => failure.message,
        other => format!("{other:?}"),
    };
    expected.assert_eq(&text);
}

#[test]
fn circuits_have_the_numbers_of_the_protocol() {
    shows(
        "return `{#era.CIRCUITS} {era.circuit(1)} {era.circuit(10)} {era.circuit(255)} {era.leaf_circuit(1)} {era.circuit_number('ram_permutation')}`",
        expect!["13 main_vm storage_application circuit_255 3 8"],
    );
    shows(
        "era.circuit(0)",
        expect!["pipelines/t.lua:3: era.circuit: a whole number from 1 was expected, got 0"],
    );
    shows(
        "era.circuit_number('mainvm')",
        expect!["pipelines/t.lua:3: era.circuit_number: there is no circuit mainvm"],
    );
}

#[test]
fn proofs_are_grouped_by_type_and_put_in_order() {
    let list = |sequences: &str| {
        format!(
            "local proofs = {{}}
             for circuit, sequence in string.gmatch('{sequences}', '(%d+)%.(%d+)') do
               table.insert(proofs, {{ circuit = tonumber(circuit), sequence = tonumber(sequence) }})
             end
             local out = {{}}
             for _, group in era.group(proofs) do
               local one = {{}}
               for _, proof in group.proofs do table.insert(one, proof.sequence) end
               table.insert(out, `{{era.circuit(group.circuit)}}: {{table.concat(one, ',')}}`)
             end
             return table.concat(out, ' ')"
        )
    };
    shows(
        &list("8.1 1.2 8.0 1.0 1.1 13.0"),
        expect!["main_vm: 0,1,2 ram_permutation: 0,1 l1_messages_hasher: 0"],
    );
    shows(
        &list("1.0 1.2"),
        expect!["pipelines/t.lua:8: era.group: proof 1 of main_vm is missing or there twice"],
    );
    shows(
        &list("2.0 2.0"),
        expect![
            "pipelines/t.lua:8: era.group: proof 1 of code_decommittments_sorter is missing or there twice"
        ],
    );
    shows(
        "era.group { { circuit = 1 } }",
        expect![
            "pipelines/t.lua:3: era.group: at position 1, a table with a circuit and a sequence was expected"
        ],
    );
}

/// Each level as `round@depth: steps (last step's first-last)`.
const LEVELS: &str = "local out = {}
    for _, level in era.levels(1, COUNT) do
      local last = level[#level]
      table.insert(out, `{last.round}@{last.depth}: {#level} ({last.first}-{last.last}) {last.key}`)
    end
    return table.concat(out, ', ')";

#[test]
fn thirty_two_proofs_at_a_time_until_one_is_left() {
    let levels = |count: &str, expected: Expect| shows(&LEVELS.replace("COUNT", count), expected);
    levels(
        "1",
        expect!["leaf@0: 1 (1-1) leaf/main_vm/0, node@0: 1 (1-1) node/main_vm/0/0"],
    );
    levels(
        "32",
        expect!["leaf@0: 1 (1-32) leaf/main_vm/0, node@0: 1 (1-1) node/main_vm/0/0"],
    );
    levels(
        "33",
        expect!["leaf@0: 2 (33-33) leaf/main_vm/1, node@0: 1 (1-2) node/main_vm/0/0"],
    );
    levels(
        "10000",
        expect![
            "leaf@0: 313 (9985-10000) leaf/main_vm/312, node@0: 10 (289-313) node/main_vm/0/9, node@1: 1 (1-10) node/main_vm/1/0"
        ],
    );
    levels(
        "0",
        expect!["pipelines/t.lua:4: era.levels: there are 0 proofs; at least one was expected"],
    );
    shows(
        "local t = era.totals { [1] = 10000, [8] = 40, [13] = 1 }
         return `{t.basic} {t.leaf} {t.node} {t.tip} {t.scheduler}`",
        expect!["10041 316 13 1 1"],
    );
    shows(
        "return `{era.key('basic', 2, 0, 7)} {era.key('node', 14, 2, 0)} {era.key('tip')} {era.key('scheduler')}`",
        expect!["basic/code_decommittments_sorter/7 node/circuit_14/2/0 tip scheduler"],
    );
}

#[test]
fn aggregation_hands_each_level_what_the_level_before_gave() {
    let body = "local proofs = {}
        for i = 1, 70 do proofs[i] = i end
        return era.aggregate(ctx, 1, proofs, function(step, taken)
          local result = ctx:delegate { kind = 'era.leaf/1', key = step.key, input = { proofs = taken } }:await()
          return result.value
        end)";
    let mut run = Run::new(vm(body));
    let end = run.finish(|spec| {
        let Some(Value::List(proofs)) = spec.input.get("proofs") else {
            panic!("{spec:?}")
        };
        let sum = proofs.iter().filter_map(Value::as_int).sum();
        vec![Ok(Value::Int(sum))]
    });
    assert_eq!(end, State::Returned(Value::Int(70 * 71 / 2)));
    assert_eq!(
        run.keys(),
        [
            "leaf/main_vm/0",
            "leaf/main_vm/1",
            "leaf/main_vm/2",
            "node/main_vm/0/0"
        ]
    );
    // The leaves run beside each other.
    let calls: Vec<_> = run.calls.iter().map(|call| &call.op).collect();
    assert!(calls.iter().all(|op| matches!(op, CallOp::Delegate(_))));
}

#[test]
fn pieces_are_of_one_type_and_sizes_fit_the_operators() {
    shows(
        "local proofs, out = {}, {}
         for i = 0, 4 do table.insert(proofs, { circuit = 1 + i % 2, sequence = i // 2 }) end
         for _, piece in era.pieces(proofs, 2) do table.insert(out, `{piece.key}={#piece.items}`) end
         return table.concat(out, ' ')",
        expect![
            "basic/main_vm/0-1=2 basic/main_vm/2-2=1 basic/code_decommittments_sorter/0-1=2"
        ],
    );
    shows(
        "local out = {}
         for _, case in { { 10, 16, 64 }, { 500, 16, 64 }, { 5000, 16, 64 }, { 5000, 24, 64 }, { 100, 16, 8 } } do
           table.insert(out, chunk.rounds(table.unpack(case)))
         end
         return table.concat(out, ' ')",
        expect!["16 48 64 48 16"],
    );
    shows(
        "local out, items = {}, table.create(33, 0)
         for _, piece in chunk.even(items, 16) do table.insert(out, `{piece.first}-{piece.last}:{#piece.items}`) end
         return table.concat(out, ' ') .. ` {#chunk.even({}, 4)} {#chunk.even({ 1 }, 4)}`",
        expect!["1-11:11 12-22:11 23-33:11 0 1"],
    );
}

#[test]
fn an_option_that_there_is_not_is_answered_with_the_one_that_was_meant() {
    for (word, expected) in [
        ("widht", "did you mean width?"),
        ("with", "did you mean width?"),
        ("colour", "there is concurrency, width"),
        ("", "there is concurrency, width"),
    ] {
        let body = format!("return options.hint('{word}', {{ 'concurrency', 'width' }})");
        let state = vm(&body).resume(Vec::new()).state;
        assert_eq!(state, State::Returned(Value::text(expected)), "{word}");
    }
    shows(
        "local function verb(given) return options.check('verb', given, { width = 'number' }, 2) end
         assert(verb(nil) ~= nil and verb { width = 1 }.width == 1)
         verb { widht = 1 }",
        expect!["pipelines/t.lua:5: verb: unknown option widht; did you mean width?"],
    );
}
