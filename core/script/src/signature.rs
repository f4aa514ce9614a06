//! What a pipeline takes and gives: declared by the script, checked by the host.

use std::collections::BTreeMap;

use froben_model::Value;
use mlua::Value as LuaValue;

use crate::convert::{text, type_name, whole};
use crate::options::{Options, each};
use crate::registry::WORKFLOW;
use crate::show::hidden as is_secret_name;
use crate::suggest;

/// Inputs or outputs of one pipeline.
const FIELDS: usize = 64;
/// Faults of one input that are told at once.
const COMPLAINTS: usize = 8;
/// Strings that one field may choose from.
const CHOICES: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    Blob,
    String,
    Number,
    Integer,
    Boolean,
    List,
    Table,
    Any,
}

impl FieldType {
    pub const ALL: [FieldType; 8] = [
        FieldType::Blob,
        FieldType::String,
        FieldType::Number,
        FieldType::Integer,
        FieldType::Boolean,
        FieldType::List,
        FieldType::Table,
        FieldType::Any,
    ];

    pub fn name(self) -> &'static str {
        match self {
            FieldType::Blob => "blob",
            FieldType::String => "string",
            FieldType::Number => "number",
            FieldType::Integer => "integer",
            FieldType::Boolean => "boolean",
            FieldType::List => "list",
            FieldType::Table => "table",
            FieldType::Any => "any",
        }
    }

    fn admits(self, value: &Value) -> bool {
        match self {
            FieldType::Blob => matches!(value, Value::Blob(_)),
            FieldType::String => matches!(value, Value::Text(_)),
            FieldType::Number => matches!(value, Value::Int(_) | Value::Number(_)),
            FieldType::Integer => matches!(value, Value::Int(_)),
            FieldType::Boolean => matches!(value, Value::Bool(_)),
            // An empty Lua table is an empty map.
            FieldType::List => match value {
                Value::List(_) => true,
                Value::Map(map) => map.is_empty(),
                _ => false,
            },
            FieldType::Table => matches!(value, Value::Map(_)),
            FieldType::Any => true,
        }
    }
}

/// One declared input or output.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub field_type: FieldType,
    /// It may be missing.
    pub optional: bool,
    /// If not empty, it is one of these strings.
    pub choices: Vec<String>,
    /// What it is when it is missing.
    pub default: Option<Value>,
}

impl Field {
    /// What is expected, for a message: `blob`, `"dev" or "standard"`.
    pub fn expected(&self) -> String {
        if self.choices.is_empty() {
            return self.field_type.name().to_owned();
        }
        let quoted: Vec<String> = self
            .choices
            .iter()
            .map(|choice| format!("{choice:?}"))
            .collect();
        quoted.join(" or ")
    }

    fn admits(&self, value: &Value) -> bool {
        match value {
            Value::Nil => self.optional,
            Value::Text(text) if !self.choices.is_empty() => self.choices.contains(text),
            value => self.field_type.admits(value),
        }
    }
}

/// A pipeline, as its file declares it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PipelineInfo {
    pub name: String,
    /// The file in the script set, such as `pipelines/x.lua`.
    pub path: String,
    pub description: String,
    pub inputs: BTreeMap<String, Field>,
    pub outputs: BTreeMap<String, Field>,
}

impl PipelineInfo {
    /// Reads the arguments of `workflow(name, options, run)`.
    pub(crate) fn read(
        name: &LuaValue,
        options: &LuaValue,
        run: &LuaValue,
    ) -> Result<Self, String> {
        let name = text(name).map_err(|why| format!("workflow: the name is a string; {why}"))?;
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            return Err(format!(
                "workflow: the name {name:?} must be 1 to 64 lower-case letters, digits, `_` and `-`"
            ));
        }
        if !run.is_function() {
            let got = type_name(run);
            return Err(format!(
                "workflow: the third argument is a function, got {got}"
            ));
        }
        let mut options = Options::read("workflow", options, WORKFLOW)?;
        let mut fields = |key: &str| match options.lua(key) {
            Some(declared) => read_fields(key, &declared),
            None => Ok(BTreeMap::new()),
        };
        Ok(PipelineInfo {
            inputs: fields("input")?,
            outputs: fields("output")?,
            description: options.text("description").unwrap_or_default(),
            path: String::new(),
            name,
        })
    }

    /// The input as the script gets it: what is missing takes its default.
    pub fn with_defaults(&self, input: Value) -> Value {
        let mut entries = match input {
            Value::Map(entries) => entries,
            _ => BTreeMap::new(),
        };
        for (name, field) in &self.inputs {
            if let Some(default) = &field.default {
                let entry = entries.entry(name.clone()).or_default();
                if *entry == Value::Nil {
                    *entry = default.clone();
                }
            }
        }
        Value::Map(entries)
    }

    /// Holds what the workflow returned against its declaration, if it has one.
    pub(crate) fn check_output(&self, output: &Value) -> Result<(), String> {
        match self.outputs.is_empty() {
            true => Ok(()),
            false => check_fields("output", &self.outputs, output),
        }
    }
}

/// Holds an input against what the pipeline declares, before a workflow starts.
///
/// *Errors*: one line that names every input that is missing, unknown or of the wrong type, and what is
/// expected.
pub fn check_input(info: &PipelineInfo, input: &Value) -> Result<(), String> {
    check_fields("input", &info.inputs, input)
}

fn check_fields(what: &str, fields: &BTreeMap<String, Field>, value: &Value) -> Result<(), String> {
    value
        .check_limits("its weight or depth")
        .map_err(|error| format!("the {what} is too large: {error}"))?;
    let entries = match value {
        Value::Map(entries) => entries,
        Value::Nil if fields.values().all(|field| field.optional) => return Ok(()),
        other => {
            let got = other.kind_name();
            return Err(format!("the {what} is a table of fields, got {got}"));
        }
    };
    let unfit = fields.iter().filter_map(|(name, field)| {
        let given = entries.get(name).unwrap_or(&Value::Nil);
        let said = (!field.admits(given)).then(|| misfit(name, field, given))?;
        Some(format!("{what} {said}"))
    });
    // One that is mistyped is often the one that is missing.
    let unknown = entries.keys().filter(|name| !fields.contains_key(*name));
    let unknown = unknown.map(|name| match fields.is_empty() {
        true => format!("unknown {what} `{name}`; there is none"),
        false => {
            let hint = suggest::hint(name, fields.keys().map(String::as_str));
            format!("unknown {what} `{name}`{hint}")
        }
    });
    let mut found: Vec<String> = unfit.chain(unknown).take(COMPLAINTS + 1).collect();
    if found.len() > COMPLAINTS {
        found.truncate(COMPLAINTS);
        found.push("and more".to_owned());
    }
    match found.is_empty() {
        true => Ok(()),
        false => Err(found.join("; ")),
    }
}

/// What is wrong with the field `name`, which does not admit `given`.
fn misfit(name: &str, field: &Field, given: &Value) -> String {
    let expected = field.expected();
    match given {
        Value::Nil => format!("`{name}` is missing: {expected} is expected"),
        Value::Text(text) if !field.choices.is_empty() && !is_secret_name(name) => {
            format!("`{name}` is {text:?}: {expected} is expected")
        }
        Value::Text(_) if !field.choices.is_empty() => {
            format!("`{name}` does not fit: {expected} is expected")
        }
        other => format!(
            "`{name}` is a {}: {expected} is expected",
            other.kind_name()
        ),
    }
}

fn read_fields(what: &str, declared: &LuaValue) -> Result<BTreeMap<String, Field>, String> {
    let LuaValue::Table(table) = declared else {
        let got = type_name(declared);
        return Err(format!(
            "workflow: `{what}` is a table of fields, got {got}"
        ));
    };
    let mut fields = BTreeMap::new();
    each("workflow", table, |name, declared| {
        let field = read_field(&declared);
        let field = field.map_err(|why| format!("workflow: `{what}.{name}` {why}"))?;
        fields.insert(name.to_owned(), field);
        match fields.len() > FIELDS {
            true => Err(format!("workflow: `{what}` has more than {FIELDS} fields")),
            false => Ok(()),
        }
    })?;
    Ok(fields)
}

fn read_field(declared: &LuaValue) -> Result<Field, String> {
    match declared {
        LuaValue::String(_) => {
            let declared = text(declared)?;
            let name = declared.strip_suffix('?').unwrap_or(&declared);
            let known = FieldType::ALL.iter().map(|known| known.name());
            let found = FieldType::ALL
                .into_iter()
                .find(|known| known.name() == name);
            let field_type = found.ok_or_else(|| {
                format!(
                    "has the unknown type {name:?}{}",
                    suggest::hint(name, known)
                )
            })?;
            Ok(Field {
                field_type,
                optional: name.len() < declared.len(),
                choices: Vec::new(),
                default: None,
            })
        }
        LuaValue::Table(table) => {
            let (list, default) = read_choices(table)?;
            if default.as_ref().is_some_and(|text| !list.contains(text)) {
                return Err("has a `default` that is not one of its choices".to_owned());
            }
            Ok(Field {
                field_type: FieldType::String,
                optional: default.is_some(),
                choices: list,
                default: default.map(Value::Text),
            })
        }
        other => Err(format!(
            "is a type such as \"blob\", got {}",
            type_name(other)
        )),
    }
}

/// The strings that a field is one of, and its default.
fn read_choices(table: &mlua::Table) -> Result<(Vec<String>, Option<String>), String> {
    let what = "is a type, or a list of strings to choose from and a `default`";
    let (mut list, mut default, mut wrong) = (Vec::new(), None, None);
    let walked = table.for_each(|key: LuaValue, value: LuaValue| {
        let name = key.as_string().map(|name| name.to_string_lossy());
        let read = match name.as_deref() {
            Some("default") => text(&value)
                .map(|text| default = Some(text))
                .map_err(|why| format!("has a `default` that is no string; {why}")),
            Some(name) => {
                let hint = suggest::hint(name, ["default"]);
                Err(format!(
                    "has an unknown key `{name}` beside its choices{hint}"
                ))
            }
            None if whole(&key) != Some(list.len() as u64 + 1) => Err(what.to_owned()),
            None if list.len() == CHOICES => Err(format!("has more than {CHOICES} choices")),
            None => text(&value)
                .map(|text| list.push(text))
                .map_err(|why| format!("{what}; {why}")),
        };
        read.map_err(|why| {
            wrong = Some(why);
            mlua::Error::runtime("stop")
        })
    });
    match (wrong, walked) {
        (Some(why), _) => Err(why),
        (None, Err(error)) => Err(error.to_string()),
        (None, Ok(())) if list.is_empty() => Err(format!("{what}; got none")),
        (None, Ok(())) => Ok((list, default)),
    }
}
