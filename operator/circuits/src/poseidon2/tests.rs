//! Honest traces at every boundary, and forged ones that differ from a hash in one respect each.
//!
//! A forged trace keeps everything else consistent: it is chained again, and its public values are
//! those that it computes itself. What refuses it can then only be the constraint under test.

use p3_air::check_all_constraints;
use p3_field::{Field, PrimeCharacteristicRing};
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;

use super::columns::{DATA, LINK, MESSAGE, WIDTH};
use super::trace::{Block, blocks, chain, fill, permuted};
use super::{Poseidon2SegmentAir, RATE};
use crate::circuit::{Circuit, SegmentAir};
use crate::config::Val;
use crate::digest::POSEIDON2_BLOCK_BYTES as BLOCK_BYTES;
use crate::field;
use crate::public;
use crate::statement::Statement;

/// Both sides of every place where elements, blocks or padding change shape.
const LENGTHS: [usize; 13] = [1, 2, 3, 4, 22, 23, 24, 25, 47, 48, 4079, 4095, 4096];

fn message(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i + 5 * i + len) as u8 | 1).collect()
}

fn holds(trace: &RowMajorMatrix<Val>, values: &[Val]) -> bool {
    check_all_constraints(&Poseidon2SegmentAir::default(), trace, values, Some(1)).is_ok()
}

/// A trace of a message, tampered with in parts, and what it claims.
struct Forgery {
    blocks: Vec<Block>,
    len: usize,
    /// The row whose output is claimed as the digest.
    digest_row: usize,
    cells: fn(&mut RowMajorMatrix<Val>),
}

impl Forgery {
    fn of(len: usize) -> Self {
        Self {
            blocks: blocks(&message(len)),
            len,
            digest_row: len / BLOCK_BYTES,
            cells: |_| (),
        }
    }

    /// Whether the constraints accept it with the public values that it computes itself.
    fn holds(&self) -> bool {
        let r = Statement::compute(&message(self.len), 3).unwrap().link().r;
        let mut trace = fill(&self.blocks, r);
        (self.cells)(&mut trace);

        let last = &trace.values[(trace.height() - 1) * WIDTH..];
        let mut values = vec![Val::ZERO; public::LEN];
        values.push(last[LINK.start + 8]);
        values.extend(field::coefficients(r));
        values.extend_from_slice(&last[LINK][..4]);
        values.extend_from_slice(&permuted(&self.blocks[self.digest_row])[..RATE]);
        holds(&trace, &values)
    }
}

#[test]
fn honest_traces_satisfy_the_constraints() {
    for len in LENGTHS {
        let bytes = message(len);
        let statement = Statement::compute(&bytes, 3).unwrap();
        let values = Circuit::Poseidon2.public_values(&statement).unwrap();
        let trace = Poseidon2SegmentAir::default().trace(&bytes, statement.link().r);
        assert_eq!((trace.height(), trace.width()), (1 << 8, WIDTH));
        assert!(holds(&trace, &values), "{len} bytes");
    }
}

#[test]
fn the_harness_accepts_what_is_not_forged() {
    for len in [1, 23, 24, 300] {
        let mut honest = Forgery::of(len);
        chain(&mut honest.blocks);
        assert!(honest.holds(), "{len} bytes");
    }
}

#[test]
fn forged_traces_are_refused() {
    type Tamper = fn(&mut Forgery);
    let forgeries: &[(&str, usize, Tamper)] = &[
        ("starts from another state", 100, |it| {
            it.blocks[0].capacity[7] = Val::ONE;
            chain(&mut it.blocks);
        }),
        ("starts again in the second block", 100, |it| {
            it.blocks[1].capacity = Default::default();
            chain(&mut it.blocks[1..]);
        }),
        ("has no padding byte", 100, |it| {
            it.blocks[4].bytes[4] = 0;
            chain(&mut it.blocks);
        }),
        ("has another padding byte", 100, |it| {
            it.blocks[4].bytes[4] = 2;
            chain(&mut it.blocks);
        }),
        ("has a byte after the padding began", 100, |it| {
            it.blocks[4].bytes[20] = 1;
            chain(&mut it.blocks);
        }),
        ("has bytes after the end", 100, |it| {
            it.blocks[9].bytes[0] = 1;
            chain(&mut it.blocks);
        }),
        ("ends one block late", 100, |it| {
            it.blocks[5].open = true;
            it.digest_row = 5;
        }),
        ("ends one block early", 100, |it| {
            for block in &mut it.blocks[3..] {
                block.open = false;
                block.is_data = Default::default();
            }
            it.digest_row = 3;
        }),
        (
            "claims the output of a block that is not final",
            100,
            |it| {
                it.digest_row = 3;
            },
        ),
        ("never ends", 100, |it| {
            for block in &mut it.blocks[4..] {
                block.open = true;
                block.is_data = [true; BLOCK_BYTES];
            }
        }),
        ("never begins", 100, |it| {
            for block in &mut it.blocks {
                block.open = false;
                block.is_data = Default::default();
                block.bytes = Default::default();
            }
            chain(&mut it.blocks);
        }),
        ("has a hole in the data", 100, |it| {
            it.blocks[2].is_data[5] = false;
        }),
        ("hides its last data byte from the fingerprint", 100, |it| {
            it.blocks[4].is_data[3] = false;
        }),
        ("counts padding as data", 100, |it| {
            it.blocks[4].is_data[4] = true;
        }),
        ("has data in a later block", 100, |it| {
            it.blocks[6].is_data[0] = true;
            it.blocks[6].bytes[0] = 7;
            chain(&mut it.blocks);
        }),
        ("has a second end", 100, |it| {
            it.blocks[6].open = true;
            it.blocks[6].bytes[0] = 1;
            chain(&mut it.blocks);
        }),
        ("has a message bit that is none", 100, |it| {
            it.cells = |trace| {
                // 2 at a bit and 1 less at the next is the same number.
                let bits = &mut trace.values[MESSAGE];
                let at = (0..7).find(|&i| bits[i].is_zero() && bits[i + 1].is_one());
                let at = at.unwrap();
                bits[at] = Val::TWO;
                bits[at + 1] = Val::ZERO;
            };
        }),
        ("has a data flag that is none", 100, |it| {
            it.cells = |trace| {
                trace.values[4 * WIDTH + DATA.start + 4] = Val::TWO;
            };
        }),
    ];
    for &(what, len, tamper) in forgeries {
        let mut forgery = Forgery::of(len);
        tamper(&mut forgery);
        assert!(!forgery.holds(), "a trace that {what} was accepted");
    }
}

/// Cells of each kind, on rows of each kind: within the data, at its end, after it, and the last.
#[test]
fn every_own_cell_is_constrained() {
    let bytes = message(30);
    let statement = Statement::compute(&bytes, 3).unwrap();
    let values = Circuit::Poseidon2.public_values(&statement).unwrap();
    let honest = Poseidon2SegmentAir::default().trace(&bytes, statement.link().r);
    let own = MESSAGE.step_by(7).chain(DATA).chain(LINK);
    for cell in own {
        for row in [0, 1, 2, 255] {
            let mut trace = honest.clone();
            let value = &mut trace.values[row * WIDTH + cell];
            // Flags flip, so that being boolean is not what refuses them.
            *value = Val::ONE - *value;
            assert!(!holds(&trace, &values), "row {row}, cell {cell}");
        }
    }
}
