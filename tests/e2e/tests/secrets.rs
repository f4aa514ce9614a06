//! What was meant for a workflow alone is not shown to whoever looks at it.

use froben_e2e::{Network, Options};

const SECRET: &str = "s3cret-of-ada";

const GUARDED: &str = r#"
return workflow("guarded", {
  input = { api_token = "string", level = "string", token_kind = { "long", "short", default = "long" } },
}, function(ctx)
  ctx:log("begins")
  return {}
end)
"#;

#[test]
fn inputs_that_are_secret_by_their_names_are_hidden_and_an_export_says_what_it_tells() {
    let mut network = Network::start(Options {
        operators: 0,
        scripts: vec![("pipelines/guarded.lua", GUARDED.to_string())],
        ..Options::default()
    });
    let token = format!("api_token={SECRET}");
    let args = ["--set", &token, "--set", "level=7", "-o", "json"];
    let submit = [&["submit", "guarded"], &args[..]].concat();
    let submitted = network.froben(&submit).ok().json();
    let id = submitted["workflow"]["id"].as_str().expect("an id");
    network.froben(&["wait", id]).ok();

    let hidden = "api_token=hidden, level=7, token_kind=hidden";
    assert_eq!(submitted["workflow"]["inputs"], hidden);
    for start in [false, true] {
        // A coordinator that starts reads the inputs anew.
        if start {
            network.coordinator.take().expect("it runs").kill();
            network.start_coordinator();
        }
        for args in [&["list"][..], &["status", id], &["wait", id], &["logs", id]] {
            for format in ["text", "json"] {
                let shown = network.froben(&[args, &["-o", format]].concat()).ok();
                let told = [shown.stdout, shown.stderr].concat();
                assert!(!told.contains(SECRET), "{args:?}: {told}");
                let inputs = args[0] == "logs" || told.contains(hidden);
                assert!(inputs, "{args:?}: {told}");
            }
        }
    }
    // Nor in what is said of one that does not fit.
    let kind = format!("token_kind={SECRET}");
    let refused = network.froben(&[&submit[..], &["--set", &kind]].concat());
    assert!(!refused.stderr.contains(SECRET), "{}", refused.stderr);
    refused.refused(4, &["`token_kind` does not fit: \"long\" or \"short\""]);

    let exported = |file: &str, more: &[&str]| {
        let file = network.path(file);
        let args = [&["workflow", "export", id, "-o", &file], more].concat();
        let told = network.froben(&args).ok().stderr;
        (told, std::fs::read(&file).expect("the file"))
    };
    let holds = |bytes: &[u8]| {
        let mut windows = bytes.windows(SECRET.len());
        windows.any(|at| at == SECRET.as_bytes())
    };
    let (told, bytes) = exported("plain", &[]);
    for words in [
        "pseudonyms",
        "secrets have stand-ins",
        "scripts are in it as they are",
    ] {
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(!holds(&bytes));
    let (told, bytes) = exported("named", &["--keep-names"]);
    assert!(
        told.contains("secrets and the scripts are in it as they are"),
        "{told}"
    );
    assert!(holds(&bytes), "they are what --keep-names keeps");
}
