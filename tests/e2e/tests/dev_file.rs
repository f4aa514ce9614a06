//! `froben dev FILE`: a save runs the pipeline again, and what does not check changes nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use froben_e2e::{Process, eventually};

/// From the save to the result, on a machine that may be busy with the other tests. What it takes on a
/// quiet one is in docs/performance.md.
const SAVE_TO_RESULT: Duration = Duration::from_secs(10);

struct Author {
    folder: tempfile::TempDir,
    dev: Process,
    /// How much of its output was seen.
    seen: usize,
}

impl Author {
    fn start(source: &str) -> Author {
        let folder = tempfile::tempdir().expect("a folder");
        let pipeline = write(folder.path(), source);
        std::fs::write(folder.path().join("data.bin"), "twelve bytes").expect("a file");
        let data = folder.path().join("network").display().to_string();
        let input = format!("data={}", folder.path().join("data.bin").display());
        let pipeline = pipeline.display().to_string();
        let args = [
            "dev",
            &pipeline,
            "--input",
            &input,
            "--set",
            "word=hello",
            "--operators",
            "1",
            "--until-stdin-closes",
            "--data",
            &data,
        ];
        let dev = Process::start("dev", "froben", &args);
        let seen = 0;
        Author { folder, dev, seen }
    }

    fn save(&self, source: &str) -> Instant {
        let saved = Instant::now();
        write(self.folder.path(), source);
        saved
    }

    /// Waits until it says something new with these words in it.
    fn hears(&mut self, words: &str) {
        self.seen = eventually(words, || {
            let output = self.dev.output();
            let at = output[self.seen..].find(words)?;
            Some(self.seen + at + words.len())
        });
    }
}

fn write(folder: &Path, source: &str) -> PathBuf {
    let pipelines = folder.join("scripts/pipelines");
    std::fs::create_dir_all(&pipelines).expect("a folder");
    let path = pipelines.join("greet.lua");
    // As editors save: a new file in the place of the old one.
    let new = pipelines.join("greet.lua.new");
    std::fs::write(&new, source).expect("a file");
    std::fs::rename(&new, &path).expect("it can be moved");
    path
}

fn greet(version: u32, sleep: &str) -> String {
    format!(
        "return workflow(\"greeting\", {{ input = {{ data = \"blob\", word = \"string\" }} }},\n\
         \x20 function(ctx, input)\n\
         \x20   ctx:sleep(\"{sleep}\")\n\
         \x20   return {{ text = `{{input.word}} {{input.data.size}} v{version}` }}\n\
         \x20 end)\n"
    )
}

#[test]
fn a_save_runs_the_pipeline_again() {
    let mut author = Author::start(&greet(1, "0s"));
    author.hears("{\"text\":\"hello 12 v1\"}");
    let mut times = Vec::new();
    for version in 2..7 {
        let saved = author.save(&greet(version, "0s"));
        author.hears(&format!("{{\"text\":\"hello 12 v{version}\"}}"));
        times.push(saved.elapsed());
    }
    times.sort();
    eprintln!("from a save to its result: {times:?}");
    assert!(times[2] < SAVE_TO_RESULT, "{times:?}");

    // Scripts that do not check are told with their place; the next save mends it.
    author.save("return workflow(\n\n  oops");
    author.hears("error[FRB-LUA-001]");
    author.hears("pipelines/greet.lua:3:");
    author.hears("3 |   oops");
    author.save(&greet(7, "0s"));
    author.hears("hello 12 v7");

    // A run that goes on is cancelled by a save.
    author.save(&greet(8, "24h"));
    author.hears("greeting is running as ");
    author.save(&greet(9, "0s"));
    author.hears("cancelling wf-");
    author.hears("hello 12 v9");

    // A run that fails is told, and is no end.
    author.save(&greet(10, "0s").replace("return {", "error(\"boom\") return {"));
    author.hears("greet.lua:4: boom");
    author.save(&greet(11, "0s"));
    author.hears("hello 12 v11");
    assert_eq!(author.dev.wait(), Some(0));
}
