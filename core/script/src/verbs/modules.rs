//! What the files of a script set declare and load.

use froben_model::limits;
use mlua::{Lua, Value as LuaValue};

use super::{Bridge, Results, load_chunk, number, results};
use crate::convert::{sequence, text};
use crate::host::Refusal;
use crate::limits::DECLARED;
use crate::signature::PipelineInfo;
use crate::{Code, Failure, suggest};

impl Bridge {
    pub(super) fn workflow(&self, name: &LuaValue, options: &LuaValue, run: &LuaValue) -> Results {
        let info = PipelineInfo::read(name, options, run);
        let info = info.map_err(|why| Refusal::Stop(Failure::new(Code::NotAPipeline, why)))?;
        let mut host = self.host();
        if host.declared.len() >= DECLARED {
            let many =
                format!("a file declares at most {DECLARED} workflows; one is what it returns");
            return Err(Refusal::Stop(Failure::new(Code::NotAPipeline, many)));
        }
        host.declared.push(info);
        number(host.declared.len() as f64)
    }

    /// Loads the chunk of a module. `loading` are the names of those that wait for it.
    pub(super) fn load(&self, lua: &Lua, name: &LuaValue, loading: &LuaValue) -> Results {
        let refuse =
            |why: String| Refusal::Stop(Failure::new(Code::Require, format!("require: {why}")));
        let name = text(name).map_err(|why| refuse(format!("the name is a string; {why}")))?;
        let mut waiting = Vec::new();
        if let LuaValue::Table(loading) = loading {
            for waiter in sequence(loading, usize::MAX)? {
                waiting.push(text(&waiter)?);
            }
        }
        if let Some(first) = waiting.iter().position(|waiter| *waiter == name) {
            waiting.push(name);
            return Err(refuse(format!(
                "a module needs itself: {}",
                waiting[first..].join(" -> ")
            )));
        }
        let path = format!("{name}.lua");
        let chunk = self.chunks.get(&path).filter(|_| name.starts_with("lib/"));
        let Some(chunk) = chunk else {
            let modules = self
                .chunks
                .keys()
                .filter_map(|path| path.strip_suffix(".lua"));
            let modules: Vec<&str> = modules.filter(|name| name.starts_with("lib/")).collect();
            let hint = match modules.is_empty() {
                true => "; the script set has no modules".to_owned(),
                false => suggest::hint(&name, modules.iter().copied()),
            };
            return Err(refuse(format!("there is no module `{name}`{hint}")));
        };
        results([LuaValue::Function(load_chunk(lua, &path, chunk)?)])
    }

    pub(super) fn unknown(what: &LuaValue, name: &LuaValue, known: &LuaValue) -> Results {
        let (what, name) = (text(what)?, text(name)?);
        let mut words = Vec::new();
        if let LuaValue::Table(known) = known {
            for word in sequence(known, limits::ITEMS)? {
                words.push(text(&word)?);
            }
        }
        let hint = suggest::hint(&name, words.iter().map(String::as_str));
        let message = format!("{what} has no `{name}`{hint}");
        Err(message.into())
    }
}
