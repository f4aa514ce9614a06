//! What the tree says of a file, computed from the file.

use std::io::{self, Read};

use froben_circuits::{Circuit as Segment, Error, SEGMENT_BYTES, Statement};

use crate::aggregate::Lists;

/// The true statements about the segments of a file, in order; none about an empty one.
///
/// *Errors*: [`Error::Io`]; [`Error::FileLength`] for more segments than an index can name.
pub fn statements(mut file: impl Read) -> Result<Vec<Statement>, Error> {
    let mut statements = Vec::new();
    let mut bytes = Vec::with_capacity(SEGMENT_BYTES);
    for index in 0..=u32::MAX {
        bytes.clear();
        read_segment(&mut file, &mut bytes).map_err(|source| Error::Io {
            what: "reading the file",
            source,
        })?;
        if bytes.is_empty() {
            return Ok(statements);
        }
        statements.push(Statement::compute(&bytes, index)?);
    }
    let len = statements.len() as u64 * SEGMENT_BYTES as u64;
    Err(Error::FileLength { len })
}

fn read_segment(file: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<usize> {
    file.take(SEGMENT_BYTES as u64).read_to_end(bytes)
}

/// The lists of one circuit behind these statements, which begin a file.
///
/// *Errors*: as [`Segment::public_values`].
pub fn lists(segment: Segment, statements: &[Statement]) -> Result<Lists, Error> {
    let empty = Lists::default();
    statements
        .iter()
        .try_fold(empty, |lists, statement| lists.with(segment, statement))
}
