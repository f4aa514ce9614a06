//! Wrong input, wrong certificates, missing parts: one line that says what, why and what to do.

use std::process::Command;

use froben_e2e::{Finished, Network, Options, Process, eventually, program};

#[test]
fn input_that_is_refused_with_a_reason() {
    let network = Network::start(Options {
        operators: 0,
        ..Options::default()
    });
    let submit = |pipeline: &str, more: &[&str]| {
        network.froben(
            &[
                &["submit", pipeline],
                more,
                &["--set", "params=dev", "--wait"],
            ]
            .concat(),
        )
    };
    let empty = network.file("empty.bin", 0);
    let empty = format!("data={}", empty.display());
    submit("data_commitments", &["--input", &empty]).refused(8, &["empty"]);
    let large = network.file("large.bin", 10 << 20);
    let large = format!("data={}", large.display());
    submit("data_commitments", &["--input", &large]).refused(8, &["1 MiB"]);
    let small = network.file("small.bin", 100);
    let small = format!("data={}", small.display());
    submit("no_such", &["--input", &small]).refused(3, &["no_such", "data_commitments"]);
    submit("data_commitment", &["--input", &small])
        .refused(3, &["hint: did you mean `data_commitments`?"]);
    submit("data_commitments", &[]).refused(4, &["data"]);
    submit("data_commitments", &["--input", "data=/no/such/file"]).refused(3, &["/no/such/file"]);
    submit("data_commitments", &["--input", "data"]).refused(2, &["NAME=FILE"]);
    submit("data_commitments", &["--input", &small, "--input", &small]).refused(2, &["twice"]);
    submit(
        "data_commitments",
        &["--input", &small, "--set", "colour=red"],
    )
    .refused(4, &["colour"]);
    // Whoever mistypes the one is missing the other.
    let words = [
        "`data` is missing",
        "unknown input `dta`; did you mean `data`?",
    ];
    submit("data_commitments", &["--set", "dta=1"]).refused(4, &words);

    network
        .froben(&["status", "wf-00000000000000000000000000000000"])
        .refused(3, &["no such"]);
    network
        .froben(&["status", "nonsense"])
        .refused(2, &["workflow id"]);
    network
        .froben(&["verify", "/no/such/bundle"])
        .refused(3, &["/no/such/bundle"]);
}

#[test]
fn certificates_that_do_not_open_the_door() {
    let network = Network::start(Options {
        operators: 0,
        ..Options::default()
    });
    let list = |identity: &str| Finished::run(&mut network.command_as(identity, &["list"]));

    let (ca, out) = (network.path("other-ca"), network.path("foreigner"));
    network.ca(&["init", &ca]).ok();
    let args = [
        "issue", "--ca", &ca, "--role", "seeker", "--name", "seeker", "--out", &out,
    ];
    network.ca(&args).ok();
    list("foreigner").refused(5, &["another CA"]);

    network.issue("seeker", "late", &["--valid", "0s"]);
    // Certificates know whole seconds.
    let late = eventually("the end of this second", || {
        Some(list("late")).filter(|l| l.code != Some(0))
    });
    late.refused(5, &["expired"]);

    network.issue("operator", "worker", &[]);
    list("worker").refused(5, &["operator", "seeker"]);

    list("no-such-folder").refused(1, &["no-such-folder"]);
    network
        .ca(&["init", &network.path("ca")])
        .refused(1, &["exists"]);
}

#[test]
fn a_coordinator_that_is_not_there_or_can_not_start() {
    let mut network = Network::start(Options {
        operators: 0,
        ..Options::default()
    });
    let mut second = network.coordinator_args();
    let run = |args: &[String]| Finished::run(Command::new(program("froben")).args(args));
    run(&second).refused(1, &["in use", "--listen"]);

    let at = second
        .iter()
        .position(|arg| arg == "--listen")
        .expect("it is there");
    second[at + 1] = "127.0.0.1:0".to_string();
    run(&second).refused(1, &["in use by another process", "--data"]);

    network.coordinator.take().expect("it runs").kill();
    network
        .froben(&["list"])
        .refused(6, &["cannot reach", "check the address"]);

    let scripts = network.path("scripts");
    std::fs::create_dir_all(format!("{scripts}/pipelines")).expect("a folder");
    std::fs::write(format!("{scripts}/pipelines/x.lua"), "return (").expect("a file");
    let at = second
        .iter()
        .position(|arg| arg == "--scripts")
        .expect("it is there");
    second[at + 1] = scripts;
    // What was served before is served again, with a word on what is wrong.
    let args: Vec<_> = second.iter().map(String::as_str).collect();
    let mut again = Process::start("coordinator", "froben", &args);
    again.wait_for("coordinator listens on");
    again.wait_for("pipelines/x.lua:1");
    again.kill();
    // With nothing to go back to there is nothing to serve.
    let at = second
        .iter()
        .position(|arg| arg == "--data")
        .expect("it is there");
    second[at + 1] = network.path("fresh");
    run(&second).refused(4, &["pipelines/x.lua:1"]);
}

#[test]
fn without_an_opencl_device_the_operator_says_so() {
    let network = Network::start(Options {
        operators: 0,
        ..Options::default()
    });
    network.issue("operator", "operator-1", &[]);
    let run = |more: &[&str]| {
        let identity = network.path("operator-1");
        let prover = program("froben-prover").display().to_string();
        let args = [
            "run",
            "--coordinator",
            network.address(),
            "--identity",
            &identity,
            "--label",
            "machine-1",
            "--prover",
            &prover,
            "--until-stdin-closes",
        ];
        let mut command = Command::new(program("froben-operator"));
        // An empty folder of drivers: what a machine without any looks like to the loader.
        command
            .args(args)
            .args(more)
            .env("OCL_ICD_VENDORS", network.folder());
        command
    };
    // It proves all the same, by other means, and says once by which.
    let mut operator = Process::start_with("operator-1", &mut run(&[]));
    operator.wait_for("proofs are made on the CPU without OpenCL");
    operator.wait_for("registered operator-1/machine-1 with 1 devices");
    let file = network.file("proved.bin", 10);
    let id = network.submit(&file);
    network.froben(&["wait", &id]).ok();
    operator.kill();

    // As a CPU operator it serves witnesses, but what needs a device finds no machine.
    let mut operator = Process::start_with("operator-1", &mut run(&["--cpu-only"]));
    operator.wait_for("registered ");
    let file = network.file("data.bin", 10);
    let id = network.submit(&file);
    network.wait_for_stage(&id, "witness", 1);
    eventually("a reason", || {
        let status = network.status(&id);
        let waiting = status["waiting"].as_array()?;
        let told = waiting.iter().filter_map(|line| line.as_str());
        told.into_iter()
            .any(|line| line.contains("commitments.prove/1"))
            .then_some(())
    });
    network.froben(&["cancel", &id]).ok();

    // Who does not want to wait for a machine says so, and reads that there is none.
    let data = format!("data={}", file.display());
    network
        .froben(&[
            "submit",
            "data_commitments",
            "--input",
            &data,
            "--set",
            "params=dev",
            "--set",
            "patience=1s",
            "--wait",
        ])
        .refused(10, &["for want of a machine", "froben machines"]);
    let list = network.froben(&["list"]).ok().stdout;
    assert!(list.contains("params=dev, patience=1s"), "{list}");
}

#[test]
fn the_figures_are_shown_to_whoever_asks_properly() {
    let network = Network::start(Options {
        operators: 0,
        ..Options::default()
    });
    let long = format!("GET /metrics?{} HTTP/1.1\r\n", "x".repeat(1 << 16));
    let heavy = format!("GET /metrics HTTP/1.1\r\n{}", "X-Y: z\r\n".repeat(200));
    for (request, status) in [
        ("GET /metrics HTTP/1.1\r\n", "200"),
        ("GET /metrics?x HTTP/1.1\r\n", "200"),
        ("HEAD /metrics HTTP/1.1\r\n", "200"),
        ("GET / HTTP/1.1\r\n", "404"),
        ("GET /metrics/1 HTTP/1.1\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\n", "405"),
        ("DELETE / HTTP/1.1\r\n", "405"),
        ("show me the figures\r\n", "400"),
        (&long, "414"),
        (&heavy, "431"),
    ] {
        let answer = network.ask_figures(request);
        let begin: String = request.chars().take(40).collect();
        let said = answer.split(' ').nth(1);
        assert_eq!(said, Some(status), "{begin}: {answer}");
        let shown = answer.contains("froben_build_info");
        let asked = status == "200" && begin.starts_with("GET");
        assert_eq!(shown, asked, "{begin}: {answer}");
    }
    let page = network.ask_figures("GET /metrics HTTP/1.0\r\n");
    let format = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(page.contains(format), "{page}");
    assert!(page.ends_with("# EOF\n"), "{page}");
}

#[test]
fn exit_codes_are_documented() {
    let help = Finished::run(Command::new(program("froben")).args(["help", "exit-codes"])).ok();
    for code in [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "75", "141",
    ] {
        let listed = help
            .stdout
            .lines()
            .any(|line| line.split_whitespace().next() == Some(code));
        assert!(listed, "{code} is not in: {}", help.stdout);
    }
    assert_eq!(
        Finished::run(Command::new(program("froben")).arg("nonsense")).code,
        Some(2)
    );
}
