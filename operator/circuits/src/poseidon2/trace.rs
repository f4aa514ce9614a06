//! The trace of an honest prover.

use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;
use p3_symmetric::Permutation;

use super::columns::{DATA, LINK, MESSAGE, PERMUTATION, WIDTH};
use super::{Poseidon2SegmentAir, RATE};
use crate::circuit::{SegmentAir, empty_trace};
use crate::config::{Challenge, Val, permutation};
use crate::data;
use crate::digest::{POSEIDON2_BLOCK_BYTES as BLOCK_BYTES, POSEIDON2_ELEMENT_BYTES};
use crate::link::Running;
use crate::permutation_air::{STATE, permutation_rows};

const HEIGHT: usize = 1 << Poseidon2SegmentAir::LOG_HEIGHT;

/// What a row is about, before it is spelled out in cells.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) bytes: [u8; BLOCK_BYTES],
    pub(super) is_data: [bool; BLOCK_BYTES],
    pub(super) open: bool,
    /// The half of the state that the bytes do not overwrite.
    pub(super) capacity: [Val; STATE - RATE],
}

/// The rows of a message: its padded blocks in order, then blocks of zeros.
pub(super) fn blocks(bytes: &[u8]) -> Vec<Block> {
    let mut padded = vec![0; HEIGHT * BLOCK_BYTES];
    padded[..bytes.len()].copy_from_slice(bytes);
    padded[bytes.len()] = 1;
    let (padded, _) = padded.as_chunks();
    let mut blocks: Vec<_> = padded
        .iter()
        .enumerate()
        .map(|(index, block)| {
            let start = index * BLOCK_BYTES;
            Block {
                bytes: *block,
                is_data: core::array::from_fn(|j| start + j < bytes.len()),
                open: start <= bytes.len(),
                capacity: [Val::ZERO; STATE - RATE],
            }
        })
        .collect();
    chain(&mut blocks);
    blocks
}

/// Gives every block but the first the capacity that the one before it leaves.
pub(super) fn chain(blocks: &mut [Block]) {
    for i in 1..blocks.len() {
        blocks[i].capacity = core::array::from_fn(|j| permuted(&blocks[i - 1])[RATE + j]);
    }
}

/// The output of a row's permutation, natively.
pub(super) fn permuted(block: &Block) -> [Val; STATE] {
    permutation().permute(input(block))
}

/// The input of a row's permutation.
fn input(block: &Block) -> [Val; STATE] {
    let (elements, _) = block.bytes.as_chunks::<POSEIDON2_ELEMENT_BYTES>();
    core::array::from_fn(|i| match i.checked_sub(RATE) {
        None => {
            let [low, middle, high] = elements[i];
            Val::from_u32(u32::from_le_bytes([low, middle, high, 0]))
        }
        Some(i) => block.capacity[i],
    })
}

/// The trace of these blocks, with the running fingerprint at `r`.
pub(super) fn fill(blocks: &[Block], r: Challenge) -> RowMajorMatrix<Val> {
    let permutations = permutation_rows(blocks.iter().map(input).collect());

    let mut trace = empty_trace(Poseidon2SegmentAir::LOG_HEIGHT, WIDTH);
    let mut running = Running::new(r);
    for ((row, block), permutation) in trace
        .values
        .chunks_exact_mut(WIDTH)
        .zip(blocks)
        .zip(permutations.values.chunks_exact(PERMUTATION.len()))
    {
        row[PERMUTATION].copy_from_slice(permutation);
        for (bits, byte) in row[MESSAGE].chunks_exact_mut(8).zip(block.bytes) {
            for (i, bit) in bits.iter_mut().enumerate() {
                *bit = Val::from_bool(byte >> i & 1 == 1);
            }
        }
        data::fill(&mut row[DATA], block.open, &block.is_data);
        let bytes = block.bytes.into_iter().zip(block.is_data);
        running.fill_where(&mut row[LINK], bytes, BLOCK_BYTES);
    }
    trace
}
