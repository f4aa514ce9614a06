//! `froben submit`: files become blobs, a pipeline starts, an id comes back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use froben_model::view::{Failure, PipelineInfo};
use froben_model::{Terms, Value, WorkflowId};

use crate::args::{Format, Submit};
use crate::command::wait::{self, Target};
use crate::error::{Error, Exit};
use crate::output::{json, print_json};
use crate::session::{Session, block_on};

/// How long a submit tries to get through: it is safe to repeat, since it always carries a key.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn run(args: Submit) -> Result<(), Error> {
    let Submit {
        pipeline,
        inputs,
        mut settings,
        until,
        wait,
        key,
        budget,
        within,
        result,
        remote,
    } = args;
    settings.extend(until.map(|stage| format!("until={stage}")));
    // Everything that can be wrong here is said before anything is sent.
    let input = Input::read(&inputs, &settings)?;
    let target = Target::new(result)?;
    let wait = wait || target.file.is_some();
    let key = key.unwrap_or_else(fresh_key);
    let terms = Terms {
        budget,
        wanted_by_ms: within.map(|ms| wait::now_ms().saturating_add(ms)),
    };

    block_on(async {
        let mut session = Session::new(&remote)?;
        let known = {
            let client = session.client().await?;
            client.pipelines().await?
        };
        let info = find(&known, &pipeline)?;
        let input = input.upload(&mut session, info).await?;
        let quiet = |_: &froben_wire::Error| {};
        let submitted = session
            .insist(PATIENCE, quiet, async |client| {
                client.submit(&pipeline, &input, &key, terms).await
            })
            .await?;
        let id = submitted.map_err(|failure| unfit(failure, info, &input))?;
        if wait {
            eprintln!("{id} is submitted");
            return wait::until_the_end(&mut session, id, &target).await;
        }
        print_id(&mut session, id, target.format).await
    })
}

/// A key that nobody has used.
pub(crate) fn fresh_key() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

async fn print_id(session: &mut Session, id: WorkflowId, format: Format) -> Result<(), Error> {
    if format == Format::Text {
        println!("{id}");
        return Ok(());
    }
    let quiet = |_: &froben_wire::Error| {};
    let detail = session
        .insist(PATIENCE, quiet, async |client| client.status(id).await)
        .await?;
    print_json(&json::detail(&detail));
    Ok(())
}

/// A pipeline's input as the command line gives it.
pub(crate) struct Input {
    files: BTreeMap<String, PathBuf>,
    settings: BTreeMap<String, String>,
}

impl Input {
    /// Reads `--input` and `--set`.
    pub(crate) fn read(inputs: &[String], settings: &[String]) -> Result<Input, Error> {
        let files = named(inputs, "--input", "FILE")?;
        let settings = named(settings, "--set", "VALUE")?;
        if let Some(name) = files.keys().find(|name| settings.contains_key(*name)) {
            return Err(Error::usage(format!(
                "input `{name}` is given twice, as a file and as a value"
            )));
        }
        let files = files
            .into_iter()
            .map(|(name, file)| (name, PathBuf::from(file)));
        let files: BTreeMap<String, PathBuf> = files.collect();
        for path in files.values() {
            check_file(path)?;
        }
        Ok(Input { files, settings })
    }

    /// Makes blobs of the files, and values of the declared types of the rest.
    pub(crate) async fn upload(
        &self,
        session: &mut Session,
        info: &PipelineInfo,
    ) -> Result<Value, Error> {
        let mut input = plain_values(info, &self.settings)?;
        for (name, path) in &self.files {
            let client = session.client().await?;
            input.insert(name.clone(), Value::Blob(client.upload(path).await?));
        }
        Ok(Value::Map(input))
    }
}

/// `NAME=THING` options, by name.
fn named(options: &[String], option: &str, thing: &str) -> Result<BTreeMap<String, String>, Error> {
    let mut by_name = BTreeMap::new();
    for text in options {
        let (name, value) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| Error::usage(format!("{option} {text}: expected NAME={thing}")))?;
        if by_name
            .insert(name.to_string(), value.to_string())
            .is_some()
        {
            return Err(Error::usage(format!("input `{name}` is given twice")));
        }
    }
    Ok(by_name)
}

fn check_file(path: &Path) -> Result<(), Error> {
    let metadata = std::fs::metadata(path).map_err(|error| Error::file("read", path, &error))?;
    match metadata.is_file() {
        true => Ok(()),
        false => Err(Error::usage(format!("{} is not a file", path.display()))),
    }
}

pub(crate) fn find<'a>(
    known: &'a [PipelineInfo],
    pipeline: &str,
) -> Result<&'a PipelineInfo, Error> {
    known
        .iter()
        .find(|info| info.name == pipeline)
        .ok_or_else(|| {
            let names = known.iter().map(|info| info.name.as_str());
            Error::new(Exit::NotFound, format!("there is no pipeline `{pipeline}`"))
                .code("FRB-SUB-001")
                .hint(froben_engine::meant(pipeline, names))
        })
}

/// Reads `--set` for a pipeline.
pub(crate) fn settings(
    info: &PipelineInfo,
    settings: &[String],
) -> Result<BTreeMap<String, Value>, Error> {
    plain_values(info, &named(settings, "--set", "VALUE")?)
}

/// The `--set` values, as the types that the pipeline declares.
fn plain_values(
    info: &PipelineInfo,
    settings: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, Error> {
    let typed = settings.iter().map(|(name, text)| {
        let declared = info.inputs.iter().find(|input| input.name == *name);
        let wrong = |wanted: &str| {
            let text = match froben_engine::is_secret_name(name) {
                true => "hidden",
                false => text,
            };
            let why = format!("--set {name}={text}: input `{name}` is {wanted}");
            Error::new(Exit::Script, why).code("FRB-SUB-002")
        };
        let value = match declared.map(|input| input.kind.as_str()) {
            Some("number" | "integer") => number(text).ok_or_else(|| wrong("a number"))?,
            Some("boolean") => Value::Bool(text.parse().map_err(|_| wrong("`true` or `false`"))?),
            Some("blob") => return Err(wrong("a file: give it with --input")),
            Some("table" | "list") => {
                let read = serde_json::from_str(text).ok().and_then(from_json);
                read.ok_or_else(|| wrong("a table: give it as JSON, like '[1,2,3]'"))?
            }
            // What is not declared is refused by the coordinator, in one place for all clients.
            _ => Value::text(text),
        };
        Ok((name.clone(), value))
    });
    typed.collect()
}

fn number(text: &str) -> Option<Value> {
    if let Ok(int) = text.parse() {
        return Some(Value::Int(int));
    }
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
        .map(Value::Number)
}

/// Plain data; none for a number that is none of Lua's, and for what is neither a list nor an object.
fn from_json(json: serde_json::Value) -> Option<Value> {
    use serde_json::Value as Json;
    fn value(json: Json) -> Option<Value> {
        Some(match json {
            Json::Null => Value::Nil,
            Json::Bool(bool) => Value::Bool(bool),
            Json::Number(digits) => number(&digits.to_string())?,
            Json::String(text) => Value::Text(text),
            Json::Array(list) => Value::List(list.into_iter().map(value).collect::<Option<_>>()?),
            Json::Object(map) => {
                let entries = map.into_iter().map(|(key, json)| Some((key, value(json)?)));
                Value::Map(entries.collect::<Option<_>>()?)
            }
        })
    }
    matches!(json, Json::Array(_) | Json::Object(_)).then(|| value(json))?
}

/// How the inputs that `info` needs and `input` lacks are given; or any.
pub(crate) fn missing(info: &PipelineInfo, input: &Value) -> String {
    let lacking = info
        .inputs
        .iter()
        .filter(|declared| !declared.optional && input.get(&declared.name).is_none());
    let options: Vec<String> = lacking
        .map(|declared| match declared.kind.as_str() {
            "blob" => format!("--input {}=FILE", declared.name),
            _ => format!("--set {}=VALUE", declared.name),
        })
        .collect();
    match options.is_empty() {
        true => "--set NAME=VALUE gives a value, --input NAME=FILE a file".to_string(),
        false => format!("give it with {}", options.join(" ")),
    }
}

/// As [`refused`], with how to give what is missing.
pub(crate) fn unfit(failure: Failure, info: &PipelineInfo, input: &Value) -> Error {
    let input_is_wrong = failure.code == "FRB-SUB-002";
    let error = refused(failure);
    match input_is_wrong {
        true => error.hint(missing(info, input)),
        false => error,
    }
}

pub(crate) fn refused(failure: Failure) -> Error {
    let Failure { code, message } = failure;
    let exit = match code.as_str() {
        "FRB-SUB-001" => Exit::NotFound,
        "FRB-SUB-004" => Exit::RetryLater,
        _ => Exit::Script,
    };
    Error::new(exit, message).code(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use froben_model::view::PipelineInput;

    #[test]
    fn options_have_a_name_once() {
        let options = |list: &[&str]| list.iter().map(|text| text.to_string()).collect::<Vec<_>>();
        let read = |list: &[&str]| named(&options(list), "--input", "FILE");
        assert_eq!(read(&["a=b=c"]).expect("a name and a value")["a"], "b=c");
        for bad in [&["a"][..], &["=b"], &["a=b", "a=c"]] {
            assert_eq!(read(bad).expect_err("refused").exit, Exit::Usage, "{bad:?}");
        }
    }

    #[test]
    fn values_have_the_declared_types() {
        let input = |name: &str, kind: &str| PipelineInput {
            name: name.to_string(),
            kind: kind.to_string(),
            optional: true,
        };
        let info = PipelineInfo {
            name: "p".to_string(),
            inputs: vec![
                input("n", "number"),
                input("b", "boolean"),
                input("f", "blob"),
                input("l", "table"),
                input("api_token", "number"),
            ],
            revision: String::new(),
        };
        let read = |name: &str, text: &str| {
            let settings = BTreeMap::from([(name.to_string(), text.to_string())]);
            plain_values(&info, &settings).map(|mut values| values.remove(name))
        };
        assert_eq!(read("n", "3").expect("fits"), Some(Value::Int(3)));
        assert_eq!(read("n", "0.5").expect("fits"), Some(Value::Number(0.5)));
        assert_eq!(read("b", "true").expect("fits"), Some(Value::Bool(true)));
        assert_eq!(read("s", "3").expect("fits"), Some(Value::text("3")));
        let list = Value::List(vec![Value::Int(1), Value::Number(0.5), Value::text("x")]);
        assert_eq!(read("l", r#"[1, 0.5, "x"]"#).expect("fits"), Some(list));
        let map = Value::map([("a", Value::List(vec![Value::Bool(true)]))]);
        assert_eq!(read("l", r#"{"a": [true]}"#).expect("fits"), Some(map));
        for (name, text) in [
            ("n", "x"),
            ("n", "inf"),
            ("b", "yes"),
            ("f", "x"),
            ("l", "1"),
            ("l", "[1"),
            ("l", "1,2"),
        ] {
            assert!(read(name, text).is_err(), "{name}={text}");
        }
        let told = read("api_token", "s3cret").expect_err("it is a number");
        assert_eq!(
            told.message,
            "--set api_token=hidden: input `api_token` is a number"
        );
    }

    #[test]
    fn what_is_missing_is_hinted_as_options() {
        let input = |name: &str, kind: &str, optional| PipelineInput {
            name: name.to_string(),
            kind: kind.to_string(),
            optional,
        };
        let info = PipelineInfo {
            name: "p".to_string(),
            inputs: vec![
                input("name", "string", false),
                input("data", "blob", false),
                input("more", "string", true),
            ],
            revision: String::new(),
        };
        let given =
            |names: &[&str]| Value::map(names.iter().map(|name| (*name, Value::Bool(true))));
        assert_eq!(
            missing(&info, &given(&[])),
            "give it with --set name=VALUE --input data=FILE"
        );
        assert_eq!(
            missing(&info, &given(&["name"])),
            "give it with --input data=FILE"
        );
        let whole = missing(&info, &given(&["name", "data"]));
        assert!(whole.contains("--set NAME=VALUE"), "{whole}");
    }
}
