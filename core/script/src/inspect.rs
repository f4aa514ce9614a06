//! Where a suspended script stands, and what its locals hold: for whoever replays a journal.
//!
//! Locals have names only in a revision that was checked for that
//! ([`crate::Revision::check_for_replay`]). Values are put into few words at once; what may be a secret
//! by its name is not.

// Luau tells of a thread's call stack through its C API only. Each use gives its reason.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};

use mlua::{Lua, MultiValue, Thread, ffi};

use crate::show::{hidden, show_discreetly};
use crate::slice::PRELUDE;

/// Frames of one thread that are shown, and locals of one frame.
const FRAMES: usize = 64;
const LOCALS: i32 = 64;
/// Of a local's value.
const SHOWN_BYTES: usize = 160;

/// One fiber of a script: its main function, or what it spawned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// 0 is the workflow's function.
    pub number: usize,
    /// The innermost first: the first one's line is where it waits.
    pub frames: Vec<Frame>,
}

/// A function that has not returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub path: String,
    pub line: u32,
    /// Empty if it has no name.
    pub function: String,
    pub locals: Vec<Local>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    pub name: String,
    /// In few words, as Lua would write it.
    pub value: String,
}

/// The frames of a thread that does not run, without those of the host and of our own Lua code.
pub(crate) fn standing(lua: &Lua, number: usize, thread: &Thread) -> Standing {
    let mut frames = Vec::new();
    for level in 0..200 {
        let Some(place) = place(lua, thread, level) else {
            break;
        };
        if let Some((path, line, function)) = place
            && frames.len() < FRAMES
        {
            let locals = locals(lua, thread, level);
            frames.push(Frame {
                path,
                line,
                function,
                locals,
            });
        }
    }
    Standing { number, frames }
}

/// The function on this level; `None` past the last one, `Some(None)` if it is not a script's.
fn place(lua: &Lua, thread: &Thread, level: i32) -> Option<Option<(String, u32, String)>> {
    let mut found = None;
    // SAFETY: the thread is the argument on top of the stack. `lua_getinfo` with "sln" fills the record
    // from the thread's call stack, allocates nothing and raises nothing; its strings live as long as
    // the function on that level, which the thread holds.
    let ran = unsafe {
        lua.exec_raw::<()>(thread.clone(), |state| {
            let other = ffi::lua_tothread(state, -1);
            let mut record: ffi::lua_Debug = std::mem::zeroed();
            if !other.is_null() && ffi::lua_getinfo(other, level, c"sln".as_ptr(), &mut record) != 0
            {
                found = Some((
                    text(record.short_src),
                    u32::try_from(record.currentline).unwrap_or(0),
                    text(record.name),
                ));
            }
            ffi::lua_settop(state, 0);
        })
    };
    ran.ok()?;
    let (path, line, function) = found?;
    let script = line > 0 && path != PRELUDE && path != "[C]";
    Some(script.then_some((path, line, function)))
}

fn locals(lua: &Lua, thread: &Thread, level: i32) -> Vec<Local> {
    let mut names = Vec::new();
    // SAFETY: as above. `lua_getlocal` pushes one value onto the thread's own stack, for which room is
    // asked first, and `lua_xmove` moves it to ours, which belongs to the same state; the thread's stack
    // is left as it was. Names live as long as the function. `lua_rawcheckstack` raises when memory is
    // out: `names` is dropped by whoever called us then, since it is borrowed here.
    let values = unsafe {
        lua.exec_raw::<MultiValue>(thread.clone(), |state| {
            let other = ffi::lua_tothread(state, -1);
            for index in 1..=LOCALS {
                ffi::lua_rawcheckstack(other, 1);
                ffi::lua_rawcheckstack(state, 1);
                let name = ffi::lua_getlocal(other, level, index);
                if name.is_null() {
                    break;
                }
                names.push(text(name));
                ffi::lua_xmove(other, state, 1);
            }
            // The argument goes; what was moved stays, as the results.
            ffi::lua_remove(state, 1);
        })
    };
    let values = values.unwrap_or_default();
    let pairs = names.into_iter().zip(values);
    // Luau's own, like the counter of a loop, have no name that a script could write.
    let own = pairs.filter(|(name, _)| !name.starts_with('('));
    own.map(|(name, value)| {
        let value = match hidden(&name) {
            true => "(hidden)".to_owned(),
            false => show_discreetly(&value, SHOWN_BYTES),
        };
        Local { name, value }
    })
    .collect()
}

fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: Luau's names and sources end in a zero byte, and the function that holds them is alive.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use froben_model::{CallId, Value};

    use super::*;
    use crate::{Completion, Event, Limits, Revision, Vm};

    fn files() -> BTreeMap<String, String> {
        let pipeline = "local lib = require('lib/wait')
return workflow('p', {}, function(ctx, input)
  local token, list = 'abc', { 1, { password = 'x' } }
  for i = 1, 2 do
    local twice = 2 * i
    lib.wait(ctx, twice)
  end
  return token
end)";
        let library = "local lib = {}
function lib.wait(ctx, seconds)
  ctx:sleep(seconds)
end
return lib";
        BTreeMap::from([
            ("lib/wait.lua".to_owned(), library.to_owned()),
            ("pipelines/p.lua".to_owned(), pipeline.to_owned()),
        ])
    }

    fn vm(revision: &Revision) -> Vm {
        Vm::start(
            revision,
            "p",
            Value::map::<String>([]),
            1,
            0,
            Limits::default(),
        )
        .unwrap()
    }

    #[test]
    fn a_script_shows_where_it_waits_and_what_it_holds_but_no_secrets() {
        let revision = Revision::check_for_replay(&files(), &Limits::default()).unwrap();
        let mut vm = vm(&revision);
        vm.resume(Vec::new());
        let [standing] = vm.standings().try_into().unwrap();
        let places = standing
            .frames
            .iter()
            .map(|frame| (frame.path.as_str(), frame.line, frame.function.as_str()));
        let places: Vec<_> = places.collect();
        assert_eq!(
            places,
            [("lib/wait.lua", 3, "wait"), ("pipelines/p.lua", 6, "")]
        );
        let locals = |frame: &Frame| -> Vec<String> {
            let shown = frame.locals.iter();
            shown
                .map(|local| format!("{} = {}", local.name, local.value))
                .collect()
        };
        assert_eq!(locals(&standing.frames[0]), ["ctx = ctx", "seconds = 2"]);
        assert_eq!(
            locals(&standing.frames[1]),
            // The innermost block first.
            [
                "twice = 2",
                "i = 1",
                "ctx = ctx",
                "input = {}",
                "token = (hidden)",
                "list = { 1, { password = (hidden) } }"
            ]
        );
        // Looking changes nothing.
        let event = Event::Slept;
        let call = CallId(1);
        vm.resume(vec![Completion {
            call,
            event,
            at_ms: 0,
        }]);
        let frames = &vm.standings()[0].frames;
        assert!(
            locals(&frames[1]).contains(&"i = 2".to_owned()),
            "{frames:?}"
        );
        let event = Event::Slept;
        let call = CallId(2);
        let progress = vm.resume(vec![Completion {
            call,
            event,
            at_ms: 0,
        }]);
        assert_eq!(progress.state, crate::State::Returned(Value::text("abc")));
        assert!(vm.standings().is_empty());
    }

    #[test]
    fn without_names_there_are_lines() {
        let revision = Revision::check(&files(), &Limits::default()).unwrap();
        let mut vm = vm(&revision);
        vm.resume(Vec::new());
        let frames = &vm.standings()[0].frames;
        assert_eq!((frames[1].line, frames[1].locals.len()), (6, 0));
    }
}
