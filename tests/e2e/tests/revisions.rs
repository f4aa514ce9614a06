//! Scripts that change while workflows run: by an admin, by SIGHUP, by `--watch`, and over restarts.

use std::path::{Path, PathBuf};

use froben_e2e::{Finished, Network, Options, Process, eventually};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A network without operators whose coordinator serves a folder of ours.
struct Stage {
    network: Network,
    scripts: PathBuf,
}

impl Stage {
    fn start(more: &[&str]) -> Stage {
        let mut network = Network::start(Options {
            operators: 0,
            ..Options::default()
        });
        network.issue("admin", "admin", &[]);
        // The one that it started with has served the repository's scripts: away with it.
        network.coordinator.take().expect("it runs").kill();
        std::fs::remove_dir_all(network.path("data")).expect("a folder");
        let scripts = network.folder().join("scripts");
        write(&scripts, &which(0, "0s"));
        let mut stage = Stage { network, scripts };
        stage.start_coordinator(more);
        stage
    }

    fn start_coordinator(&mut self, more: &[&str]) {
        let mut args = self.network.coordinator_args();
        let at = args.iter().position(|arg| arg == "--scripts");
        args[at.expect("it is there") + 1] = self.scripts.display().to_string();
        args.extend(more.iter().map(|arg| arg.to_string()));
        let mut process = Process::start("coordinator", "froben", &args);
        process.wait_for("coordinator listens on");
        self.network.coordinator = Some(process);
    }

    fn coordinator(&mut self) -> &mut Process {
        self.network.coordinator.as_mut().expect("it runs")
    }

    fn admin(&self, args: &[&str]) -> Finished {
        let mut args = args.to_vec();
        args.insert(0, "scripts");
        Finished::run(&mut self.network.command_as("admin", &args))
    }

    /// Applies a folder on top of entry `index`.
    fn apply(&self, folder: &Path, index: u64) -> Finished {
        let (folder, index) = (folder.display().to_string(), index.to_string());
        self.admin(&["apply", &folder, "--check-index", &index, "-o", "json"])
    }

    fn plan(&self, folder: &Path) -> Finished {
        self.admin(&["plan", &folder.display().to_string(), "-o", "json"])
    }

    fn history(&self) -> Vec<Value> {
        let history = self.admin(&["history", "-o", "json"]).ok().json();
        history.as_array().expect("a list").clone()
    }

    fn newest(&self) -> (u64, String) {
        let newest = &self.history()[0];
        let index = newest["index"].as_u64().expect("an index");
        (index, newest["origin"].as_str().expect("it has one").into())
    }

    fn submit(&self) -> String {
        let args = ["submit", "which", "-o", "json"];
        let submitted = self.network.froben(&args).ok().json();
        let id = submitted["workflow"]["id"].as_str();
        id.expect("an id").to_string()
    }

    /// What a workflow returned.
    fn outcome(&self, id: &str) -> u64 {
        let ended = self.network.froben(&["wait", id, "-o", "json"]).ok().json();
        ended["workflow"]["output"]["n"].as_u64().expect("a number")
    }
}

/// A pipeline that tells which one it is, after a while.
fn which(n: u64, sleep: &str) -> String {
    format!(
        "return workflow(\"which\", {{ output = {{ n = \"integer\" }} }}, function(ctx)\n\
         \x20 ctx:sleep(\"{sleep}\")\n\
         \x20 return {{ n = {n} }}\n\
         end)\n"
    )
}

fn write(folder: &Path, source: &str) {
    let pipelines = folder.join("pipelines");
    std::fs::create_dir_all(&pipelines).expect("a folder");
    std::fs::write(pipelines.join("which.lua"), source).expect("a file");
}

#[test]
fn an_admin_changes_the_scripts_while_workflows_run() {
    let stage = Stage::start(&[]);
    let folder = |name: &str, source: &str| {
        let folder = stage.network.folder().join(name);
        write(&folder, source);
        folder
    };
    // Nothing to change; something to change; nothing that can be served.
    assert_eq!(stage.plan(&stage.scripts).ok().json()["changed"], false);
    let one = folder("one", &which(1, "2s"));
    let plan = stage.plan(&one);
    assert_eq!(plan.code, Some(20), "{plan:?}");
    let plan = plan.json();
    assert_eq!(
        (&plan["changed"], &plan["check_index"]),
        (&true.into(), &1.into())
    );
    let diff = plan["files"][0]["diff"].as_str().expect("a diff");
    for line in ["-  return { n = 0 }\n", "+  return { n = 1 }\n"] {
        assert!(diff.contains(line), "{diff}");
    }
    assert_eq!(plan["pipelines"][0]["name"], "which");
    let broken = folder("broken", "local x = 1");
    stage
        .plan(&broken)
        .refused(4, &["pipelines/which.lua", "FRB-SCR-003"]);
    let broken_path = broken.display().to_string();
    for args in [
        &["plan", &broken_path][..],
        &["apply", &broken_path, "--check-index", "1"],
    ] {
        let words = ["error[FRB-LUA-009]", "1 | local x = 1", "^^^"];
        stage.admin(args).refused(4, &words);
    }
    assert_eq!(stage.newest().0, 1, "a plan changes nothing");

    // What is seen is compared with what is.
    let one_path = one.display().to_string();
    stage
        .admin(&["apply", &one_path])
        .refused(2, &["FRB-SCR-004", "#1", "--check-index 1"]);
    stage.apply(&one, 7).refused(21, &["FRB-SCR-001", "#1"]);
    stage.apply(&one, 1).ok();
    stage.apply(&one, 1).refused(21, &["FRB-SCR-001", "#2"]);
    assert_eq!(stage.apply(&one, 2).ok().json()["changed"], false);

    // A running workflow keeps its revision; new ones get the new one; broken sets change nothing.
    let first = stage.submit();
    let refused = stage.apply(&broken, 2).refused(4, &["FRB-SCR-003"]).json();
    assert_eq!(refused["changed"], false);
    assert_eq!(refused["problems"][0]["code"], "FRB-LUA-009");
    let two = folder("two", &which(2, "0s"));
    let plan = stage.plan(&two).json();
    assert_eq!(plan["live"][0]["workflows"], 1, "{plan:#}");
    stage.apply(&two, 2).ok();
    let second = stage.submit();
    assert_eq!((stage.outcome(&second), stage.outcome(&first)), (2, 1));

    // Back, and what was is kept.
    stage
        .admin(&["rollback", "--to", "9", "--check-index", "3"])
        .refused(3, &["FRB-SCR-002", "#9"]);
    stage
        .admin(&["rollback", "9", "--check-index", "3"])
        .refused(3, &["FRB-SCR-002", "#9"]);
    stage
        .admin(&["rollback", "1"])
        .refused(2, &["`froben scripts rollback 1 --check-index 3`"]);
    stage
        .admin(&["rollback", "1", "--to", "2"])
        .refused(2, &["cannot be used with"]);
    let args = [
        "rollback",
        "--check-index",
        "3",
        "--note",
        "two was no good",
    ];
    stage.admin(&args).ok();
    let history = stage.history();
    let origins: Vec<_> = history.iter().map(|entry| &entry["origin"]).collect();
    assert_eq!(origins, ["rollback", "apply", "apply", "start"]);
    assert_eq!(history[0]["by"], "admin");
    assert_eq!(history[0]["note"], "two was no good");
    assert_eq!(history[0]["revision"], history[2]["revision"]);
    let revision = &history[1]["revision"].as_str().expect("a hash")[..12];
    let out = stage.network.path("fetched");
    stage.admin(&["fetch", revision, "--out", &out]).ok();
    let fetched = std::fs::read_to_string(format!("{out}/pipelines/which.lua"));
    assert_eq!(fetched.expect("a file"), which(2, "0s"));
    stage
        .admin(&["fetch", "ffffffff", "--out", &out])
        .refused(3, &["FRB-SCR-002"]);

    // Text, for people.
    let text = stage.admin(&["plan", &two.display().to_string()]);
    assert_eq!(text.code, Some(20));
    for words in ["@@", "served before as #3", "--check-index 4"] {
        assert!(text.stdout.contains(words), "`{words}`: {}", text.stdout);
    }

    // Not by anybody else, and not with a folder that is none.
    stage
        .network
        .froben(&["scripts", "history"])
        .refused(5, &["--role admin", "FRB-TLS-005"]);
    let nowhere = stage.network.path("nowhere");
    stage
        .admin(&["apply", &nowhere, "--check-index", "4"])
        .refused(3, &["FRB-LUA-013", "pipelines"]);
    // A set without pipelines is none, for a check as for the coordinator.
    let empty = stage.network.folder().join("empty");
    for folder in ["pipelines", "lib"] {
        std::fs::create_dir_all(empty.join(folder)).expect("a folder");
    }
    std::fs::write(empty.join("lib/x.lua"), "return {}\n").expect("a file");
    let empty = empty.display().to_string();
    for args in [
        &["check", "--no-types", &empty][..],
        &["plan", &empty],
        &["apply", &empty, "--check-index", "4"],
    ] {
        let refused = stage.admin(args);
        assert_eq!(refused.code, Some(4), "{refused:?}");
        for words in [
            "error[FRB-LUA-013]: it has no pipelines",
            "pipelines/NAME.lua",
        ] {
            assert!(
                refused.stderr.contains(words),
                "{args:?}: {}",
                refused.stderr
            );
        }
    }
    // An admin is a seeker, too.
    let mut list = stage.network.command_as("admin", &["list", "-o", "json"]);
    assert_eq!(Finished::run(&mut list).ok().json(), serde_json::json!([]));
}

#[test]
fn the_folder_is_read_again_on_sighup_and_on_a_change() {
    for (more, watched) in [(&[][..], false), (&["--watch"][..], true)] {
        let mut stage = Stage::start(more);
        let reload = |stage: &mut Stage| {
            if !watched {
                stage.coordinator().signal(Signal::SIGHUP);
            }
        };
        let mut running = Vec::new();
        let mut newest = 0;
        for n in 1..=9 {
            // Every third is broken.
            if n % 3 == 0 {
                let lines = "\n".repeat(n as usize);
                write(&stage.scripts, &format!("{lines}return ("));
                reload(&mut stage);
                let place = format!("which.lua:{}", n + 1);
                stage.coordinator().wait_for(&place);
            } else {
                write(&stage.scripts, &which(n, "1s"));
                reload(&mut stage);
                newest += 1;
                let index = 1 + newest;
                eventually("the new entry", || {
                    (stage.newest() == (index, "folder".into())).then_some(())
                });
            }
            assert_eq!(stage.newest().0, 1 + newest);
            let served = if n % 3 == 0 { n - 1 } else { n };
            running.push((stage.submit(), served));
        }
        for (id, n) in running {
            assert_eq!(stage.outcome(&id), n);
        }
    }
}

#[test]
fn a_restart_serves_the_history_unless_the_folder_is_news() {
    let mut stage = Stage::start(&[]);
    let applied = stage.network.folder().join("applied");
    write(&applied, &which(1, "3s"));
    stage.apply(&applied, 1).ok();
    let id = stage.submit();
    let restart = |stage: &mut Stage| {
        stage.network.coordinator.take().expect("it runs").kill();
        stage.start_coordinator(&[]);
    };
    // The folder is as it was: an older entry. What the admin said holds, and it is said how to undo it.
    restart(&mut stage);
    stage.coordinator().wait_for("SIGHUP");
    assert_eq!(stage.newest(), (2, "apply".into()));
    assert_eq!(stage.outcome(&id), 1);
    // SIGHUP means the folder, old or not.
    stage.coordinator().signal(Signal::SIGHUP);
    eventually("the folder's scripts", || {
        (stage.newest() == (3, "folder".into())).then_some(())
    });
    // Broken, or gone: what was served goes on.
    write(&stage.scripts, "return (");
    restart(&mut stage);
    stage.coordinator().wait_for("which.lua:1");
    assert_eq!(stage.newest().0, 3);
    std::fs::remove_dir_all(&stage.scripts).expect("a folder");
    restart(&mut stage);
    stage.coordinator().wait_for("FRB-LUA-013");
    assert_eq!(stage.newest().0, 3);
    // News.
    write(&stage.scripts, &which(4, "0s"));
    restart(&mut stage);
    assert_eq!(stage.newest(), (4, "start".into()));
    let id = stage.submit();
    assert_eq!(stage.outcome(&id), 4);
}
