//! What the command line answers without a network: what ops may set, and what a fleet would make of a pipeline.

use std::path::Path;
use std::process::Command;

use froben_e2e::{Finished, program};
use serde_json::{Value, json};

fn froben(args: &[&str]) -> Finished {
    Finished::run(Command::new(program("froben")).args(args))
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

#[test]
fn the_policy_that_is_shown_explains_each_number_and_can_be_read_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shown = froben(&["policy", "show"]).ok().stdout;
    let mut explained = false;
    let mut numbers = Vec::new();
    for line in shown.lines() {
        if let Some((name, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            assert!(explained, "nothing says what {name} is");
            numbers.push((name, value));
        }
        explained = line.starts_with("# ");
    }
    assert!(numbers.len() > 15, "{shown}");
    for (name, value) in [
        ("accept_timeout_ms", "10000"),
        ("patience_ms", "10000"),
        ("hedge_quantile", "95"),
        ("newcomer_items", "10"),
        ("trusted", "[]"),
    ] {
        assert!(numbers.contains(&(name, value)), "{name}: {numbers:?}");
    }
    assert!(shown.contains("\n[weights]\n"), "{shown}");

    let check = |text: &str| {
        let file = write(folder.path(), "policy.toml", text);
        let checked = froben(&["policy", "check", &file]);
        (checked, file)
    };
    let changed = shown.replace("patience_ms = 10000", "patience_ms = 5");
    let changed = changed.replace("# my-seeker = 2", "ada = 3");
    assert_ne!(changed, shown);
    for text in ["", &shown, &changed] {
        let (checked, file) = check(text);
        assert_eq!(checked.ok().stdout, format!("{file} can be read\n"));
    }
    for (text, words) in [
        ("\npatience_ms = -1\n", "a whole number of 0 or more"),
        (
            "patience = 1\n",
            "there is no `patience`; did you mean `patience_ms`?",
        ),
        ("hedge_share = 4294967296\n", "can be 0 to 4294967295"),
        ("\n\npatience_ms 5\n", "line 3: "),
        (
            "[weights]\nada = 0\n",
            "the weight of ada is a whole number from 1 to 1000",
        ),
        (
            "trusted = [\"A\"]\n",
            "trusted is a list of names of operators",
        ),
    ] {
        let (checked, file) = check(text);
        checked.refused(2, &[words, "FRB-POL-001", &file]);
    }
    let missing = folder.path().join("none.toml").display().to_string();
    froben(&["policy", "check", &missing]).refused(3, &[&missing]);
}

/// Four tasks, each a machine's for ten seconds.
const STEPS: &str = r#"
return workflow("steps", { input = {}, output = { total = "integer" } }, function(ctx)
  local running = {}
  for step = 1, 4 do
    running[step] = ctx:delegate({
      kind = "plain.step/1", key = `step/{step}`, items = { step },
      needs = { cpu_cores = 1, ram = "1GiB" }, timeout = "1m",
    })
  end
  local total = 0
  for _, item in ctx:stream(running) do
    total += if item.ok then 1 else 0
  end
  return { total = total }
end)
"#;

const FLEET: &str = r#"
[fleet]
[[machine]]
class = "plain"
share = 1
cpu_cores = 4
ram = "8GiB"
speed = 1
price = 360
[[kind]]
kind = "plain.step/1"
on = "cpu"
item_s = 10
"#;

#[test]
fn a_forecast_is_what_can_be_worked_out_by_hand() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pipeline = write(folder.path(), "pipelines/steps.lua", STEPS);
    let fleet = write(folder.path(), "fleet.toml", FLEET);
    let sim = |machines: &str, more: &[&str]| {
        let args = [
            "sim",
            "--pipeline",
            &pipeline,
            "--profile",
            &fleet,
            "--seeds",
            "3",
        ];
        froben(&[&args, &["--machines", machines][..], more].concat())
    };
    // Machines, seconds until the end, and its price: 0.1 a second of one machine.
    for (machines, makespan_s, fleet_cost) in [
        ("1", 40.0, 4.0),
        ("2", 20.0, 4.0),
        ("4", 10.0, 4.0),
        ("5", 10.0, 5.0),
    ] {
        let forecast = sim(machines, &["--alone", "-o", "json"]).ok().json();
        let is = |found: &Value, expected: f64| {
            let found = found.as_f64().expect("a number");
            // Messages take a moment.
            (found - expected).abs() < expected / 100.0
        };
        let spread = &forecast["makespan_s"];
        assert!(is(&spread["p50"], makespan_s), "{forecast:#}");
        assert!(is(&spread["p95"], makespan_s), "{forecast:#}");
        assert!(is(&forecast["fleet_cost"], fleet_cost), "{forecast:#}");
        assert!(is(&forecast["busy_cost"], 4.0), "{forecast:#}");
        assert_eq!(forecast["changes"], json!([]), "{forecast:#}");
        let kind = &forecast["kinds"][0];
        assert_eq!(kind["kind"], "plain.step/1", "{forecast:#}");
        assert_eq!(
            (&kind["tasks"], &kind["items"]),
            (&json!(4.0), &json!(4.0)),
            "{forecast:#}"
        );
        assert!(is(&kind["busy_s"], 40.0), "{forecast:#}");
        assert!(is(&kind["path_s"], makespan_s), "{forecast:#}");
    }
    let compared = sim("3", &["-o", "json"]).ok().json();
    let changes = compared["changes"].as_array().expect("a list");
    let machines = changes
        .iter()
        .map(|it| json!([it["machines"], it["class"]]));
    assert_eq!(
        machines.collect::<Vec<_>>(),
        [json!([2, "plain"]), json!([4, "plain"])],
        "{compared:#}"
    );
    let (fewer, more) = (
        &changes[0]["makespan_s"]["p50"],
        &changes[1]["makespan_s"]["p50"],
    );
    assert!(fewer.as_f64() > more.as_f64(), "{compared:#}");
    assert_eq!(
        sim("3", &["-o", "json"]).ok().json(),
        compared,
        "the same seeds"
    );

    let text = sim("2", &[]).ok().stdout;
    let text: Vec<_> = text.split_whitespace().collect();
    let text = text.join(" ");
    for words in [
        "2 machines, 0.0 of them slow",
        "makespan",
        "plain.step/1",
        "2 as asked 20.0 s 20.0 s 4.00",
        "1 one fewer: plain 40.0 s 40.0 s 4.00",
        "3 one more: plain 20.0 s 20.0 s 6.00",
    ] {
        assert!(text.contains(words), "`{words}`: {text}");
    }
    let broken = write(
        folder.path(),
        "broken.toml",
        &FLEET.replace("item_s", "items"),
    );
    let args = [
        "sim",
        "--pipeline",
        &pipeline,
        "--machines",
        "1",
        "--profile",
        &broken,
    ];
    froben(&args).refused(4, &["broken.toml", "FRB-SIM-001"]);
}
