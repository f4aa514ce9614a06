//! One Blake3 compression, computed while its columns are filled in.
//!
//! The layout of the columns is the compression AIR's; its own generator only makes random
//! instances, with the counter, length and flags of no real hash, so this one stands in for it.
//!
//! Source: the Blake3 specification, section 2.2.

use std::array;
use std::borrow::BorrowMut;

use p3_air::utils::u32_to_bits_le;
use p3_blake3_air::{Blake3Cols, Blake3State, NUM_BLAKE3_COLS};
use p3_field::PrimeCharacteristicRing;

use crate::config::Val;

/// The initialization vector: SHA-256's.
pub(super) const IV: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// Where each message word of the next round comes from.
const MESSAGE_PERMUTATION: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];

/// The rotations of `d` and `b` in the first and in the second half of a quarter round.
const FIRST_HALF: [u32; 2] = [16, 12];
const SECOND_HALF: [u32; 2] = [8, 7];

/// The flags that separate the domains of compressions, by the index of their bit.
pub(super) mod flag {
    /// The first block of a chunk.
    pub(in super::super) const CHUNK_START: usize = 0;
    /// The last block of a chunk.
    pub(in super::super) const CHUNK_END: usize = 1;
    /// A node over two chaining values.
    pub(in super::super) const PARENT: usize = 2;
    /// The compression that makes the digest.
    pub(in super::super) const ROOT: usize = 3;
    /// How many there are without keyed hashing.
    pub(in super::super) const COUNT: usize = 4;
}

/// Four rows of four words: chaining value (two rows), constants, and counter, length, flags.
type State = [[u32; 4]; 4];

/// The inputs of one compression.
#[derive(Clone, Debug)]
pub(super) struct Compression {
    pub(super) chaining_value: [u32; 8],
    pub(super) block: [u32; 16],
    pub(super) counter: u64,
    /// In bytes.
    pub(super) block_len: u32,
    /// One bit for each of [`flag`].
    pub(super) flags: u32,
}

impl Compression {
    /// The chaining value that it makes.
    pub(super) fn output(&self) -> [u32; 8] {
        let mut columns = vec![Val::ZERO; NUM_BLAKE3_COLS];
        self.fill(columns.as_mut_slice().borrow_mut())
    }

    /// Fills the columns of this compression and returns the chaining value that it makes.
    pub(super) fn fill(&self, columns: &mut Blake3Cols<Val>) -> [u32; 8] {
        let [cv_low, cv_high] = halves(self.chaining_value);
        let [iv_low, _] = halves(IV);
        let [counter_low, counter_high] = [self.counter as u32, (self.counter >> 32) as u32];
        let tail = [counter_low, counter_high, self.block_len, self.flags];

        columns.inputs = self.block.map(u32_to_bits_le);
        columns.chaining_values = [cv_low, cv_high].map(|row| row.map(u32_to_bits_le));
        columns.counter_low = u32_to_bits_le(counter_low);
        columns.counter_hi = u32_to_bits_le(counter_high);
        columns.block_len = u32_to_bits_le(self.block_len);
        columns.flags = u32_to_bits_le(self.flags);
        columns.initial_row0 = cv_low.map(limbs);
        columns.initial_row2 = iv_low.map(limbs);

        let mut state: State = [cv_low, cv_high, iv_low, tail];
        let mut message = self.block;
        for round in &mut columns.full_rounds {
            let word = |i| message[i];
            let [m0, m1, m2, m3] = [0, 1, 8, 9].map(|k| [k, k + 2, k + 4, k + 6].map(word));
            half_round(&mut state, 0, FIRST_HALF, m0);
            round.state_prime = record(&state);
            half_round(&mut state, 0, SECOND_HALF, m1);
            round.state_middle = record(&state);
            half_round(&mut state, 1, FIRST_HALF, m2);
            round.state_middle_prime = record(&state);
            half_round(&mut state, 1, SECOND_HALF, m3);
            round.state_output = record(&state);
            message = MESSAGE_PERMUTATION.map(|i| message[i]);
        }

        columns.final_round_helpers = state[2].map(u32_to_bits_le);
        let low = xor(state[0], state[2]);
        let high = xor(state[1], state[3]);
        let outputs = [low, high, xor(state[2], cv_low), xor(state[3], cv_high)];
        columns.outputs = outputs.map(|row| row.map(u32_to_bits_le));
        array::from_fn(|i| if i < 4 { low[i] } else { high[i - 4] })
    }
}

/// Half of four quarter rounds: on the columns of the state, or on its diagonals (`shift` 1).
fn half_round(state: &mut State, shift: usize, rotations: [u32; 2], message: [u32; 4]) {
    for (i, m) in message.into_iter().enumerate() {
        let [bi, ci, di] = [1, 2, 3].map(|row| (i + row * shift) % 4);
        let a = state[0][i].wrapping_add(state[1][bi]).wrapping_add(m);
        let d = (state[3][di] ^ a).rotate_right(rotations[0]);
        let c = state[2][ci].wrapping_add(d);
        let b = (state[1][bi] ^ c).rotate_right(rotations[1]);
        (state[0][i], state[1][bi], state[2][ci], state[3][di]) = (a, b, c, d);
    }
}

/// The AIR keeps rows 0 and 2 as 16-bit limbs, rows 1 and 3 as bits.
fn record(state: &State) -> Blake3State<Val> {
    Blake3State {
        row0: state[0].map(limbs),
        row1: state[1].map(u32_to_bits_le),
        row2: state[2].map(limbs),
        row3: state[3].map(u32_to_bits_le),
    }
}

/// A word as 16-bit limbs, the lower one first.
pub(super) fn limbs(word: u32) -> [Val; 2] {
    [Val::from_u32(word & 0xffff), Val::from_u32(word >> 16)]
}

fn halves(words: [u32; 8]) -> [[u32; 4]; 2] {
    let [a, b, c, d, e, f, g, h] = words;
    [[a, b, c, d], [e, f, g, h]]
}

fn xor(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
    array::from_fn(|i| a[i] ^ b[i])
}
