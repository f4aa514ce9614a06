//! The trace of an honest prover.

use std::array;

use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;
use p3_sha256_air::{SHA256_IV, generate_trace_rows};

use super::columns::{COMPRESSION, DATA, LATE, LINK, WIDTH};
use super::{BLOCK_BYTES, LAST_ROOM, Sha256SegmentAir};
use crate::circuit::{SegmentAir, empty_trace};
use crate::config::{Challenge, Val};
use crate::data;
use crate::link::Running;

const HEIGHT: usize = 1 << Sha256SegmentAir::LOG_HEIGHT;

/// What a row is about, before it is spelled out in cells.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The chaining value that the compression starts from.
    pub(super) state: [u32; 8],
    pub(super) block: [u8; BLOCK_BYTES],
    pub(super) is_data: [bool; BLOCK_BYTES],
    pub(super) open: bool,
    pub(super) late: bool,
}

/// The rows of a message: its padded blocks in order, then blocks of zeros.
///
/// *Panics*: if the message leaves no free row, far beyond a segment's length.
pub(super) fn rows(bytes: &[u8]) -> Vec<Row> {
    let blocks = (bytes.len() + 9).div_ceil(BLOCK_BYTES);
    assert!(blocks < HEIGHT, "{} bytes", bytes.len());
    let mut padded = vec![0; BLOCK_BYTES * HEIGHT];
    padded[..bytes.len()].copy_from_slice(bytes);
    padded[bytes.len()] = 0x80;
    let end = blocks * BLOCK_BYTES;
    padded[end - 8..end].copy_from_slice(&(8 * bytes.len() as u64).to_be_bytes());

    let mut state = SHA256_IV;
    let (blocks, _) = padded.as_chunks::<BLOCK_BYTES>();
    blocks
        .iter()
        .enumerate()
        .map(|(index, block)| {
            let start = index * BLOCK_BYTES;
            let room = start.saturating_sub(BLOCK_BYTES) + LAST_ROOM;
            let row = Row {
                state,
                block: *block,
                is_data: array::from_fn(|j| start + j < bytes.len()),
                open: start <= bytes.len(),
                late: (room + 1..start).contains(&bytes.len()),
            };
            sha2::block_api::compress256(&mut state, &[*block]);
            row
        })
        .collect()
}

/// The trace of these rows, with the running fingerprint at `r`.
pub(super) fn fill(rows: &[Row], r: Challenge) -> RowMajorMatrix<Val> {
    let compressions = generate_trace_rows::<Val>(rows.iter().map(inputs).collect(), 0);
    let mut trace = empty_trace(Sha256SegmentAir::LOG_HEIGHT, WIDTH);
    let mut running = Running::new(r);
    for ((row, cells), compression) in rows
        .iter()
        .zip(trace.values.chunks_exact_mut(WIDTH))
        .zip(compressions.values.chunks_exact(COMPRESSION.end))
    {
        cells[COMPRESSION].copy_from_slice(compression);
        data::fill(&mut cells[DATA], row.open, &row.is_data);
        cells[LATE] = Val::from_bool(row.late);
        let bytes = row.block.into_iter().zip(row.is_data);
        running.fill_where(&mut cells[LINK], bytes, BLOCK_BYTES);
    }
    trace
}

/// A row's block, as big-endian words, and chaining value, as the compression AIR takes them.
fn inputs(row: &Row) -> [u32; 24] {
    array::from_fn(|i| match i.checked_sub(16) {
        None => u32::from_be_bytes(array::from_fn(|k| row.block[4 * i + k])),
        Some(i) => row.state[i],
    })
}
