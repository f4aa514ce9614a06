//! Workflows that run other workflows, with real machines, over a coordinator that dies.

use std::path::Path;

use froben_e2e::{Network, Options, eventually};
use serde_json::Value;

/// Proves a file by running the main job as a child; then says so.
const PARENT: &str = r#"
return workflow("parent", {
  input = { data = "blob" },
  output = { bundle = "blob" },
}, function(ctx, input)
  local child = ctx:run("data_commitments", { data = input.data, params = "dev" }, { key = "main" })
  local result = child:await()
  if not result.ok then
    ctx:fail(`the child: {result.err.code} {result.err.message}`)
  end
  return { bundle = result.value.bundle }
end)
"#;

fn network() -> Network {
    Network::start(Options {
        scripts: vec![("pipelines/parent.lua", PARENT.to_string())],
        ..Options::default()
    })
}

fn submit(network: &Network, file: &Path) -> String {
    let data = format!("data={}", file.display());
    let args = ["submit", "parent", "--input", &data, "-o", "json"];
    let submitted = network.froben(&args).ok().json();
    submitted["workflow"]["id"]
        .as_str()
        .expect("an id")
        .to_string()
}

fn list(network: &Network) -> Vec<Value> {
    let list = network.froben(&["list", "-o", "json"]).ok().json();
    list.as_array().expect("a list").clone()
}

/// The id of the one workflow that `parent` runs.
fn child_of(network: &Network, parent: &str) -> String {
    eventually("the child", || {
        let children = list(network).into_iter().filter(|w| w["parent"] == parent);
        let ids = children.map(|child| child["id"].as_str().expect("an id").to_string());
        match &ids.collect::<Vec<_>>()[..] {
            [] => None,
            [child] => Some(child.clone()),
            more => panic!("{more:?}"),
        }
    })
}

#[test]
fn a_child_goes_on_after_the_coordinator_is_killed() {
    let mut network = network();
    let file = network.file("data.bin", 2 * 4096 + 17);
    let parent = submit(&network, &file);
    let child = child_of(&network, &parent);
    for done in [1, 5] {
        network.wait_for_stage(&child, "prove", done);
        network.coordinator.take().expect("it runs").kill();
        network.start_coordinator();
        assert_eq!(child_of(&network, &parent), child, "it is the same child");
        assert_eq!(network.status(&parent)["workflow"]["state"], "running");
    }
    network.fetch_and_verify(&parent, &file);
    let ended = network.status(&child);
    assert_eq!(ended["workflow"]["state"], "succeeded");
    let delegations = ended["delegations"].as_array().expect("delegations").iter();
    let proofs = delegations.filter(|d| d["kind"] == "commitments.prove/1");
    let proved = proofs.map(|d| d["items_ok"].as_u64().unwrap_or(0));
    assert_eq!(
        proved.sum::<u64>(),
        12,
        "what was proved is not proved again: {ended:#}"
    );
    let logs = network.froben(&["logs", &parent]).ok().stdout;
    assert!(
        logs.contains(&format!("runs data_commitments as main: {child}")),
        "{logs}"
    );
    assert_eq!(list(&network).len(), 2);
    let paid = network.sound_after();
    assert_eq!(paid["commitments.prove/1"], 12, "{paid:?}");
}

#[test]
fn what_is_done_to_a_parent_is_done_to_its_child() {
    let mut network = network();
    let file = network.file("data.bin", 2 * 4096 + 17);
    let parent = submit(&network, &file);
    let child = child_of(&network, &parent);
    network.wait_for_stage(&child, "prove", 1);
    let states = |network: &Network| {
        [&parent, &child].map(|id| network.status(id)["workflow"]["state"].clone())
    };
    network.froben(&["workflow", "pause", &parent]).ok();
    assert_eq!(states(&network), ["paused", "paused"]);
    network.coordinator.take().expect("it runs").kill();
    network.start_coordinator();
    assert_eq!(states(&network), ["paused", "paused"]);
    network.froben(&["workflow", "resume", &parent]).ok();
    assert_eq!(states(&network), ["running", "running"]);
    // From before the child: the fork runs one of its own.
    let fork = network
        .froben(&["workflow", "fork", &parent, "--from", "1"])
        .ok();
    let fork = fork.stdout.trim().to_string();
    let other = child_of(&network, &fork);
    assert_ne!(other, child);
    network.froben(&["cancel", &parent]).ok();
    assert_eq!(states(&network), ["cancelled", "cancelled"]);
    network.fetch_and_verify(&fork, &file);
    network.sound_after();
}
