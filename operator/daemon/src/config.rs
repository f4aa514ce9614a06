//! What the daemon is told: the command line over the file of `--config` over defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use froben_model::resources::{parse_duration_ms, parse_size};
use froben_model::{Amount, Kind, OperatorId, limits};
use serde::Deserialize;

use crate::args::{Provers, Run};
use crate::workers::MEMORY_SLACK_BYTES;
use crate::{Error, Exit, host};

/// Long enough for most tasks.
const DRAIN_WITHIN: Duration = Duration::from_secs(10 * 60);

#[derive(Debug, Clone)]
pub struct Config {
    pub coordinator: String,
    pub identity: PathBuf,
    pub label: String,
    /// What an item of a kind costs.
    pub prices: BTreeMap<Kind, Amount>,
    pub keystore: Option<PathBuf>,
    pub provers: Vec<PathBuf>,
    pub cpu_only: bool,
    pub memory_slack_bytes: u64,
    /// How long a machine that is about to leave finishes what it has.
    pub drain_within: Duration,
    pub runtime_dir: Option<PathBuf>,
    pub until_stdin_closes: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    coordinator: Option<String>,
    identity: Option<PathBuf>,
    label: Option<String>,
    #[serde(default)]
    prices: BTreeMap<String, String>,
    keystore: Option<PathBuf>,
    provers: Option<Vec<PathBuf>>,
    cpu_only: Option<bool>,
    memory_slack: Option<String>,
    drain_within: Option<String>,
    runtime_dir: Option<PathBuf>,
}

impl Config {
    pub fn new(args: Run) -> Result<Config, Error> {
        let Run {
            coordinator,
            identity,
            label,
            prices,
            keystore,
            provers: Provers { programs, cpu_only },
            memory_slack,
            drain_within,
            runtime_dir,
            config,
            until_stdin_closes,
        } = args;
        let file = match &config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        let missing = |option: &str, variable: &str| {
            Error::usage(format!(
                "{option} is missing; give it, set {variable}, or name a file with --config"
            ))
        };
        let label = label.or(file.label).unwrap_or_else(host::label);
        // Labels are made of the same letters as operators' names.
        OperatorId::new(label.as_str()).map_err(|error| {
            let why = error.to_string().replace("operator name", "label");
            Error::usage(format!("--label: {why}"))
        })?;
        let memory_slack_bytes = match memory_slack.or(file.memory_slack) {
            Some(size) => parse_size(&size)
                .map_err(|error| Error::usage(format!("--memory-slack: {error}")))?,
            None => MEMORY_SLACK_BYTES,
        };
        let drain_within = match drain_within.or(file.drain_within) {
            Some(within) => parse_duration_ms(&within)
                .map(Duration::from_millis)
                .map_err(|error| Error::usage(format!("--drain-within: {error}")))?,
            None => DRAIN_WITHIN,
        };
        let programs = match programs.is_empty() {
            true => file.provers.unwrap_or_default(),
            false => programs,
        };
        let mut asked = BTreeMap::new();
        for (kind, amount) in &file.prices {
            let (kind, amount) = price(kind, amount)?;
            asked.insert(kind, amount);
        }
        for text in &prices {
            let (kind, amount) = text.split_once('=').ok_or_else(|| {
                Error::usage(format!("--price {text}: it has the form KIND=AMOUNT"))
            })?;
            let (kind, amount) = price(kind, amount)?;
            asked.insert(kind, amount);
        }
        Ok(Config {
            coordinator: coordinator
                .or(file.coordinator)
                .ok_or_else(|| missing("--coordinator", "FROBEN_COORDINATOR"))?,
            identity: identity
                .or(file.identity)
                .ok_or_else(|| missing("--identity", "FROBEN_IDENTITY"))?,
            label,
            prices: asked,
            keystore: keystore.or(file.keystore),
            provers: or_built_in(programs)?,
            cpu_only: cpu_only || file.cpu_only.unwrap_or(false),
            memory_slack_bytes,
            drain_within,
            runtime_dir: runtime_dir.or(file.runtime_dir),
            until_stdin_closes,
        })
    }
}

fn price(kind: &str, amount: &str) -> Result<(Kind, Amount), Error> {
    let wrong = |error: froben_model::Error| Error::usage(format!("the price of {kind}: {error}"));
    let kind = kind.parse().map_err(wrong)?;
    let amount: Amount = amount.parse().map_err(wrong)?;
    let most = Amount(limits::PRICE);
    match amount <= most {
        true => Ok((kind, amount)),
        false => Err(Error::usage(format!(
            "the price of {kind} is {amount}; the most that an item may cost is {most}"
        ))),
    }
}

fn read(path: &Path) -> Result<File, Error> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::new(Exit::NotFound, format!("cannot read {shown}: {error}")))?;
    toml::from_str(&text).map_err(|error| {
        let line = error.message().replace('\n', " ");
        Error::usage(format!("{shown} does not read: {line}"))
    })
}

/// `programs`, or the prover that was installed beside this program.
pub(crate) fn or_built_in(programs: Vec<PathBuf>) -> Result<Vec<PathBuf>, Error> {
    if !programs.is_empty() {
        return Ok(programs);
    }
    let here = std::env::current_exe()
        .map_err(|error| Error::new(Exit::Unexpected, format!("where am I? {error}")))?;
    let prover = here.with_file_name("froben-prover");
    match prover.is_file() {
        true => Ok(vec![prover]),
        false => Err(Error::new(
            Exit::NotFound,
            format!(
                "there is no {}; name a prover with --prover",
                prover.display()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(coordinator: Option<&str>, config: Option<&Path>) -> Run {
        Run {
            coordinator: coordinator.map(str::to_owned),
            identity: Some("id".into()),
            provers: Provers {
                programs: vec!["prover".into()],
                cpu_only: false,
            },
            config: config.map(Path::to_owned),
            ..Run::default()
        }
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.toml");
        std::fs::write(
            &path,
            "coordinator = 'file:1'\nlabel = 'rig'\ncpu_only = true\n",
        )
        .unwrap();
        let config = Config::new(run(Some("line:1"), Some(&path))).unwrap();
        assert_eq!(config.coordinator, "line:1");
        let config = Config::new(run(None, Some(&path))).unwrap();
        assert_eq!(
            (config.coordinator.as_str(), config.label.as_str()),
            ("file:1", "rig")
        );
        assert!(config.cpu_only);
    }

    #[test]
    fn prices_of_the_command_line_win_over_those_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.toml");
        let text = "coordinator = 'x:1'\n[prices]\n'data.a/1' = '0.05'\n'data.b/1' = '1'\n";
        std::fs::write(&path, text).unwrap();
        let mut args = run(None, Some(&path));
        args.prices = vec!["data.b/1=2".to_owned()];
        let prices = Config::new(args).unwrap().prices;
        let shown: Vec<_> = prices
            .iter()
            .map(|(kind, price)| format!("{kind} {price}"))
            .collect();
        assert_eq!(shown, ["data.a/1 0.05", "data.b/1 2"]);
        for bad in [
            "data.a/1",
            "data.a=1",
            "data.a/1=-1",
            "data.a/1=1.0000001",
            "data.a/1=10000.000001",
        ] {
            let mut args = run(Some("x:1"), None);
            args.prices = vec![bad.to_owned()];
            let error = Config::new(args).unwrap_err();
            assert_eq!(error.exit, Exit::Usage, "{error}");
        }
    }

    #[test]
    fn what_is_missing_or_misspelt_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.toml");
        std::fs::write(&path, "coordinater = 'x'\n").unwrap();
        let cases = [
            (run(None, None), Exit::Usage, "--coordinator"),
            (run(Some("x:1"), Some(&path)), Exit::Usage, "coordinater"),
            (
                run(Some("x:1"), Some(Path::new("/no/file"))),
                Exit::NotFound,
                "/no/file",
            ),
        ];
        for (args, exit, word) in cases {
            let error = Config::new(args).unwrap_err();
            assert_eq!(error.exit, exit, "{error}");
            assert!(error.message.contains(word), "{error}");
        }
        let mut bad = run(Some("x:1"), None);
        bad.label = Some("Not A Label".to_owned());
        let error = Config::new(bad).unwrap_err();
        assert!(error.message.contains("--label"), "{error}");
        let mut bad = run(Some("x:1"), None);
        bad.memory_slack = Some("much".to_owned());
        let error = Config::new(bad).unwrap_err();
        assert!(error.message.contains("--memory-slack"), "{error}");
    }
}
