//! Honest traces at every boundary, and forged ones that differ from a hash in one respect each.
//!
//! A forged trace keeps everything else consistent: it is chained again, and its public values are
//! those that it computes itself. What refuses it can then only be the constraint under test.

use p3_air::check_all_constraints;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_sha256_air::SHA256_IV;

use super::columns::{DATA, LATE, LINK, WIDTH};
use super::trace::{Row, fill, rows};
use super::{BLOCK_BYTES, Sha256SegmentAir};
use crate::circuit::{Circuit, SegmentAir};
use crate::config::Val;
use crate::field;
use crate::public;
use crate::statement::Statement;

const LOG_HEIGHT: usize = Sha256SegmentAir::LOG_HEIGHT;

/// Both sides of every place where blocks or padding change shape.
const LENGTHS: [usize; 18] = [
    1, 55, 56, 63, 64, 65, 119, 120, 1023, 1024, 1025, 2048, 2049, 3072, 3073, 4032, 4095, 4096,
];

fn message(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i + 7 * i + len) as u8).collect()
}

fn statement(bytes: &[u8]) -> Statement {
    Statement::compute(bytes, 3).unwrap()
}

fn holds(trace: &RowMajorMatrix<Val>, values: &[Val]) -> bool {
    check_all_constraints(&Sha256SegmentAir, trace, values, Some(1)).is_ok()
}

/// A trace of a message, tampered with in parts, and what it claims.
struct Forgery {
    rows: Vec<Row>,
    len: usize,
    /// The row whose output is claimed as the digest.
    digest_row: usize,
}

impl Forgery {
    /// The honest trace, not yet tampered with.
    fn of(len: usize) -> Self {
        Self {
            rows: rows(&message(len)),
            len,
            digest_row: (len + 8) / BLOCK_BYTES,
        }
    }

    /// Data up to the last byte of the last row, and so no final block.
    fn endless() -> Self {
        let mut forgery = Self::of(1);
        for row in &mut forgery.rows {
            (row.block, row.is_data, row.open, row.late) =
                ([7; BLOCK_BYTES], [true; BLOCK_BYTES], true, false);
        }
        forgery.len = forgery.rows.len() * BLOCK_BYTES;
        forgery.digest_row = 0;
        forgery.rechain(0);
        forgery
    }

    /// Claims another length, also in the final block, the second.
    fn change_len(&mut self, len: usize) {
        self.len = len;
        self.rows[1].block[62..].copy_from_slice(&(8 * len as u16).to_be_bytes());
    }

    /// Chains the rows again from row `from` on, each from its predecessor's output.
    fn rechain(&mut self, from: usize) {
        let mut state = self.rows[from].state;
        for row in &mut self.rows[from..] {
            row.state = state;
            sha2::block_api::compress256(&mut state, &[row.block]);
        }
    }

    /// The rows on which the constraints refuse it with the public values that it computes itself.
    fn refused_at(&self) -> Vec<usize> {
        let r = field::challenge([3, 1, 4, 1].map(Val::from_u8));
        let trace = fill(&self.rows, r);
        let mut state = self.rows[self.digest_row].state;
        sha2::block_api::compress256(&mut state, &[self.rows[self.digest_row].block]);
        let digest: Vec<u8> = state.into_iter().flat_map(u32::to_be_bytes).collect();

        let last = trace.height() - 1;
        let mut values = vec![Val::ZERO; public::LEN];
        values.push(Val::from_usize(self.len));
        values.extend(field::coefficients(r));
        values.extend((0..4).map(|i| trace.values[last * WIDTH + LINK.start + i]));
        values.extend(field::limbs16(&digest));
        let report = check_all_constraints(&Sha256SegmentAir, &trace, &values, None);
        let mut rows: Vec<usize> = report.failures.iter().map(|it| it.row).collect();
        rows.dedup();
        rows
    }
}

#[test]
fn honest_traces_satisfy_the_constraints() {
    for len in LENGTHS {
        let bytes = message(len);
        let statement = statement(&bytes);
        let values = Circuit::Sha256.public_values(&statement).unwrap();
        let trace = fill(&rows(&bytes), statement.link().r);
        assert_eq!((trace.height(), trace.width()), (1 << LOG_HEIGHT, WIDTH));
        assert!(holds(&trace, &values), "{len} bytes");
    }
}

#[test]
fn the_harness_accepts_what_is_not_forged() {
    for len in [1, 55, 56, 64, 200] {
        let mut honest = Forgery::of(len);
        honest.rechain(0);
        assert_eq!(honest.refused_at(), [0; 0], "{len} bytes");
    }
}

#[test]
fn forged_traces_are_refused() {
    type Tamper = fn(&mut Forgery);
    let forgeries: &[(&str, usize, &[usize], Tamper)] = &[
        ("starts from another state", 100, &[0], |it| {
            it.rows[0].state[3] ^= 1;
            it.rechain(0);
        }),
        ("starts again in the second block", 100, &[0], |it| {
            it.rows[1].state = SHA256_IV;
            it.rechain(1);
        }),
        ("a byte after the padding began", 100, &[1], |it| {
            it.rows[1].block[40] = 1;
            it.rechain(0);
        }),
        ("no padding byte", 100, &[1], |it| {
            it.rows[1].block[36] = 0;
            it.rechain(0);
        }),
        ("the padding begins one byte late", 100, &[1], |it| {
            it.rows[1].block[36..38].copy_from_slice(&[0, 0x80]);
            it.rechain(0);
        }),
        (
            "the padding byte after a full block is missing",
            64,
            &[1],
            |it| {
                it.rows[1].block[0] = 0;
                it.rechain(0);
            },
        ),
        ("the length in bits is wrong", 100, &[1], |it| {
            it.rows[1].block[63] ^= 8;
            it.rechain(0);
        }),
        ("the length in bits has a high byte", 100, &[1], |it| {
            it.rows[1].block[61] = 1;
            it.rechain(0);
        }),
        ("the length overlaps the padding byte", 56, &[0, 1], |it| {
            // All in one block, which has no room for it.
            it.rows[0].block[56..].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 1, 0xc0]);
            it.rows[1].block = [0; BLOCK_BYTES];
            it.digest_row = 0;
            it.rechain(0);
        }),
        (
            "the length is put off to a needless block",
            55,
            &[0],
            |it| {
                it.rows[1].block[62..].copy_from_slice(&[1, 0xb8]);
                it.rows[0].block[62..].fill(0);
                it.rows[1].late = true;
                it.digest_row = 1;
                it.rechain(0);
            },
        ),
        ("a second final block", 55, &[0], |it| {
            it.rows[1].block[62..].copy_from_slice(&[1, 0xb8]);
            it.rows[1].late = true;
            it.digest_row = 1;
            it.rechain(0);
        }),
        (
            "the digest is taken before the final block",
            100,
            &[1],
            |it| {
                it.digest_row = 0;
            },
        ),
        (
            "the digest is taken after the final block",
            100,
            &[1],
            |it| {
                it.digest_row = 2;
            },
        ),
        ("the final block is never reached", 100, &[0, 127], |it| {
            it.rows[1].open = false;
            it.rows[1].is_data.fill(false);
            it.rows[1].block.fill(0);
            it.rechain(0);
        }),
        ("data in an idle row", 100, &[5], |it| {
            it.rows[5].block[0] = 9;
            it.rows[5].is_data[0] = true;
            it.change_len(101);
            it.rechain(0);
        }),
        ("an idle row is opened for data", 100, &[4, 5], |it| {
            it.rows[5].block[0] = 9;
            it.rows[5].open = true;
            it.rows[5].is_data[0] = true;
            it.change_len(101);
            it.rechain(0);
        }),
        ("data with a gap", 100, &[0], |it| {
            it.rows[0].is_data[5] = false;
            it.rows[0].block[5] = 0;
            it.change_len(99);
            it.rechain(0);
        }),
        ("a byte that is hashed and not counted", 100, &[1], |it| {
            it.rows[1].is_data[35] = false;
            it.change_len(99);
            it.rechain(0);
        }),
        ("data does not begin with the first byte", 100, &[0], |it| {
            it.rows[0].open = false;
        }),
        ("data never ends", 100, &[127], |it| {
            *it = Forgery::endless();
        }),
    ];
    for (what, len, rows, tamper) in forgeries {
        let mut forgery = Forgery::of(*len);
        tamper(&mut forgery);
        assert_eq!(forgery.refused_at(), *rows, "{what}");
    }
}

#[test]
fn every_own_cell_is_constrained() {
    let bytes = message(130);
    let statement = statement(&bytes);
    let values = Circuit::Sha256.public_values(&statement).unwrap();
    let honest = fill(&rows(&bytes), statement.link().r);
    let cells = [
        DATA.start,
        DATA.start + 1,
        DATA.start + 3,
        DATA.end - 1,
        LATE,
    ];
    for row in [0, 1, 2, 3, 64, 127] {
        for cell in cells.into_iter().chain(LINK) {
            let mut trace = honest.clone();
            let value = &mut trace.values[row * WIDTH + cell];
            // Flags flip, so that being boolean is not what refuses them.
            *value = Val::ONE - *value;
            assert!(!holds(&trace, &values), "row {row}, cell {cell}");
        }
    }
}
