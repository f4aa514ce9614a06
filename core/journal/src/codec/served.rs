use froben_model::limits;
use froben_schema::convert::{Error, read_bytes, read_text};
use froben_schema::journal_capnp::served;

use crate::{Origin, RevisionHash, Served};

pub(super) fn write(entry: &Served, mut builder: served::Builder<'_>) {
    let Served {
        index,
        revision,
        time_ms,
        by,
        origin,
        note,
    } = entry;
    builder.set_index(*index);
    builder.set_revision(&revision.0);
    builder.set_time_ms(*time_ms);
    builder.set_by(by);
    builder.set_origin(match origin {
        Origin::Start => served::Origin::Start,
        Origin::Folder => served::Origin::Folder,
        Origin::Apply => served::Origin::Apply,
        Origin::Rollback => served::Origin::Rollback,
    });
    builder.set_note(note);
}

pub(super) fn read(reader: served::Reader<'_>) -> Result<Served, Error> {
    let origin = reader.get_origin().map_err(Error::unknown("an origin"))?;
    Ok(Served {
        index: reader.get_index(),
        revision: RevisionHash(read_bytes("a revision", reader.get_revision()?)?),
        time_ms: reader.get_time_ms(),
        by: read_text("a name", reader.get_by()?, limits::TEXT_BYTES)?,
        origin: match origin {
            served::Origin::Start => Origin::Start,
            served::Origin::Folder => Origin::Folder,
            served::Origin::Apply => Origin::Apply,
            served::Origin::Rollback => Origin::Rollback,
        },
        note: read_text("a note", reader.get_note()?, limits::TEXT_BYTES)?,
    })
}
