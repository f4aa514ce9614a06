//! What admins send and are shown.
//!
//! A set's sources are not held against their limits while reading: it came in one message, which has
//! one, and whoever checks the set names the file that is too large.

use std::collections::BTreeMap;

use froben_model::revision::{FieldView, Origin, Plan, ScriptProblem, Served, Signature};
use froben_model::{RevisionHash, ScriptSet, limits};

use super::{Error, check_size, list_len, read_bytes, read_text, read_value, write_value};
use crate::admin_capnp::{self, entry, field, plan, problem, script_set, signature};

/// Entries of any list but the files: far more than a set can have.
const ENTRIES: u64 = 1 << 17;

pub fn read_script_set(reader: script_set::Reader<'_>) -> Result<ScriptSet, Error> {
    let list = reader.get_files()?;
    check_size("the number of files", u64::from(list.len()), ENTRIES)?;
    let mut files = BTreeMap::new();
    for file in list {
        let path = read_text("a script's path", file.get_path()?, limits::TEXT_BYTES)?;
        let source = read_text("a script", file.get_source()?, limits::MESSAGE_BYTES)?;
        if files.insert(path.clone(), source).is_some() {
            let field = "a script set";
            return Err(Error::Duplicate { field, text: path });
        }
    }
    Ok(ScriptSet { files })
}

pub fn write_script_set(set: &ScriptSet, builder: script_set::Builder<'_>) {
    let ScriptSet { files } = set;
    let mut list = builder.init_files(list_len(files.len()));
    for (i, (path, source)) in (0..).zip(files) {
        let mut file = list.reborrow().get(i);
        file.set_path(path);
        file.set_source(source);
    }
}

pub fn read_served(reader: entry::Reader<'_>) -> Result<Served, Error> {
    let origin = reader.get_origin().map_err(Error::unknown("an origin"))?;
    Ok(Served {
        index: reader.get_index(),
        revision: revision(reader.get_revision()?)?,
        time_ms: reader.get_time_ms(),
        by: line("a name", reader.get_by()?)?,
        origin: match origin {
            admin_capnp::Origin::Start => Origin::Start,
            admin_capnp::Origin::Folder => Origin::Folder,
            admin_capnp::Origin::Apply => Origin::Apply,
            admin_capnp::Origin::Rollback => Origin::Rollback,
        },
        note: line("a note", reader.get_note()?)?,
    })
}

pub fn write_served(served: &Served, mut builder: entry::Builder<'_>) {
    let Served {
        index,
        revision,
        time_ms,
        by,
        origin,
        note,
    } = served;
    builder.set_index(*index);
    builder.set_revision(&revision.0);
    builder.set_time_ms(*time_ms);
    builder.set_by(by);
    builder.set_origin(match origin {
        Origin::Start => admin_capnp::Origin::Start,
        Origin::Folder => admin_capnp::Origin::Folder,
        Origin::Apply => admin_capnp::Origin::Apply,
        Origin::Rollback => admin_capnp::Origin::Rollback,
    });
    builder.set_note(note);
}

pub fn read_problems(
    list: capnp::struct_list::Reader<'_, problem::Owned>,
) -> Result<Vec<ScriptProblem>, Error> {
    check_size("the number of problems", u64::from(list.len()), ENTRIES)?;
    let problem = |reader: problem::Reader<'_>| {
        Ok(ScriptProblem {
            code: line("a code", reader.get_code()?)?,
            path: line("a path", reader.get_path()?)?,
            line: reader.get_line(),
            message: line("a problem", reader.get_message()?)?,
            hint: line("a hint", reader.get_hint()?)?,
        })
    };
    list.iter().map(problem).collect()
}

pub fn write_problems(
    problems: &[ScriptProblem],
    mut list: capnp::struct_list::Builder<'_, problem::Owned>,
) {
    for (i, found) in (0..).zip(problems) {
        let ScriptProblem {
            code,
            path,
            line,
            message,
            hint,
        } = found;
        let mut builder = list.reborrow().get(i);
        builder.set_code(code);
        builder.set_path(path);
        builder.set_line(*line);
        builder.set_message(message);
        builder.set_hint(hint);
    }
}

pub fn read_plan(reader: plan::Reader<'_>) -> Result<Plan, Error> {
    let live = reader.get_live()?;
    check_size("the number of revisions", u64::from(live.len()), ENTRIES)?;
    let live = live.iter().map(|live| {
        let revision = revision(live.get_revision()?)?;
        Ok((revision, live.get_workflows()))
    });
    let known_as = reader.get_known_as();
    Ok(Plan {
        serving: read_served(reader.get_serving()?)?,
        revision: revision(reader.get_revision()?)?,
        known_as: (known_as != 0).then_some(known_as),
        problems: read_problems(reader.get_problems()?)?,
        before: read_signatures(reader.get_before()?)?,
        after: read_signatures(reader.get_after()?)?,
        live: live.collect::<Result<_, Error>>()?,
        omitted: reader.get_omitted(),
    })
}

pub fn write_plan(plan: &Plan, mut builder: plan::Builder<'_>) {
    let Plan {
        serving,
        revision,
        known_as,
        problems,
        before,
        after,
        live,
        omitted,
    } = plan;
    write_served(serving, builder.reborrow().init_serving());
    builder.set_revision(&revision.0);
    builder.set_omitted(*omitted);
    builder.set_known_as(known_as.unwrap_or(0));
    let len = list_len(problems.len());
    write_problems(problems, builder.reborrow().init_problems(len));
    let len = list_len(before.len());
    write_signatures(before, builder.reborrow().init_before(len));
    let len = list_len(after.len());
    write_signatures(after, builder.reborrow().init_after(len));
    let mut list = builder.init_live(list_len(live.len()));
    for (i, (revision, workflows)) in (0..).zip(live) {
        let mut live = list.reborrow().get(i);
        live.set_revision(&revision.0);
        live.set_workflows(*workflows);
    }
}

fn read_signatures(
    list: capnp::struct_list::Reader<'_, signature::Owned>,
) -> Result<Vec<Signature>, Error> {
    check_size("the number of pipelines", u64::from(list.len()), ENTRIES)?;
    let signature = |reader: signature::Reader<'_>| {
        Ok(Signature {
            name: line("a pipeline", reader.get_name()?)?,
            path: line("a path", reader.get_path()?)?,
            inputs: read_fields(reader.get_inputs()?)?,
            outputs: read_fields(reader.get_outputs()?)?,
        })
    };
    list.iter().map(signature).collect()
}

fn write_signatures(
    signatures: &[Signature],
    mut list: capnp::struct_list::Builder<'_, signature::Owned>,
) {
    for (i, signature) in (0..).zip(signatures) {
        let Signature {
            name,
            path,
            inputs,
            outputs,
        } = signature;
        let mut builder = list.reborrow().get(i);
        builder.set_name(name);
        builder.set_path(path);
        let len = list_len(inputs.len());
        write_fields(inputs, builder.reborrow().init_inputs(len));
        write_fields(outputs, builder.init_outputs(list_len(outputs.len())));
    }
}

fn read_fields(
    list: capnp::struct_list::Reader<'_, field::Owned>,
) -> Result<Vec<FieldView>, Error> {
    check_size("the number of fields", u64::from(list.len()), ENTRIES)?;
    let field = |reader: field::Reader<'_>| {
        Ok(FieldView {
            name: line("a field", reader.get_name()?)?,
            expected: line("a type", reader.get_expected()?)?,
            optional: reader.get_optional(),
            default: read_value(reader.get_default()?)?,
        })
    };
    list.iter().map(field).collect()
}

fn write_fields(fields: &[FieldView], mut list: capnp::struct_list::Builder<'_, field::Owned>) {
    for (i, field) in (0..).zip(fields) {
        let FieldView {
            name,
            expected,
            optional,
            default,
        } = field;
        let mut builder = list.reborrow().get(i);
        builder.set_name(name);
        builder.set_expected(expected);
        builder.set_optional(*optional);
        write_value(default, builder.init_default());
    }
}

fn revision(bytes: &[u8]) -> Result<RevisionHash, Error> {
    Ok(RevisionHash(read_bytes("a revision", bytes)?))
}

fn line(field: &'static str, text: capnp::text::Reader<'_>) -> Result<String, Error> {
    let text = read_text(field, text, limits::TEXT_BYTES)?;
    Ok(limits::one_line(&text))
}

#[cfg(test)]
mod tests {
    use froben_model::Value;

    use super::*;

    fn served(index: u64, origin: Origin) -> Served {
        Served {
            index,
            revision: RevisionHash([index as u8; 32]),
            time_ms: 5,
            by: "ada".into(),
            origin,
            note: "why not".into(),
        }
    }

    fn signature(name: &str) -> Signature {
        let field = |name: &str, default| FieldView {
            name: name.into(),
            expected: "blob".into(),
            optional: true,
            default,
        };
        Signature {
            name: name.into(),
            path: format!("pipelines/{name}.lua"),
            inputs: vec![field("data", Value::Nil), field("n", Value::Int(3))],
            outputs: vec![field("proof", Value::Nil)],
        }
    }

    #[test]
    fn a_plan_comes_back_as_it_was() {
        for known_as in [None, Some(2)] {
            let plan = Plan {
                serving: served(7, Origin::Rollback),
                revision: RevisionHash([9; 32]),
                known_as,
                problems: vec![ScriptProblem {
                    code: "FRB-LUA-001".into(),
                    path: "lib/x.lua".into(),
                    line: 3,
                    message: "expected `end`".into(),
                    hint: "correct it".into(),
                }],
                before: vec![signature("a"), signature("b")],
                after: vec![signature("b")],
                live: vec![(RevisionHash([7; 32]), 12), (RevisionHash([8; 32]), 1)],
                omitted: known_as.is_some(),
            };
            let mut message = capnp::message::Builder::new_default();
            write_plan(&plan, message.init_root());
            let read = read_plan(message.get_root_as_reader().unwrap());
            assert_eq!(read.unwrap(), plan);
        }
    }

    #[test]
    fn entries_of_every_origin_come_back_and_others_are_refused() {
        for origin in Origin::ALL {
            let mut message = capnp::message::Builder::new_default();
            write_served(&served(3, origin), message.init_root());
            let read = read_served(message.get_root_as_reader().unwrap());
            assert_eq!(read.unwrap(), served(3, origin));
        }
        let mut message = capnp::message::Builder::new_default();
        let mut builder = message.init_root::<entry::Builder<'_>>();
        write_served(&served(3, Origin::Start), builder.reborrow());
        builder.set_revision(&[1; 31]);
        assert!(read_served(message.get_root_as_reader().unwrap()).is_err());
    }

    #[test]
    fn a_set_comes_back_and_names_each_file_once() {
        let set = ScriptSet {
            files: BTreeMap::from([
                ("lib/x.lua".into(), "return 1".into()),
                ("pipelines/x.lua".into(), "-- \u{1b} stays".into()),
            ]),
        };
        let mut message = capnp::message::Builder::new_default();
        write_script_set(&set, message.init_root());
        let read = read_script_set(message.get_root_as_reader().unwrap());
        assert_eq!(read.unwrap(), set);

        let mut message = capnp::message::Builder::new_default();
        let mut files = message.init_root::<script_set::Builder<'_>>().init_files(2);
        for i in 0..2 {
            files.reborrow().get(i).set_path("lib/x.lua");
        }
        let read = read_script_set(message.get_root_as_reader().unwrap());
        assert!(matches!(read, Err(Error::Duplicate { .. })), "{read:?}");
    }
}
