//! What is done to a workflow as a whole: `froben workflow pause`, `fork`, `migrate`, `export`, `replay`.

use std::process::Command;

use froben_e2e::{Finished, Network, Options, eventually, program};
use serde_json::Value;

const BYTES: usize = 3 * 4096 + 17;

fn workflow(network: &Network, args: &[&str]) -> Finished {
    network.froben(&[&["workflow"], args].concat())
}

fn machines(network: &Network) -> Vec<Value> {
    let machines = network.froben(&["machines", "-o", "json"]).ok().json();
    machines.as_array().expect("a list").clone()
}

/// Key, state and items that came, of each delegation.
fn delegations(network: &Network, id: &str) -> Vec<(String, String, u64)> {
    let status = network.status(id);
    let delegations = status["delegations"].as_array().expect("delegations");
    let told = delegations.iter().map(|delegation| {
        let text = |field: &str| delegation[field].as_str().expect("a text").to_string();
        let items = delegation["items_ok"].as_u64().expect("a number");
        (text("key"), text("state"), items)
    });
    told.collect()
}

#[test]
fn a_pause_outlives_the_coordinator() {
    let mut network = Network::start(Options::default());
    let file = network.file("data.bin", BYTES);
    let id = network.submit(&file);
    network.wait_for_stage(&id, "prove", 1);
    let paused = workflow(&network, &["pause", &id]).ok().stdout;
    assert_eq!(paused, format!("{id} is paused\n"));

    network.coordinator.take().expect("it runs").kill();
    network.start_coordinator();
    let status = network.status(&id);
    assert_eq!(status["workflow"]["state"], "paused");
    let waiting = status["waiting"][0].as_str().expect("why it waits");
    let resume = format!("froben workflow resume {id}");
    assert!(waiting.contains(&resume), "{waiting}");
    eventually("the operators", || {
        (machines(&network).len() == 2).then_some(())
    });
    let before = delegations(&network, &id);
    let queued = before.iter().filter(|(_, state, _)| state == "queued");
    assert!(queued.count() > 0, "something is left to do: {before:?}");

    // The machines are there, and work for somebody else.
    let other = network.file("other.bin", 1);
    let other_id = network.submit(&other);
    network.fetch_and_verify(&other_id, &other);
    assert_eq!(delegations(&network, &id), before, "nothing was handed out");

    let resumed = workflow(&network, &["resume", &id, "-o", "json"]).ok();
    assert_eq!(resumed.json()["state"], "running");
    network.fetch_and_verify(&id, &file);
    let proved = delegations(&network, &id).into_iter();
    let proved = proved.filter(|(key, _, _)| key.starts_with("prove/"));
    assert_eq!(proved.map(|(_, _, items)| items).sum::<u64>(), 16);
}

#[test]
fn a_fork_proves_nothing_again() {
    let mut network = Network::start(Options {
        operators: 1,
        ..Options::default()
    });
    let file = network.file("data.bin", 1);
    let id = network.submit(&file);
    network.fetch_and_verify(&id, &file);

    // Nobody is left who could make a proof.
    network.operators[0].take().expect("it runs").kill();
    network.start_operator_with(0, &["--cpu-only"]);
    let only = machines(&network);
    let kinds = only[0]["kinds"].as_array().expect("kinds");
    assert!(!kinds.contains(&"commitments.prove/1".into()), "{kinds:?}");

    let fork = |network: &Network, from: &str| {
        let args = ["fork", &id, "--from", from, "--key", from];
        let forked = workflow(network, &args).ok();
        forked.stdout.trim().to_string()
    };
    let again = fork(&network, "bundle/1/1");
    network.fetch_and_verify(&again, &file);
    assert_eq!(delegations(&network, &again), delegations(&network, &id));
    // The bundle is all that was made: of what the fork keeps, nothing counts a second time.
    let succeeded = |machine: &Value| machine["succeeded"].as_u64().expect("a number");
    assert_eq!(succeeded(&machines(&network)[0]), succeeded(&only[0]) + 1);
    let logs = network.froben(&["logs", &again]).ok().stdout;
    assert!(logs.contains(&format!("forked from {id}")), "{logs}");

    // Behind the bundle nothing is left to do: it takes no machine at all.
    network.operators[0].take().expect("it runs").kill();
    let status = network.status(&id);
    let last = status["delegations"].as_array().and_then(|all| all.last());
    let last = last
        .and_then(|bundle| bundle["call"].as_u64())
        .expect("a call");
    let kept = fork(&network, &(last + 1).to_string());
    network.fetch_and_verify(&kept, &file);

    // Said again, also to a coordinator that has died since: the same forks.
    network.coordinator.take().expect("it runs").kill();
    network.start_coordinator();
    assert_eq!(fork(&network, "bundle/1/1"), again);
    assert_eq!(fork(&network, &(last + 1).to_string()), kept);
    let list = network.froben(&["list", "-o", "json"]).ok().json();
    assert_eq!(list.as_array().map(Vec::len), Some(3));
    workflow(&network, &["fork", &id, "--from", "nonsense"])
        .refused(3, &["FRB-WFL-004", "nonsense", "`witness/1-1/1` (#"]);
    // The key of a task, not of an attempt at it.
    workflow(&network, &["fork", &id, "--from", "bundle/1"]).refused(
        3,
        &["FRB-WFL-004", "one of the keys like it: `bundle/1/1` (#"],
    );
}

#[test]
fn a_wrong_id_and_a_workflow_that_is_over_are_refused_with_a_hint() {
    let network = Network::start(Options {
        operators: 0,
        scripts: vec![("pipelines/fibers.lua", FIBERS.to_string())],
        ..Options::default()
    });
    let id = network.froben(&["submit", "fibers"]).ok().stdout;
    let id = id.trim();
    network.froben(&["wait", id]).ok();
    let file = network.path("run.export");
    let verbs = |id: &str| {
        [
            workflow(&network, &["pause", id]),
            workflow(&network, &["resume", id]),
            workflow(&network, &["fork", id, "--from", "1"]),
            workflow(&network, &["migrate", id, "--dry-run"]),
            workflow(&network, &["export", id, "-o", &file]),
        ]
    };
    for refused in verbs("nonsense") {
        refused.refused(
            2,
            &["`nonsense` is not a workflow id", "hint: `froben list`"],
        );
    }
    for refused in verbs("wf-00000000000000000000000000000000") {
        refused.refused(3, &["no such workflow", "FRB-WFL-001", "froben list"]);
    }
    workflow(&network, &["replay", "nonsense"]).refused(3, &["froben workflow export"]);

    let fork = format!("hint: `froben workflow fork {id} --from STEP`");
    for verb in ["pause", "resume"] {
        let late = workflow(&network, &[verb, id]);
        late.refused(2, &["FRB-WFL-006", "is over: succeeded", &fork]);
        let late = workflow(&network, &[verb, id, "-o", "json"]);
        assert_eq!(late.json()["state"], "succeeded");
    }
    workflow(&network, &["migrate", id]).refused(2, &["FRB-WFL-006"]);
    let nowhere = "0".repeat(64);
    for args in [
        &["migrate", id, "--dry-run"][..],
        &["fork", id, "--from", "1"],
    ] {
        let args = [args, &["--revision", &nowhere]].concat();
        workflow(&network, &args).refused(3, &["FRB-WFL-005", &nowhere, "hint: `newest`"]);
        for (revision, code, words) in [
            ("12ab", 3, &["FRB-WFL-005", "no revision begins with 12ab"]),
            (
                "12a",
                4,
                &["`12a` is not a revision", "4 to 64 lower-case hex"],
            ),
        ] {
            let args = [&args[..args.len() - 1], &[revision]].concat();
            workflow(&network, &args).refused(code, words);
        }
    }
    assert!(!std::path::Path::new(&file).exists(), "nothing was written");
}

#[test]
fn an_export_replays_where_nothing_else_is() {
    let mut network = Network::start(Options {
        operators: 1,
        ..Options::default()
    });
    network.issue("seeker", "ada-lovelace", &[]);
    let ada = |args: &[&str]| Finished::run(&mut network.command_as("ada-lovelace", args));
    let data = format!("data={}", network.file("data.bin", 1).display());
    let submit = [
        "submit",
        "data_commitments",
        "--input",
        &data,
        "--set",
        "params=dev",
    ];
    let id = ada(&submit).ok().stdout.trim().to_string();
    ada(&["wait", &id]).ok();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let export = elsewhere.path().join("run.export").display().to_string();
    let args = ["workflow", "export", &id, "-o", &export];
    ada(&args).ok();
    ada(&args).refused(2, &["exists", "--force"]);
    network.coordinator.take().expect("it runs").kill();

    let bytes = std::fs::read(&export).expect("the file");
    for name in ["operator-1", "ada-lovelace", "machine-1"] {
        let named = bytes.windows(name.len()).any(|at| at == name.as_bytes());
        assert!(!named, "{name} is in the file");
    }
    let replay = |more: &[&str]| {
        let mut command = Command::new(program("froben"));
        command
            .args(["workflow", "replay", "run.export"])
            .args(more)
            .current_dir(elsewhere.path())
            .env_clear();
        Finished::run(&mut command)
    };
    let all = replay(&[]).ok().stdout;
    for words in [
        "told   the start of data_commitments",
        "delegate commitments.witness/1 `witness/1-1/1`",
        "delegate commitments.bundle/1 `bundle/1/1`",
        "returned { bundle = blob ",
    ] {
        assert!(all.contains(words), "`{words}` is not in: {all}");
    }
    let steps = replay(&["-o", "json"]).ok().json();
    let steps = steps.as_array().expect("a list");
    let prove = |call: &Value| {
        call["what"]
            .as_str()
            .is_some_and(|what| what.contains("prove/1"))
    };
    let at = steps.iter().find(|step| {
        let calls = step["calls"].as_array().expect("calls");
        calls.iter().any(prove)
    });
    let record = at.expect("proofs were asked for")["record"].to_string();
    let there = replay(&["--until", &record]).ok().stdout;
    assert!(there.contains("    segments = 1\n"), "{there}");
    assert!(!there.contains("bundle/1"), "{there}");
    std::fs::write(&export, &bytes[..bytes.len() / 2]).expect("a file");
    replay(&[]).refused(4, &["FRB-RPL-001"]);
}

fn slow(name: &str, first: &str, after: &str) -> String {
    format!(
        "return workflow(\"{name}\", {{ output = {{ text = \"string\" }} }}, function(ctx)\n\
         \x20 ctx:log(\"begins\")\n\
         \x20 ctx:sleep(\"{first}\")\n\
         \x20 return {{ text = \"{after}\" }}\n\
         end)\n"
    )
}

#[test]
fn a_migration_names_the_first_line_that_differs() {
    let network = Network::start(Options {
        operators: 0,
        scripts: vec![("pipelines/slow.lua", slow("slow", "6s", "old"))],
        ..Options::default()
    });
    network.issue("admin", "admin", &[]);
    let apply = |index: u64, source: &str| {
        network.write_script("pipelines/slow.lua", source);
        let (scripts, index) = (network.scripts().display().to_string(), index.to_string());
        let args = ["scripts", "apply", &scripts, "--check-index", &index];
        Finished::run(&mut network.command_as("admin", &args)).ok();
    };
    let submitted = network
        .froben(&["submit", "slow", "-o", "json"])
        .ok()
        .json();
    let id = submitted["workflow"]["id"].as_str().expect("an id");
    let migrate = |more: &[&str]| workflow(&network, &[&["migrate", id], more].concat());
    let outcome = || network.froben(&["wait", id, "-o", "json"]).ok().json();

    // It sleeps for another time, in the line below.
    apply(
        1,
        &slow("slow", "1s", "other").replace("  ctx:sleep", "\n  ctx:sleep"),
    );
    let mut hints = Vec::new();
    for dry_run in [&["--dry-run"][..], &[]] {
        let hint = "froben workflow fork";
        let words = [
            "FRB-LUA-008",
            "slow.lua:4",
            "sleep 1000 ms",
            "line 3",
            "sleep 6000 ms",
            hint,
        ];
        hints.push(migrate(dry_run).refused(4, &words).stderr);
    }
    // The hint is a command that can be typed.
    let hinted = hints[0].lines().find(|line| line.starts_with("hint: "));
    let (_, command) = hinted
        .and_then(|hint| hint.split_once("froben "))
        .expect("a command");
    let command: Vec<_> = command.split_whitespace().collect();
    assert_eq!(command[..3], ["workflow", "fork", id], "{command:?}");
    let fork = network.froben(&command).ok().stdout;
    let fork = fork.trim();
    let forked = network.froben(&["wait", fork, "-o", "json"]).ok().json();
    assert_eq!(forked["workflow"]["output"]["text"], "other");
    // It does the same up to here, and something else afterwards.
    apply(2, &slow("slow", "6s", "new"));
    let tried = migrate(&["--dry-run", "-o", "json"]).ok().json();
    assert_eq!(
        (&tried["switched"], &tried["calls"]),
        (&false.into(), &2.into())
    );
    let newest = tried["revision"].as_str().expect("a revision");
    let before = network.status(id)["workflow"]["revision"].clone();
    let moved = migrate(&["--revision", &newest[..8], "-o", "json"])
        .ok()
        .json();
    assert_eq!(moved["switched"], true);
    assert_ne!(moved["revision"], before);
    let ended = outcome();
    assert_eq!(ended["workflow"]["output"]["text"], "new");
    assert_eq!(ended["workflow"]["revision"], moved["revision"]);
    // Over is over.
    apply(3, &slow("slow", "6s", "newer"));
    migrate(&["--dry-run"]).ok();
    migrate(&[]).refused(2, &["FRB-WFL-006", "froben workflow fork"]);
}

#[test]
fn a_workflow_is_cancelled_by_either_name() {
    let network = Network::start(Options {
        operators: 0,
        scripts: vec![("pipelines/slow.lua", slow("slow", "1h", "late"))],
        ..Options::default()
    });
    for verb in [&["cancel"][..], &["workflow", "cancel"]] {
        let id = network.froben(&["submit", "slow"]).ok().stdout;
        let id = id.trim();
        network.froben(&[verb, &[id]].concat()).ok();
        let ended = network.froben(&["wait", id]).refused(8, &["cancelled"]);
        assert!(ended.stdout.contains("cancelled"), "{}", ended.stdout);
    }
}

const FIBERS: &str = r#"
return workflow("fibers", { output = { sum = "integer" } }, function(ctx)
  local function count(name, pause)
    local sum = 0
    for i = 1, 2 do
      ctx:sleep(pause)
      sum += i
    end
    return sum
  end
  local fast = ctx:spawn(count, "fast", "100ms")
  local slow = ctx:spawn(count, "slow", "1s")
  return { sum = fast:await() + slow:await() }
end)
"#;

#[test]
fn a_replay_walks_through_fibers_in_both_directions() {
    let network = Network::start(Options {
        operators: 0,
        scripts: vec![("pipelines/fibers.lua", FIBERS.to_string())],
        ..Options::default()
    });
    let id = network.froben(&["submit", "fibers"]).ok().stdout;
    let id = id.trim();
    network.froben(&["wait", id]).ok();
    let export = network.path("fibers.export");
    workflow(&network, &["export", id, "-o", &export]).ok();

    let commands = network.folder().join("commands");
    std::fs::write(&commands, "l\nn\nl\nn\nl\np\nl\np\nl\nq\n").expect("a file");
    let mut walk = Command::new(program("froben"));
    walk.args(["workflow", "replay", &export, "--step"]);
    walk.stdin(std::fs::File::open(&commands).expect("a file"));
    let walked = walk.output().expect("it can be run");
    assert!(walked.status.success(), "{walked:?}");
    let told = String::from_utf8(walked.stdout).expect("text");
    // Name and sum of each fiber, from the innermost frame on, each time that the locals were asked for.
    let told_of = |name: &str| -> Vec<String> {
        let wanted = ["name = ", "sum = "];
        let lines = told.lines().map(str::trim);
        let held: Vec<_> = lines
            .filter(|line| wanted.iter().any(|w| line.starts_with(w)))
            .collect();
        let pairs = held
            .chunks(2)
            .filter(|pair| pair.iter().any(|line| line.contains(name)));
        let sums = pairs.flat_map(|pair| pair.iter().find(|line| line.starts_with("sum")));
        sums.map(|line| line["sum = ".len()..].to_string())
            .collect()
    };
    assert_eq!(told_of("fast"), ["0", "1", "1", "0"], "{told}");
    assert_eq!(told_of("slow"), ["0", "0", "0", "0", "0"], "{told}");
    assert!(
        told.contains("waits  fiber 2: pipelines/fibers.lua:6"),
        "{told}"
    );
}
