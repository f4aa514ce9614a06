//! Plain data between Lua and [`Value`], in both directions.
//!
//! Only what means the same on both sides passes: booleans, finite numbers that are exact, UTF-8 text,
//! lists, tables with string keys, blobs. An empty table is an empty map. Numbers of Lua are doubles,
//! so whole ones beyond 2^53 are refused rather than rounded.

use std::collections::BTreeMap;
use std::fmt::Display;

use froben_model::{BlobRef, Value, limits};
use mlua::{Lua, LuaString, Table, Value as LuaValue};

use crate::host::Refusal;
use crate::slice::used_up;

/// Beyond this, doubles no longer tell neighbouring whole numbers apart.
const EXACT: i64 = 1 << 53;

/// The metatables of the host's objects. They are locked, so whatever carries one was made by the host.
pub(crate) struct Objects {
    pub(crate) blob: Table,
    pub(crate) delegation: Table,
    pub(crate) fiber: Table,
    pub(crate) child: Table,
    pub(crate) workflow: Table,
}

impl Objects {
    pub(crate) fn is(table: &Table, metatable: &Table) -> bool {
        let own = table.metatable();
        own.is_some_and(|own| own.to_pointer() == metatable.to_pointer())
    }

    /// Makes an object: its fields, frozen, under a locked metatable.
    pub(crate) fn make(fields: Table, metatable: &Table) -> mlua::Result<Table> {
        fields.set_metatable(Some(metatable.clone()))?;
        fields.set_readonly(true);
        Ok(fields)
    }

    fn blob(&self, table: &Table) -> mlua::Result<BlobRef> {
        let hash: String = table.raw_get("hash")?;
        let size: f64 = table.raw_get("size")?;
        let hash = hash.parse().map_err(mlua::Error::external)?;
        Ok(BlobRef {
            hash,
            size_bytes: size as u64,
        })
    }
}

/// What a value is, in an author's words.
pub(crate) fn type_name(value: &LuaValue) -> &'static str {
    match value {
        LuaValue::Nil => "nil",
        LuaValue::Boolean(_) => "a boolean",
        LuaValue::Integer(_) | LuaValue::Number(_) => "a number",
        LuaValue::String(_) => "a string",
        LuaValue::Table(_) => "a table",
        LuaValue::Function(_) => "a function",
        LuaValue::Buffer(_) => "a buffer",
        LuaValue::Vector(_) => "a vector",
        LuaValue::Thread(_) => "a thread",
        _ => "an object",
    }
}

/// Text that crosses the boundary: UTF-8, at most [`limits::TEXT_BYTES`].
pub(crate) fn text(value: &LuaValue) -> Result<String, String> {
    match value {
        LuaValue::String(text) => text_of(text).map(|text| text.to_owned()),
        other => Err(format!("got {}", type_name(other))),
    }
}

/// The same, as it stands in the Luau state.
pub(crate) fn text_of(text: &LuaString) -> Result<mlua::BorrowedStr, String> {
    let bytes = text.as_bytes().len();
    if bytes > limits::TEXT_BYTES {
        return Err(format!(
            "got {bytes} bytes, the limit is {}",
            limits::TEXT_BYTES
        ));
    }
    let text = text.to_str();
    text.map_err(|_| "got a string that is not UTF-8".to_owned())
}

/// The beginning of a text of any length and any bytes, as much of it as a message may have.
pub(crate) fn start_of(text: &LuaString) -> String {
    let bytes = text.as_bytes();
    let start = &bytes[..bytes.len().min(limits::TEXT_BYTES)];
    String::from_utf8_lossy(start).into_owned()
}

/// `number` as a whole number, if it is one and exact.
pub(crate) fn exact_int(number: f64) -> Option<i64> {
    let whole = number.fract() == 0.0 && number.abs() <= EXACT as f64;
    whole.then_some(number as i64)
}

/// A whole number, 0 or more, that is exact. Luau has one type of numbers; mlua shows whole ones as
/// integers, also those beyond 2^53.
pub(crate) fn whole(value: &LuaValue) -> Option<u64> {
    match value {
        LuaValue::Integer(number) => u64::try_from(exact(*number).ok()?).ok(),
        LuaValue::Number(number) => u64::try_from(exact_int(*number)?).ok(),
        _ => None,
    }
}

/// The elements of a list of at most `limit`. A table with holes or other keys is none.
pub(crate) fn sequence(table: &Table, limit: usize) -> Result<Vec<LuaValue>, String> {
    let length = table.raw_len();
    if length > limit {
        return Err(format!("got {length} elements, the limit is {limit}"));
    }
    let mut elements = Vec::with_capacity(length);
    let walked = table.for_each(|key: LuaValue, value: LuaValue| {
        // Luau keeps 1, 2, 3 in a part of their own, which the walk meets first and in order.
        if whole(&key) != Some(elements.len() as u64 + 1) {
            return Err(mlua::Error::runtime("not a list"));
        }
        elements.push(value);
        Ok(())
    });
    match walked.is_ok() && elements.len() == length {
        true => Ok(elements),
        false => Err("got a table with holes or with other keys than 1, 2, 3".to_owned()),
    }
}

/// Reads plain data. `what` names it in the error, which also says where in it the fault lies.
pub(crate) fn to_value(objects: &Objects, what: &str, value: &LuaValue) -> Result<Value, String> {
    let mut reader = Reader {
        objects,
        weight: 0,
        above: Vec::new(),
    };
    let read = reader.read(value);
    read.map_err(|Fault { path, why }| format!("{what}{path} {why}"))
}

struct Reader<'a> {
    objects: &'a Objects,
    weight: usize,
    /// The tables around the value.
    above: Vec<*const std::ffi::c_void>,
}

struct Fault {
    path: String,
    why: String,
}

fn fault(why: impl Into<String>) -> Fault {
    let (path, why) = (String::new(), why.into());
    Fault { path, why }
}

impl Fault {
    fn within(mut self, part: &str) -> Self {
        self.path.insert_str(0, part);
        self
    }
}

impl Reader<'_> {
    fn read(&mut self, value: &LuaValue) -> Result<Value, Fault> {
        self.weigh(16)?;
        match value {
            LuaValue::Nil => Ok(Value::Nil),
            LuaValue::Boolean(bool) => Ok(Value::Bool(*bool)),
            LuaValue::Integer(int) => exact(*int).map(Value::Int).map_err(fault),
            LuaValue::Number(number) => number_value(*number).map_err(fault),
            LuaValue::String(text) => {
                self.weigh(text.as_bytes().len())?;
                match text.to_str() {
                    Ok(text) => Ok(Value::Text(text.to_owned())),
                    Err(_) => Err(fault(
                        "is a string that is not UTF-8: write bytes as hex digits",
                    )),
                }
            }
            LuaValue::Table(table) => self.read_table(table),
            LuaValue::Buffer(_) => Err(fault("is a buffer: write bytes as hex digits")),
            other => Err(fault(format!("is {}, which is not data", type_name(other)))),
        }
    }

    fn read_table(&mut self, table: &Table) -> Result<Value, Fault> {
        if Objects::is(table, &self.objects.blob) {
            self.weigh(40)?;
            let blob = self.objects.blob(table);
            return blob
                .map(Value::Blob)
                .map_err(|error| fault(error.to_string()));
        }
        for (metatable, what) in [
            (&self.objects.delegation, "a delegation"),
            (&self.objects.fiber, "a fiber"),
            (&self.objects.child, "a child"),
        ] {
            if Objects::is(table, metatable) {
                let why = format!("is {what}, which is not data: wait for its result");
                return Err(fault(why));
            }
        }
        if table.has_metatable() {
            return Err(fault("has a metatable: only plain tables are data"));
        }
        if self.above.contains(&table.to_pointer()) {
            return Err(fault("contains itself"));
        }
        if self.above.len() + 1 >= limits::VALUE_DEPTH {
            return Err(fault(format!("nests deeper than {}", limits::VALUE_DEPTH)));
        }
        self.above.push(table.to_pointer());
        let read = self.read_entries(table);
        self.above.pop();
        read
    }

    fn read_entries(&mut self, table: &Table) -> Result<Value, Fault> {
        let mut list = Vec::new();
        let mut map = BTreeMap::new();
        let mut wrong = None;
        let walked = table.for_each(|key: LuaValue, value: LuaValue| {
            let next = list.len() as u64 + 1;
            let read = match key {
                LuaValue::String(key) => self.read_entry(&key, &value, &mut map),
                key if whole(&key) == Some(next) => {
                    let element = self.read(&value);
                    element
                        .map(|element| list.push(element))
                        .map_err(|fault| fault.within(&format!("[{next}]")))
                }
                LuaValue::Integer(_) | LuaValue::Number(_) => {
                    Err(fault("is a list with holes: its indices are not 1, 2, 3"))
                }
                other => Err(fault(format!(
                    "has a key that is {}, not a string",
                    type_name(&other)
                ))),
            };
            read.map_err(|fault| {
                wrong = Some(fault);
                mlua::Error::runtime("stop")
            })
        });
        match (wrong, walked) {
            (Some(fault), _) => Err(fault),
            (None, Err(error)) => Err(fault(error.to_string())),
            (None, Ok(())) if list.is_empty() => Ok(Value::Map(map)),
            (None, Ok(())) if map.is_empty() => Ok(Value::List(list)),
            (None, Ok(())) => Err(fault(
                "mixes a list with named entries: make it one of them",
            )),
        }
    }

    fn read_entry(
        &mut self,
        key: &LuaString,
        value: &LuaValue,
        map: &mut BTreeMap<String, Value>,
    ) -> Result<(), Fault> {
        let Ok(key) = key.to_str() else {
            return Err(fault("has a key that is not UTF-8"));
        };
        self.weigh(16 + key.len())?;
        let value = self.read(value);
        let value = value.map_err(|fault| fault.within(&format!(".{}", &*key)))?;
        map.insert(key.to_owned(), value);
        Ok(())
    }

    /// Counts as [`Value::weight`] does, and stops early: a huge table is not copied first.
    fn weigh(&mut self, bytes: usize) -> Result<(), Fault> {
        self.weight = self.weight.saturating_add(bytes);
        match self.weight > limits::VALUE_BYTES {
            true => Err(fault(format!(
                "weighs more than {} bytes: put large data in a blob",
                limits::VALUE_BYTES
            ))),
            false => Ok(()),
        }
    }
}

fn exact(int: i64) -> Result<i64, String> {
    match (-EXACT..=EXACT).contains(&int) {
        true => Ok(int),
        false => Err(format!(
            "is {int}, beyond 2^53, where a number of Lua is not exact: pass it as a string"
        )),
    }
}

fn number_value(number: f64) -> Result<Value, String> {
    if !number.is_finite() {
        return Err(format!("is {number}: only finite numbers are data"));
    }
    if number.fract() != 0.0 {
        return Ok(Value::Number(number));
    }
    exact_int(number).map(Value::Int).ok_or_else(|| {
        format!(
            "is {number:e}, beyond 2^53, where a number of Lua is not exact: pass it as a string"
        )
    })
}

/// Whether a script can hold the value: what [`to_lua`] would refuse is refused here, in one line.
///
/// A result that fails this is the fault of whoever made it, and must not become the script's.
pub fn holdable(value: &Value) -> Result<(), String> {
    match value {
        Value::Nil | Value::Bool(_) | Value::Text(_) => Ok(()),
        Value::Int(int) => exact(*int)
            .map(drop)
            .map_err(|why| format!("the value {why}")),
        Value::Number(number) => match number.is_finite() {
            true => Ok(()),
            false => Err(format!("the value is {number}, which is not data")),
        },
        Value::List(list) if list.contains(&Value::Nil) => {
            Err("the value is a list with nil in it, which Lua cannot hold".to_owned())
        }
        Value::List(list) => list.iter().try_for_each(holdable),
        Value::Map(map) => map.values().try_for_each(holdable),
        Value::Blob(blob) => match blob.size_bytes <= EXACT as u64 {
            true => Ok(()),
            false => Err("the value is a blob with a size beyond 2^53".to_owned()),
        },
    }
}

/// Makes a Lua value of plain data. `what` names it in the refusal of what Lua cannot hold.
pub(crate) fn to_lua(
    lua: &Lua,
    objects: &Objects,
    what: &dyn Display,
    value: &Value,
) -> Result<LuaValue, Refusal> {
    let mut maker = Maker {
        lua,
        objects,
        what,
        strings: 0,
    };
    maker.make(value)
}

struct Maker<'a> {
    lua: &'a Lua,
    objects: &'a Objects,
    what: &'a dyn Display,
    strings: usize,
}

impl Maker<'_> {
    fn make(&mut self, value: &Value) -> Result<LuaValue, Refusal> {
        let what = self.what;
        Ok(match value {
            Value::Nil => LuaValue::Nil,
            Value::Bool(bool) => LuaValue::Boolean(*bool),
            Value::Int(int) => {
                let int = exact(*int).map_err(|why| format!("{what} {why}"))?;
                LuaValue::Number(int as f64)
            }
            Value::Number(number) if number.is_finite() => LuaValue::Number(*number),
            Value::Number(number) => {
                return Err(format!("{what} is {number}, which is not data").into());
            }
            Value::Text(text) => LuaValue::String(self.string(text)?),
            Value::List(list) => {
                let table = self.lua.create_table_with_capacity(list.len(), 0)?;
                for (index, element) in list.iter().enumerate() {
                    if *element == Value::Nil {
                        let hole =
                            format!("{what} is a list with nil in it, which Lua cannot hold");
                        return Err(hole.into());
                    }
                    table.raw_set(index + 1, self.make(element)?)?;
                }
                LuaValue::Table(table)
            }
            Value::Map(map) => {
                let table = self.lua.create_table_with_capacity(0, map.len())?;
                for (key, element) in map {
                    table.raw_set(self.string(key)?, self.make(element)?)?;
                }
                LuaValue::Table(table)
            }
            Value::Blob(blob) => {
                let size = i64::try_from(blob.size_bytes)
                    .ok()
                    .and_then(|size| exact(size).ok());
                let size = size.ok_or_else(|| format!("{what} has a size beyond 2^53"))?;
                let fields = self.lua.create_table_with_capacity(0, 2)?;
                fields.raw_set("hash", blob.hash.to_string())?;
                fields.raw_set("size", size as f64)?;
                LuaValue::Table(Objects::make(fields, &self.objects.blob)?)
            }
        })
    }

    /// Luau looks for each string among all that there are, and a script may have made many that hash
    /// alike.
    fn string(&mut self, text: &str) -> Result<LuaString, Refusal> {
        self.strings += 1;
        if self.strings.is_multiple_of(4) && used_up() {
            return Err("the slice is used up".to_owned().into());
        }
        Ok(self.lua.create_string(text)?)
    }
}
