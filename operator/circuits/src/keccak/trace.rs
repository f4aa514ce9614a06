//! The trace of an honest prover.

use std::borrow::Borrow;

use p3_air::utils::{u64_to_16_bit_limbs, u64_to_bits_le};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_keccak_air::{KeccakCols, NUM_KECCAK_COLS, NUM_ROUNDS, generate_trace_rows};
use p3_matrix::dense::RowMajorMatrix;

use super::columns::{CHAIN, CHAIN_BITS, DATA, FINAL, LINK, LIVE, MESSAGE, ROUND, WIDTH};
use super::{KeccakSegmentAir, LANE_BYTES, LANES, LIMBS, RATE_BYTES, RATE_LANES};
use crate::circuit::{SegmentAir, empty_trace};
use crate::config::{Challenge, Val};
use crate::data;
use crate::link::Running;

/// Permutations in a trace, the last of them cut off.
const PERMUTATIONS: usize = (1 << KeccakSegmentAir::LOG_HEIGHT) / NUM_ROUNDS + 1;

/// What the rows of a permutation are about, before it is spelled out in cells.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The bytes that each row takes; a row past the rate takes none.
    pub(super) lanes: [[u8; LANE_BYTES]; NUM_ROUNDS],
    /// Which of them are data.
    pub(super) is_data: [[bool; LANE_BYTES]; NUM_ROUNDS],
    pub(super) live: bool,
    pub(super) is_final: bool,
}

/// The permutations of a message: its padded blocks in order, then blocks of zeros.
pub(super) fn blocks(bytes: &[u8]) -> Vec<Block> {
    let final_block = bytes.len() / RATE_BYTES;
    let mut padded = vec![0; PERMUTATIONS * RATE_BYTES];
    padded[..bytes.len()].copy_from_slice(bytes);
    padded[bytes.len()] ^= 0x01;
    padded[(final_block + 1) * RATE_BYTES - 1] ^= 0x80;

    let is_data = |place| place < bytes.len();
    (0..PERMUTATIONS)
        .map(|block| {
            let place =
                |row, j| (row < RATE_LANES).then(|| block * RATE_BYTES + row * LANE_BYTES + j);
            let cells = |row| core::array::from_fn(|j| place(row, j).map_or(0, |at| padded[at]));
            let flags = |row| core::array::from_fn(|j| place(row, j).is_some_and(is_data));
            Block {
                lanes: core::array::from_fn(cells),
                is_data: core::array::from_fn(flags),
                live: block <= final_block,
                is_final: block == final_block,
            }
        })
        .collect()
}

/// The trace of these blocks, with the running fingerprint at `r`.
///
/// Each permutation starts from the output of the one before; `restart` may replace that chain.
pub(super) fn fill(
    blocks: &[Block],
    r: Challenge,
    restart: impl Fn(usize, [u64; LANES]) -> [u64; LANES],
) -> RowMajorMatrix<Val> {
    let mut trace = empty_trace(KeccakSegmentAir::LOG_HEIGHT, WIDTH);
    let mut running = Running::new(r);
    let mut open = true;
    let mut state = [0; LANES];

    for (index, (block, rows)) in blocks
        .iter()
        .zip(trace.values.chunks_mut(NUM_ROUNDS * WIDTH))
        .enumerate()
    {
        let chain = restart(index, state);
        state = absorb(chain, block);
        // One permutation at a time, since the next one's input needs this one's output.
        let rounds = generate_trace_rows::<Val>(vec![state], 0).values;
        state = output(&rounds[(NUM_ROUNDS - 1) * NUM_KECCAK_COLS..][..NUM_KECCAK_COLS]);

        for (step, row) in rows.chunks_exact_mut(WIDTH).enumerate() {
            let (lane, is_data) = (block.lanes[step], block.is_data[step]);
            row[ROUND].copy_from_slice(&rounds[step * NUM_KECCAK_COLS..][..NUM_KECCAK_COLS]);
            for (cells, lane) in row[CHAIN].chunks_exact_mut(LIMBS).zip(chain) {
                cells.copy_from_slice(&u64_to_16_bit_limbs::<Val>(lane));
            }
            row[LIVE] = Val::from_bool(block.live);
            row[FINAL] = Val::from_bool(block.is_final);
            row[MESSAGE].copy_from_slice(&u64_to_bits_le::<Val>(u64::from_le_bytes(lane)));
            data::fill(&mut row[DATA], open, &is_data);

            let absorbs = step < RATE_LANES;
            let places = if absorbs { LANE_BYTES } else { 0 };
            running.fill_where(&mut row[LINK], lane.into_iter().zip(is_data), places);
            if absorbs {
                row[CHAIN_BITS].copy_from_slice(&u64_to_bits_le::<Val>(chain[step]));
                open &= is_data[LANE_BYTES - 1];
            }
        }
    }
    trace
}

/// The input of a permutation.
pub(super) fn absorb(mut chain: [u64; LANES], block: &Block) -> [u64; LANES] {
    for (lane, message) in chain[..RATE_LANES].iter_mut().zip(block.lanes) {
        *lane ^= u64::from_le_bytes(message);
    }
    chain
}

/// The permutation's output, from the row of its last round.
fn output(row: &[Val]) -> [u64; LANES] {
    let round: &KeccakCols<Val> = row.borrow();
    core::array::from_fn(|lane| {
        (0..LIMBS).rev().fold(0, |value, limb| {
            let limb = round.a_prime_prime_prime(lane / 5, lane % 5, limb);
            value << 16 | u64::from(limb.as_canonical_u32())
        })
    })
}
