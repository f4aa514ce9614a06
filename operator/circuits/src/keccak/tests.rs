//! Honest traces at every boundary, and forged ones that differ from a hash in one respect each.
//!
//! A forged trace keeps everything else consistent, and its public values are those that it
//! computes itself. What refuses it can then only be the constraint under test.

use p3_air::check_all_constraints;
use p3_field::{Field, PrimeCharacteristicRing};
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;

use super::columns::{CHAIN, CHAIN_BITS, DATA, FINAL, LINK, LIVE, MESSAGE, ROUND, WIDTH};
use super::trace::{Block, blocks, fill};
use super::{DIGEST_LIMBS, KeccakSegmentAir, LANES, LIMBS, RATE_BYTES, RATE_LANES};
use crate::circuit::{Circuit, SegmentAir};
use crate::config::Val;
use crate::field;
use crate::public;
use crate::statement::Statement;

/// Both sides of every place where blocks or padding change shape.
const LENGTHS: [usize; 14] = [
    1, 7, 8, 9, 127, 128, 134, 135, 136, 137, 271, 272, 4095, 4096,
];

fn message(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i + 3 * i + len) as u8 | 1).collect()
}

fn holds(trace: &RowMajorMatrix<Val>, values: &[Val]) -> bool {
    check_all_constraints(&KeccakSegmentAir, trace, values, Some(1)).is_ok()
}

/// A trace of a message, tampered with in parts, and what it claims.
struct Forgery {
    blocks: Vec<Block>,
    len: usize,
    /// The permutation whose output is claimed as the digest.
    digest_block: usize,
    restart: fn(usize, [u64; LANES]) -> [u64; LANES],
    cells: fn(&mut RowMajorMatrix<Val>),
}

impl Forgery {
    fn of(len: usize) -> Self {
        Self {
            blocks: blocks(&message(len)),
            len,
            digest_block: len / RATE_BYTES,
            restart: |_, chain| chain,
            cells: |_| (),
        }
    }

    /// Whether the constraints accept it with the public values that it computes itself.
    fn holds(&self) -> bool {
        let r = Statement::compute(&message(self.len), 3).unwrap().link().r;
        let mut trace = fill(&self.blocks, r, self.restart);
        (self.cells)(&mut trace);

        let last = &trace.values[(trace.height() - 1) * WIDTH..];
        let mut values = vec![Val::ZERO; public::LEN];
        values.push(last[LINK.start + 8]);
        values.extend(field::coefficients(r));
        values.extend_from_slice(&last[LINK][..4]);
        // The output of a permutation is the chain of the next.
        let after = &trace.values[(self.digest_block + 1) * 24 * WIDTH..];
        values.extend_from_slice(&after[CHAIN][..DIGEST_LIMBS]);
        holds(&trace, &values)
    }
}

#[test]
fn honest_traces_satisfy_the_constraints() {
    for len in LENGTHS {
        let bytes = message(len);
        let statement = Statement::compute(&bytes, 3).unwrap();
        let values = Circuit::Keccak256.public_values(&statement).unwrap();
        let trace = KeccakSegmentAir.trace(&bytes, statement.link().r);
        assert_eq!((trace.height(), trace.width()), (1 << 10, WIDTH));
        assert!(holds(&trace, &values), "{len} bytes");
    }
}

#[test]
fn the_harness_accepts_what_is_not_forged() {
    for len in [1, 135, 136, 300] {
        assert!(Forgery::of(len).holds(), "{len} bytes");
    }
}

#[test]
fn forged_traces_are_refused() {
    type Tamper = fn(&mut Forgery);
    let forgeries: &[(&str, usize, Tamper)] = &[
        ("starts from another state", 100, |it| {
            it.restart = |block, mut chain| {
                chain[24] ^= u64::from(block == 0);
                chain
            };
        }),
        ("starts from another rate", 100, |it| {
            it.restart = |block, mut chain| {
                chain[3] ^= u64::from(block == 0);
                chain
            };
        }),
        ("starts again in the second block", 200, |it| {
            it.restart = |block, chain| if block == 1 { [0; LANES] } else { chain };
        }),
        ("changes the capacity between blocks", 200, |it| {
            it.restart = |block, mut chain| {
                chain[20] ^= u64::from(block == 1);
                chain
            };
        }),
        ("pads as SHA-3 does", 100, |it| {
            it.blocks[0].lanes[12][4] = 0x06
        }),
        ("has no padding byte", 100, |it| {
            it.blocks[0].lanes[12][4] = 0
        }),
        ("has a byte after the padding began", 100, |it| {
            it.blocks[0].lanes[13][0] = 1;
        }),
        ("has no last padding bit", 100, |it| {
            it.blocks[0].lanes[16][7] = 0;
        }),
        ("has the last padding bit in another block too", 200, |it| {
            it.blocks[0].lanes[16][7] ^= 0x80;
            it.blocks[0].is_data[16][7] = false;
        }),
        (
            "has half of its padding where both halves meet",
            135,
            |it| {
                it.blocks[0].lanes[16][7] = 0x80;
            },
        ),
        ("ends one block late", 100, |it| {
            it.blocks[0].is_final = false;
            it.blocks[0].lanes[16][7] = 0;
            it.blocks[1].live = true;
            it.blocks[1].is_final = true;
            it.blocks[1].lanes[16][7] = 0x80;
            it.digest_block = 1;
        }),
        ("ends one block early", 200, |it| {
            it.blocks[0].is_final = true;
            it.blocks[1].live = false;
            it.blocks[1].is_final = false;
            it.digest_block = 0;
        }),
        ("has a second final block", 200, |it| {
            it.blocks[0].is_final = true;
            it.digest_block = 0;
        }),
        (
            "claims the output of a block that is not final",
            200,
            |it| {
                it.digest_block = 0;
            },
        ),
        ("never ends", 100, |it| {
            for block in &mut it.blocks {
                block.live = true;
                block.is_final = false;
            }
        }),
        ("never lives", 100, |it| {
            for block in &mut it.blocks {
                block.live = false;
                block.is_final = false;
            }
        }),
        ("lives again after the end", 100, |it| {
            it.blocks[2].live = true
        }),
        ("is final on its last row only", 100, |it| {
            it.cells = |trace| {
                for row in 0..23 {
                    trace.values[row * WIDTH + FINAL] = Val::ZERO;
                }
            };
        }),
        ("has a hole in the data", 100, |it| {
            it.blocks[0].is_data[4][3] = false;
        }),
        ("hides its last data byte from the fingerprint", 100, |it| {
            it.blocks[0].is_data[12][3] = false;
        }),
        ("counts padding as data", 100, |it| {
            it.blocks[0].is_data[12][4] = true;
        }),
        ("has data in a later block", 100, |it| {
            it.blocks[1].is_data[0][0] = true;
            it.blocks[1].lanes[0][0] = 77;
        }),
        ("has data on a row that absorbs none", 136, |it| {
            it.blocks[0].is_data[17][0] = true;
        }),
        ("has message bits on a row that absorbs none", 136, |it| {
            it.blocks[0].lanes[17][0] = 5;
            it.blocks[0].is_data[17][0] = true;
        }),
        ("has bytes after the end", 100, |it| {
            it.blocks[3].lanes[0][0] = 1
        }),
        ("has data on the last row", 100, |it| {
            it.blocks[42].is_data[15] = [true; 8];
        }),
        ("has a message bit that is none", 100, |it| {
            it.cells = |trace| {
                // 2 at bit 0 and 1 less at bit 1 is the same number.
                let bits = &mut trace.values[MESSAGE];
                let at = (0..7).find(|&i| bits[i].is_zero() && bits[i + 1].is_one());
                let at = at.unwrap();
                bits[at] = Val::TWO;
                bits[at + 1] = Val::ZERO;
            };
        }),
        ("reopens the data", 100, |it| {
            it.cells = |trace| trace.values[30 * WIDTH + DATA.start] = Val::ONE;
        }),
        ("absorbs another lane than its message", 100, |it| {
            // A round trace of another permutation under the message's cells.
            it.cells = |trace| {
                let mut other = blocks(&message(100));
                other[0].lanes[0][0] ^= 1;
                let other = fill(&other, Default::default(), |_, chain| chain);
                for row in 0..24 {
                    let cells = row * WIDTH..row * WIDTH + ROUND.end;
                    trace.values[cells.clone()].copy_from_slice(&other.values[cells]);
                }
            };
        }),
    ];
    for &(what, len, tamper) in forgeries {
        let mut forgery = Forgery::of(len);
        tamper(&mut forgery);
        assert!(!forgery.holds(), "a trace that {what} was accepted");
    }
}

/// Cells of each kind, on rows of each kind: taking bytes or not, first and last of a permutation,
/// live and dead, first and last of the trace.
#[test]
fn every_own_cell_is_constrained() {
    let bytes = message(150);
    let statement = Statement::compute(&bytes, 3).unwrap();
    let values = Circuit::Keccak256.public_values(&statement).unwrap();
    let honest = KeccakSegmentAir.trace(&bytes, statement.link().r);
    let rate_limbs = RATE_LANES * LIMBS;
    let cells = [
        CHAIN.start,
        CHAIN.start + rate_limbs - 1,
        CHAIN.start + rate_limbs,
        CHAIN.end - 1,
        MESSAGE.start,
        MESSAGE.end - 1,
        CHAIN_BITS.start,
        CHAIN_BITS.end - 1,
        DATA.start,
        DATA.start + 1,
        DATA.end - 1,
        LIVE,
        FINAL,
    ];
    for row in [0, 16, 17, 23, 24, 47, 48, 1023] {
        for cell in cells.into_iter().chain(LINK) {
            let mut trace = honest.clone();
            let value = &mut trace.values[row * WIDTH + cell];
            // Flags flip, so that being boolean is not what refuses them.
            *value = Val::ONE - *value;
            assert!(!holds(&trace, &values), "row {row}, cell {cell}");
        }
    }
}
