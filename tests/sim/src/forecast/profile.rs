//! A fleet and how long its tasks take, as a TOML file says it.

use std::collections::BTreeMap;

use froben_model::resources::parse_size;
use froben_model::{Kind, Value};
use serde::Deserialize;

/// The profiles that come with the program, by name.
const SHIPPED: [(&str, &str); 1] = [("era", include_str!("../../profiles/era.toml"))];

/// What a machine's devices or kinds are bounded by is the scheduler's; this bounds mistakes.
const MOST_SECONDS: f64 = 1e6;

/// Why a profile is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    #[error("{0}")]
    Syntax(String),
    #[error("{at}: {why}")]
    Unfit { at: String, why: String },
}

/// A fleet, its faults, and what its tasks take.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    pub(crate) machines_per_operator: usize,
    pub(crate) slow_share: f64,
    pub(crate) slow_speed: f64,
    pub(crate) killed_share: f64,
    pub(crate) away_ms: u64,
    pub(crate) jitter: f64,
    pub(crate) latency_ms: u64,
    pub(crate) classes: Vec<Class>,
    pub(crate) kinds: BTreeMap<Kind, Takes>,
}

/// Machines that are alike.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Class {
    pub(crate) name: String,
    /// Of the fleet, after those before it: cumulated, the last is 1.
    pub(crate) upto: f64,
    pub(crate) cpu_cores: u32,
    pub(crate) ram_bytes: u64,
    pub(crate) devices: Vec<u64>,
    pub(crate) speed: f64,
    pub(crate) price: f64,
}

/// What the tasks of one kind take, on a machine of speed 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Takes {
    pub(crate) device: bool,
    pub(crate) width: usize,
    pub(crate) setup_ms: f64,
    pub(crate) item_ms: f64,
    pub(crate) case_of: Option<String>,
    pub(crate) cases: BTreeMap<String, f64>,
    pub(crate) memory_bytes: u64,
    pub(crate) result: Value,
}

impl Profile {
    /// One that comes with the program.
    pub fn shipped(name: &str) -> Option<Profile> {
        let (_, text) = SHIPPED.iter().find(|(known, _)| *known == name)?;
        Some(Profile::parse(text).expect("invariant: our own profiles are read by a test"))
    }

    /// The names of those that come with the program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|(name, _)| *name)
    }

    /// *Errors*: what is wrong first, and where.
    pub fn parse(text: &str) -> Result<Profile, ProfileError> {
        let raw: RawProfile = toml::from_str(text)
            .map_err(|error| ProfileError::Syntax(error.to_string().trim_end().to_owned()))?;
        raw.read()
    }

    /// The kinds that its machines offer.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.keys()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    fleet: RawFleet,
    machine: Vec<RawClass>,
    kind: Vec<RawKind>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFleet {
    #[serde(default = "one")]
    machines_per_operator: usize,
    #[serde(default)]
    slow: RawSlow,
    #[serde(default)]
    killed: RawKilled,
    #[serde(default)]
    jitter: f64,
    #[serde(default)]
    latency_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSlow {
    share: f64,
    speed: f64,
}

impl Default for RawSlow {
    fn default() -> Self {
        RawSlow {
            share: 0.0,
            speed: 1.0,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawKilled {
    share: f64,
    away_s: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClass {
    class: String,
    share: f64,
    cpu_cores: u32,
    ram: String,
    #[serde(default)]
    devices: Vec<String>,
    speed: f64,
    price: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKind {
    kind: String,
    on: On,
    #[serde(default = "one")]
    width: usize,
    #[serde(default)]
    setup_s: f64,
    item_s: f64,
    case_of: Option<String>,
    #[serde(default)]
    cases: BTreeMap<String, f64>,
    memory: Option<String>,
    result: Option<toml::Value>,
}

#[derive(Deserialize, PartialEq, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum On {
    Cpu,
    Device,
}

fn one() -> usize {
    1
}

/// A number that has to lie between two others.
fn within(at: &str, name: &str, number: f64, least: f64, most: f64) -> Result<f64, ProfileError> {
    match (least..=most).contains(&number) {
        true => Ok(number),
        false => Err(unfit(
            at,
            format!("{name} is {number}, and must be {least} to {most}"),
        )),
    }
}

fn unfit(at: &str, why: impl Into<String>) -> ProfileError {
    ProfileError::Unfit {
        at: at.to_owned(),
        why: why.into(),
    }
}

fn size(at: &str, text: &str) -> Result<u64, ProfileError> {
    parse_size(text).map_err(|error| unfit(at, error.to_string()))
}

impl RawProfile {
    fn read(self) -> Result<Profile, ProfileError> {
        let RawProfile {
            fleet,
            machine,
            kind,
        } = self;
        let at = "[fleet]";
        if fleet.machines_per_operator == 0 {
            return Err(unfit(at, "machines_per_operator is at least 1"));
        }
        let away_s = within(at, "away_s", fleet.killed.away_s, 0.0, MOST_SECONDS)?;
        Ok(Profile {
            machines_per_operator: fleet.machines_per_operator,
            slow_share: within(at, "slow.share", fleet.slow.share, 0.0, 1.0)?,
            slow_speed: within(at, "slow.speed", fleet.slow.speed, 0.001, 1000.0)?,
            killed_share: within(at, "killed.share", fleet.killed.share, 0.0, 0.9)?,
            away_ms: (away_s * 1000.0) as u64,
            jitter: within(at, "jitter", fleet.jitter, 0.0, 0.9)?,
            latency_ms: fleet.latency_ms,
            classes: read_classes(machine)?,
            kinds: read_kinds(kind)?,
        })
    }
}

fn read_classes(raw: Vec<RawClass>) -> Result<Vec<Class>, ProfileError> {
    let all: f64 = raw.iter().map(|class| class.share).sum();
    let mut upto = 0.0;
    let mut classes = Vec::new();
    for class in raw {
        let at = format!("[[machine]] {}", class.class);
        upto += within(&at, "share", class.share, 0.0, MOST_SECONDS)? / all;
        let devices = class.devices.iter().map(|text| size(&at, text));
        classes.push(Class {
            upto,
            cpu_cores: class.cpu_cores,
            ram_bytes: size(&at, &class.ram)?,
            devices: devices.collect::<Result<_, _>>()?,
            speed: within(&at, "speed", class.speed, 0.001, 1000.0)?,
            price: within(&at, "price", class.price, 0.0, 1e9)?,
            name: class.class,
        });
    }
    // The sum of fractions may fall short of 1 by a rounding.
    match classes.last_mut().filter(|_| all > 0.0) {
        Some(last) => last.upto = 1.0,
        None => {
            return Err(unfit(
                "[[machine]]",
                "there must be one with a share above 0",
            ));
        }
    }
    Ok(classes)
}

fn read_kinds(raw: Vec<RawKind>) -> Result<BTreeMap<Kind, Takes>, ProfileError> {
    let mut kinds = BTreeMap::new();
    for raw in raw {
        let at = format!("[[kind]] {}", raw.kind);
        let kind = Kind::new(&raw.kind).map_err(|error| unfit(&at, error.to_string()))?;
        if raw.width == 0 {
            return Err(unfit(&at, "width is at least 1"));
        }
        let ms = |name: &str, s: f64| Ok(within(&at, name, s, 0.0, MOST_SECONDS)? * 1000.0);
        let mut cases = BTreeMap::new();
        for (case, s) in raw.cases {
            let ms = ms(&format!("cases.{case}"), s)?;
            cases.insert(case, ms);
        }
        if !cases.is_empty() && raw.case_of.is_none() {
            return Err(unfit(&at, "cases need case_of, the field that tells them"));
        }
        let takes = Takes {
            device: raw.on == On::Device,
            width: raw.width,
            setup_ms: ms("setup_s", raw.setup_s)?,
            item_ms: ms("item_s", raw.item_s)?,
            case_of: raw.case_of,
            cases,
            memory_bytes: match &raw.memory {
                Some(text) => size(&at, text)?,
                None => 0,
            },
            result: match raw.result {
                Some(result) => value(&at, result)?,
                None => Value::Bool(true),
            },
        };
        if kinds.insert(kind, takes).is_some() {
            return Err(unfit(&at, "it is there twice"));
        }
    }
    Ok(kinds)
}

/// Plain data. A text `blob SIZE` becomes a blob of that size; which one is filled in for each item.
fn value(at: &str, raw: toml::Value) -> Result<Value, ProfileError> {
    Ok(match raw {
        toml::Value::String(text) => match text.strip_prefix("blob ") {
            Some(bytes) => {
                let mut blob = froben_model::BlobRef::of(b"");
                blob.size_bytes = size(at, bytes)?;
                Value::Blob(blob)
            }
            None => Value::Text(text),
        },
        toml::Value::Integer(int) => Value::Int(int),
        toml::Value::Float(number) if number.is_finite() => Value::Number(number),
        toml::Value::Boolean(bool) => Value::Bool(bool),
        toml::Value::Array(list) => {
            let list = list.into_iter().map(|raw| value(at, raw));
            Value::List(list.collect::<Result<_, _>>()?)
        }
        toml::Value::Table(table) => {
            let entries = table
                .into_iter()
                .map(|(key, raw)| Ok((key, value(at, raw)?)));
            Value::Map(entries.collect::<Result<_, ProfileError>>()?)
        }
        other => return Err(unfit(at, format!("a result cannot hold {other}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "\
        [fleet]\n\
        [[machine]]\nclass = \"a\"\nshare = 3\ncpu_cores = 4\nram = \"8GiB\"\nspeed = 1\nprice = 1\n\
        [[machine]]\nclass = \"b\"\nshare = 1\ncpu_cores = 4\nram = \"8GiB\"\nspeed = 2\nprice = 1\n\
        [[kind]]\nkind = \"x/1\"\non = \"cpu\"\nitem_s = 2\n";

    #[test]
    fn every_shipped_profile_is_one() {
        for name in Profile::names() {
            let profile = Profile::shipped(name).expect("it is shipped");
            assert!(profile.kinds().next().is_some(), "{name}");
        }
        assert_eq!(Profile::shipped("none"), None);
    }

    #[test]
    fn shares_are_of_their_sum() {
        let profile = Profile::parse(SMALL).expect("a profile");
        let upto: Vec<_> = profile.classes.iter().map(|class| class.upto).collect();
        assert_eq!(upto, [0.75, 1.0]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (from, to, words) in [
            ("share = 3", "share = -3", "[[machine]] a: share is -3"),
            ("speed = 2", "speed = 0", "[[machine]] b: speed is 0"),
            ("\"x/1\"", "\"x\"", "[[kind]] x:"),
            ("item_s = 2", "item_s = nan", "[[kind]] x/1: item_s is NaN"),
            ("item_s = 2", "item_s = 2\nwidth = 0", "[[kind]] x/1: width"),
            (
                "item_s = 2",
                "item_s = 2\ncases = { a = 1 }",
                "need case_of",
            ),
            (
                "item_s = 2",
                "item_s = 2\nresult = 1979-05-27",
                "cannot hold",
            ),
            (
                "item_s = 2",
                "item_s = 2\nresult = { p = \"blob x\" }",
                "x/1: ",
            ),
            ("[fleet]", "[fleet]\nslwo = 1", "slwo"),
            ("\"8GiB\"", "\"8GB\"", "8GB"),
        ] {
            let text = SMALL.replacen(from, to, 1);
            let error = Profile::parse(&text).expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
