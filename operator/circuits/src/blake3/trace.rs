//! The trace of an honest prover.

use std::array;
use std::borrow::BorrowMut;

use p3_blake3_air::Blake3Cols;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

use super::columns::{CHUNK_CVS, COMPRESSION, DATA, LINK, PAIR_CVS, PLACE, PRESENT, WIDTH};
use super::compression::{Compression, IV, flag, limbs};
use super::{
    BLOCK_BYTES, BLOCKS, Blake3SegmentAir, CHUNK_BLOCKS, CHUNKS, LEFT_NODE, PLACES, RIGHT_NODE,
    TOP_NODE,
};
use crate::circuit::{SegmentAir, empty_trace};
use crate::config::{Challenge, Val};
use crate::data;
use crate::link::Running;

/// What a row is about, before it is spelled out in cells.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) compression: Compression,
    pub(super) is_data: [bool; BLOCK_BYTES],
    /// Whether all byte places before the row are data.
    pub(super) open: bool,
}

/// All compressions of a hash, and what all rows share.
#[derive(Clone, Debug)]
pub(super) struct Hash {
    pub(super) rows: Vec<Row>,
    pub(super) present: [bool; CHUNKS - 1],
    pub(super) chunk_cvs: [[u32; 8]; CHUNKS],
    pub(super) pair_cvs: [[u32; 8]; CHUNKS / 2],
}

impl Hash {
    /// The compressions of `bytes`, not yet chained.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let present = array::from_fn(|i| bytes.len() > (i + 1) * CHUNK_BLOCKS * BLOCK_BYTES);
        let rows = (0..1 << Blake3SegmentAir::LOG_HEIGHT)
            .map(|row| Row::of(bytes, row, present))
            .collect();
        Self {
            rows,
            present,
            chunk_cvs: [[0; 8]; CHUNKS],
            pair_cvs: [[0; 8]; CHUNKS / 2],
        }
    }

    /// Feeds the compressions from row `first` on with the outputs that they are due; those before
    /// it keep what they have.
    pub(super) fn chain_from(&mut self, first: usize) {
        let mut output = IV;
        for place in 0..PLACES {
            let Row { compression, .. } = &mut self.rows[place];
            if place >= first {
                let fed = &mut compression.chaining_value;
                let block = &mut compression.block;
                match place {
                    LEFT_NODE => *block = pair(self.chunk_cvs[0], self.chunk_cvs[1]),
                    RIGHT_NODE => *block = pair(self.chunk_cvs[2], self.chunk_cvs[3]),
                    TOP_NODE => *block = pair(self.pair_cvs[0], self.pair_cvs[1]),
                    _ if place % CHUNK_BLOCKS != 0 => *fed = output,
                    _ => {}
                }
            }
            output = compression.output();
            if place < BLOCKS {
                if compression.flags >> flag::CHUNK_END & 1 == 1 {
                    self.chunk_cvs[place / CHUNK_BLOCKS] = output;
                }
            } else if place == LEFT_NODE {
                self.pair_cvs[0] = output;
            } else if place == RIGHT_NODE {
                self.pair_cvs[1] = if self.present[2] {
                    output
                } else {
                    self.chunk_cvs[2]
                };
            }
        }
    }
}

impl Row {
    /// Row `row` of the hash of `bytes`, with nothing fed to it yet.
    fn of(bytes: &[u8], row: usize, present: [bool; CHUNKS - 1]) -> Self {
        let start = row.min(BLOCKS) * BLOCK_BYTES;
        let open = start <= bytes.len();
        if row >= BLOCKS {
            return Self {
                compression: node_or_idle(row, present),
                is_data: [false; BLOCK_BYTES],
                open,
            };
        }
        let data = &bytes[start.min(bytes.len())..(start + BLOCK_BYTES).min(bytes.len())];
        let mut block = [0; BLOCK_BYTES];
        block[..data.len()].copy_from_slice(data);
        let (words, _) = block.as_chunks();

        let (chunk, place) = (row / CHUNK_BLOCKS, row % CHUNK_BLOCKS);
        let is_last = start + BLOCK_BYTES >= bytes.len() || place == CHUNK_BLOCKS - 1;
        let ends = !data.is_empty() && is_last;
        Self {
            compression: Compression {
                chaining_value: IV,
                block: array::from_fn(|i| u32::from_le_bytes(words[i])),
                counter: chunk as u64,
                block_len: data.len() as u32,
                flags: u32::from(place == 0) << flag::CHUNK_START
                    | u32::from(ends) << flag::CHUNK_END
                    | u32::from(ends && chunk == 0 && !present[0]) << flag::ROOT,
            },
            is_data: array::from_fn(|j| j < data.len()),
            open,
        }
    }
}

/// A compression of two chaining values, or of nothing on an idle row.
fn node_or_idle(row: usize, present: [bool; CHUNKS - 1]) -> Compression {
    let is_root = match row {
        LEFT_NODE => present[0] && !present[1],
        TOP_NODE => present[1],
        _ => false,
    };
    let is_node = row < PLACES;
    Compression {
        chaining_value: IV,
        block: [0; 16],
        counter: 0,
        block_len: if is_node { BLOCK_BYTES as u32 } else { 0 },
        flags: u32::from(is_node) << flag::PARENT | u32::from(is_root) << flag::ROOT,
    }
}

fn pair(left: [u32; 8], right: [u32; 8]) -> [u32; 16] {
    array::from_fn(|i| if i < 8 { left[i] } else { right[i - 8] })
}

/// The trace of these compressions, with the running fingerprint at `r`.
pub(super) fn fill(hash: &Hash, r: Challenge) -> RowMajorMatrix<Val> {
    let mut trace = empty_trace(Blake3SegmentAir::LOG_HEIGHT, WIDTH);
    let mut running = Running::new(r);
    for (place, (row, cells)) in hash
        .rows
        .iter()
        .zip(trace.values.chunks_exact_mut(WIDTH))
        .enumerate()
    {
        let columns: &mut Blake3Cols<Val> = cells[COMPRESSION].borrow_mut();
        row.compression.fill(columns);

        data::fill(&mut cells[DATA], row.open, &row.is_data);
        if place < PLACES {
            cells[PLACE][place] = Val::ONE;
        }
        for (cell, present) in cells[PRESENT].iter_mut().zip(hash.present) {
            *cell = Val::from_bool(present);
        }
        set_limbs(&mut cells[CHUNK_CVS], &hash.chunk_cvs);
        set_limbs(&mut cells[PAIR_CVS], &hash.pair_cvs);

        let block = row.compression.block.into_iter().flat_map(u32::to_le_bytes);
        let places = if place < BLOCKS { BLOCK_BYTES } else { 0 };
        running.fill_where(&mut cells[LINK], block.zip(row.is_data), places);
    }
    trace
}

fn set_limbs(cells: &mut [Val], values: &[[u32; 8]]) {
    for (pair, &word) in cells
        .as_chunks_mut()
        .0
        .iter_mut()
        .zip(values.as_flattened())
    {
        *pair = limbs(word);
    }
}
