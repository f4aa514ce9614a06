//! Honest traces at every boundary, and forged ones that differ from a hash in one respect each.
//!
//! A forged trace keeps everything else consistent: it is chained again, and its public values are
//! those that it computes itself. What refuses it can then only be the constraint under test.

use p3_air::check_all_constraints;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;

use super::columns::{CHUNK_CVS, DATA, KEPT, LINK, PAIR_CVS, PLACE, PRESENT, WIDTH};
use super::compression::{IV, flag};
use super::trace::{Hash, fill};
use super::{BLOCK_BYTES, Blake3SegmentAir, LEFT_NODE, RIGHT_NODE, TOP_NODE};
use crate::circuit::{Circuit, SegmentAir};
use crate::config::Val;
use crate::field;
use crate::public;
use crate::statement::Statement;

const LOG_HEIGHT: usize = Blake3SegmentAir::LOG_HEIGHT;

/// Both sides of every place where blocks, chunks or the tree change shape.
const LENGTHS: [usize; 18] = [
    1, 55, 56, 63, 64, 65, 119, 120, 1023, 1024, 1025, 2048, 2049, 3072, 3073, 4032, 4095, 4096,
];

fn message(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i + 7 * i + len) as u8).collect()
}

fn statement(bytes: &[u8]) -> Statement {
    Statement::compute(bytes, 3).unwrap()
}

fn honest(bytes: &[u8]) -> (RowMajorMatrix<Val>, Vec<Val>) {
    let statement = statement(bytes);
    let values = Circuit::Blake3.public_values(&statement).unwrap();
    (Blake3SegmentAir.trace(bytes, statement.link().r), values)
}

fn holds(trace: &RowMajorMatrix<Val>, values: &[Val]) -> bool {
    check_all_constraints(&Blake3SegmentAir, trace, values, Some(1)).is_ok()
}

/// A trace of a message, tampered with in parts, and what it claims.
struct Forgery {
    hash: Hash,
    len: usize,
    /// The row whose output is claimed as the digest.
    digest_row: usize,
}

impl Forgery {
    /// The honest trace, not yet tampered with.
    fn of(len: usize) -> Self {
        let mut hash = Hash::of(&message(len));
        hash.chain_from(0);
        let digest_row = match len {
            0..=1024 => (len - 1) / BLOCK_BYTES,
            1025..=2048 => LEFT_NODE,
            _ => TOP_NODE,
        };
        Self {
            hash,
            len,
            digest_row,
        }
    }

    fn flip(&mut self, row: usize, flag: usize) {
        self.hash.rows[row].compression.flags ^= 1 << flag;
    }

    /// Claims the output of another row as the digest, and flags it so.
    fn move_root(&mut self, row: usize) {
        self.flip(self.digest_row, flag::ROOT);
        self.flip(row, flag::ROOT);
        self.digest_row = row;
    }

    /// The rows on which the constraints refuse it with the public values that it computes itself.
    fn refused_at(&self) -> Vec<usize> {
        let r = field::challenge([3, 1, 4, 1].map(Val::from_u8));
        let trace = fill(&self.hash, r);
        let digest = self.hash.rows[self.digest_row].compression.output();
        let digest: Vec<u8> = digest.into_iter().flat_map(u32::to_le_bytes).collect();

        let last = trace.height() - 1;
        let mut values = vec![Val::ZERO; public::LEN];
        values.push(Val::from_usize(self.len));
        values.extend(field::coefficients(r));
        values.extend((0..4).map(|i| trace.values[last * WIDTH + LINK.start + i]));
        values.extend(field::limbs16(&digest));
        let report = check_all_constraints(&Blake3SegmentAir, &trace, &values, None);
        let mut rows: Vec<usize> = report.failures.iter().map(|it| it.row).collect();
        rows.dedup();
        rows
    }
}

#[test]
fn honest_traces_satisfy_the_constraints() {
    for len in LENGTHS {
        let (trace, values) = honest(&message(len));
        assert_eq!((trace.height(), trace.width()), (1 << LOG_HEIGHT, WIDTH));
        assert!(holds(&trace, &values), "{len} bytes");
    }
}

#[test]
fn the_harness_accepts_what_is_not_forged() {
    for len in [1, 100, 1024, 1500, 3000, 4096] {
        let mut honest = Forgery::of(len);
        honest.hash.chain_from(0);
        assert_eq!(honest.refused_at(), [0; 0], "{len} bytes");
    }
}

#[test]
fn what_a_chunk_without_data_leaves_in_its_cells_does_not_matter() {
    for len in [100, 1500, 3000] {
        let mut free = Forgery::of(len);
        for (chunk, cv) in free.hash.chunk_cvs.iter_mut().enumerate() {
            if chunk * 1024 >= len {
                *cv = [7; 8];
            }
        }
        let honest = free.hash.rows[free.digest_row].compression.output();
        free.hash.chain_from(0);
        let output = free.hash.rows[free.digest_row].compression.output();
        assert_eq!(output, honest, "{len} bytes");
        assert_eq!(free.refused_at(), [0; 0], "{len} bytes");
    }
}

#[test]
fn forged_traces_are_refused() {
    type Tamper = fn(&mut Forgery);
    let forgeries: &[(&str, usize, &[usize], Tamper)] = &[
        // Chaining.
        ("starts from another value", 100, &[0], |it| {
            it.hash.rows[0].compression.chaining_value[3] ^= 1;
            it.hash.chain_from(1);
        }),
        ("starts again in the second block", 100, &[0], |it| {
            it.hash.rows[1].compression.chaining_value = IV;
            it.hash.chain_from(2);
        }),
        ("a chunk continues the one before", 1100, &[16], |it| {
            it.hash.rows[16].compression.chaining_value = it.hash.rows[15].compression.output();
            it.hash.chain_from(17);
        }),
        ("a node starts from another value", 1100, &[64], |it| {
            it.hash.rows[LEFT_NODE].compression.chaining_value[0] ^= 1;
            it.hash.chain_from(LEFT_NODE);
        }),
        // Blocks.
        ("a byte after the data", 100, &[1], |it| {
            it.hash.rows[1].compression.block[15] = 1;
            it.hash.chain_from(0);
        }),
        ("a byte in a block without data", 100, &[2], |it| {
            it.hash.rows[2].compression.block[0] = 1;
            it.hash.chain_from(0);
        }),
        ("a block is said to be longer", 100, &[1], |it| {
            it.hash.rows[1].compression.block_len += 1;
            it.hash.chain_from(0);
        }),
        ("a block's length has a high bit", 100, &[0], |it| {
            it.hash.rows[0].compression.block_len |= 1 << 20;
            it.hash.chain_from(0);
        }),
        ("a node's length is not 64", 1100, &[64], |it| {
            it.hash.rows[LEFT_NODE].compression.block_len = 63;
            it.hash.chain_from(0);
        }),
        // Counter.
        ("every chunk has counter 0", 1100, &[16, 17], |it| {
            it.hash.rows[16].compression.counter = 0;
            it.hash.rows[17].compression.counter = 0;
            it.hash.chain_from(0);
        }),
        ("a counter has a high bit", 1100, &[16], |it| {
            it.hash.rows[16].compression.counter |= 1 << 5;
            it.hash.chain_from(0);
        }),
        ("a counter has a bit in its high word", 100, &[0], |it| {
            it.hash.rows[0].compression.counter = 1 << 32;
            it.hash.chain_from(0);
        }),
        ("a node has a counter", 1100, &[64], |it| {
            it.hash.rows[LEFT_NODE].compression.counter = 1;
            it.hash.chain_from(0);
        }),
        // Flags.
        ("no start", 100, &[0], |it| {
            it.flip(0, flag::CHUNK_START);
            it.hash.chain_from(0);
        }),
        ("a second start", 100, &[1], |it| {
            it.flip(1, flag::CHUNK_START);
            it.hash.chain_from(0);
        }),
        ("no end", 100, &[1], |it| {
            it.flip(1, flag::CHUNK_END);
            it.hash.chain_from(0);
        }),
        ("no end of a full chunk", 2048, &[15], |it| {
            it.hash.rows[15].compression.flags = 0;
            it.hash.chunk_cvs[0] = it.hash.rows[15].compression.output();
            it.hash.chain_from(0);
        }),
        ("a chunk ends before its data does", 100, &[0, 1], |it| {
            it.flip(0, flag::CHUNK_END);
            it.flip(1, flag::CHUNK_END);
            it.move_root(0);
            it.hash.chain_from(0);
        }),
        ("a chunk ends after its data does", 100, &[1, 2], |it| {
            it.flip(1, flag::CHUNK_END);
            it.flip(2, flag::CHUNK_END);
            it.move_root(2);
            it.hash.chain_from(0);
        }),
        ("a node is no parent", 1100, &[64], |it| {
            it.flip(LEFT_NODE, flag::PARENT);
            it.hash.chain_from(0);
        }),
        ("a keyed hash", 100, &[0, 1], |it| {
            it.flip(0, 4);
            it.flip(1, 4);
            it.hash.chain_from(0);
        }),
        // Root.
        ("no root", 100, &[1], |it| {
            it.flip(1, flag::ROOT);
            it.hash.chain_from(0);
        }),
        ("no root above nodes", 4096, &[66], |it| {
            it.flip(TOP_NODE, flag::ROOT);
            it.hash.chain_from(0);
        }),
        ("the first chunk as root of two", 1100, &[15, 64], |it| {
            it.move_root(15);
            it.hash.chain_from(0);
        }),
        ("the second chunk as root of two", 1100, &[17, 64], |it| {
            it.move_root(17);
            it.hash.chain_from(0);
        }),
        (
            "the left node as root of four chunks",
            4096,
            &[64, 66],
            |it| {
                it.move_root(LEFT_NODE);
                it.hash.chain_from(0);
            },
        ),
        (
            "the right node as root of four chunks",
            4096,
            &[65, 66],
            |it| {
                it.move_root(RIGHT_NODE);
                it.hash.chain_from(0);
            },
        ),
        (
            "the top node as root of two chunks",
            2048,
            &[64, 66],
            |it| {
                it.move_root(TOP_NODE);
                it.hash.chain_from(0);
            },
        ),
        (
            "the left node as root of one chunk",
            1024,
            &[15, 64],
            |it| {
                it.move_root(LEFT_NODE);
                it.hash.chain_from(0);
            },
        ),
        ("an idle row as root", 100, &[1, 100], |it| {
            it.move_root(100);
            it.hash.chain_from(0);
        }),
        // Tree.
        ("children change places", 2048, &[64], |it| {
            it.hash.rows[LEFT_NODE].compression.block.rotate_left(8);
            it.hash.pair_cvs[0] = it.hash.rows[LEFT_NODE].compression.output();
            it.hash.chain_from(RIGHT_NODE);
        }),
        (
            "children of the top node change places",
            4096,
            &[66],
            |it| {
                it.hash.rows[TOP_NODE].compression.block.rotate_left(8);
            },
        ),
        ("a child twice", 2048, &[64], |it| {
            it.hash.rows[LEFT_NODE]
                .compression
                .block
                .copy_within(..8, 8);
            it.hash.pair_cvs[0] = it.hash.rows[LEFT_NODE].compression.output();
            it.hash.chain_from(RIGHT_NODE);
        }),
        ("another chaining value for a chunk", 2048, &[31], |it| {
            it.hash.chunk_cvs[1] = [7; 8];
            it.hash.rows[LEFT_NODE].compression.block[8..].fill(7);
            let pair = it.hash.rows[LEFT_NODE].compression.output();
            it.hash.pair_cvs[0] = pair;
            it.hash.rows[TOP_NODE].compression.block[..8].copy_from_slice(&pair);
        }),
        ("another value for the left pair", 4096, &[64], |it| {
            it.hash.pair_cvs[0] = [7; 8];
            it.hash.rows[TOP_NODE].compression.block[..8].fill(7);
        }),
        ("another value for the right pair", 4096, &[65], |it| {
            it.hash.pair_cvs[1] = [7; 8];
            it.hash.rows[TOP_NODE].compression.block[8..].fill(7);
        }),
        ("the right node is skipped", 4096, &[65], |it| {
            it.hash.pair_cvs[1] = it.hash.chunk_cvs[2];
            it.hash.rows[TOP_NODE].compression.block[8..].copy_from_slice(&it.hash.chunk_cvs[2]);
        }),
        ("a third chunk under a node of its own", 3000, &[65], |it| {
            it.hash.pair_cvs[1] = it.hash.rows[RIGHT_NODE].compression.output();
            it.hash.rows[TOP_NODE].compression.block[8..].copy_from_slice(&it.hash.pair_cvs[1]);
        }),
        ("a chunk with data is called absent", 2048, &[16], |it| {
            it.hash.present[0] = false;
            it.move_root(15);
            it.hash.chain_from(0);
        }),
        (
            "chunks with data are called absent",
            4096,
            &[32, 48],
            |it| {
                it.hash.present = [true, false, false];
                it.move_root(LEFT_NODE);
                it.hash.chain_from(0);
            },
        ),
        ("the fourth chunk is called absent", 4096, &[48], |it| {
            it.hash.present[2] = false;
            it.hash.chain_from(0);
        }),
        (
            "a chunk without data is called present",
            1024,
            &[16],
            |it| {
                it.hash.present[0] = true;
                it.move_root(LEFT_NODE);
                it.hash.chain_from(0);
            },
        ),
        (
            "a fourth chunk without data is called present",
            3000,
            &[48],
            |it| {
                it.hash.present[2] = true;
                it.hash.chain_from(0);
            },
        ),
        // Data.
        ("data in an idle row", 4096, &[99, 100], |it| {
            it.hash.rows[100].is_data[0] = true;
            it.hash.rows[100].compression.block[0] = 9;
            it.hash.rows[100].compression.block_len = 1;
            it.flip(100, flag::CHUNK_END);
            it.len += 1;
        }),
        ("data in a node", 4096, &[64], |it| {
            it.hash.rows[LEFT_NODE].is_data[0] = true;
            it.hash.rows[LEFT_NODE].compression.block_len += 1;
            it.flip(LEFT_NODE, flag::CHUNK_END);
            it.len += 1;
            it.hash.chain_from(0);
        }),
        ("data with a gap", 100, &[0], |it| {
            it.hash.rows[0].is_data[5] = false;
            it.hash.rows[0].compression.block[1] &= !0xff00;
            it.hash.rows[0].compression.block_len -= 1;
            it.len -= 1;
            it.hash.chain_from(0);
        }),
        ("data that skips the end of a chunk", 1024, &[16], |it| {
            // 1000 bytes in the first chunk, 24 in the second.
            let [head, tail] = [message(1000), message(24)];
            let mut second = Hash::of(&tail);
            second.rows[0].compression.counter = 1;
            second.rows[0].compression.flags &= !(1 << flag::ROOT);
            it.hash = Hash::of(&head);
            it.hash.rows[15].compression.flags &= !(1 << flag::ROOT);
            it.hash.rows[16] = second.rows[0].clone();
            it.hash.rows[16].open = false;
            it.hash.present[0] = true;
            it.flip(LEFT_NODE, flag::ROOT);
            it.digest_row = LEFT_NODE;
            it.hash.chain_from(0);
        }),
        ("a byte that is hashed and not counted", 100, &[1], |it| {
            it.hash.rows[1].is_data[35] = false;
            it.hash.rows[1].compression.block_len -= 1;
            it.len -= 1;
            it.hash.chain_from(0);
        }),
        ("no data at all", 1, &[0], |it| {
            let Forgery { hash, len, .. } = it;
            *len = 0;
            hash.rows[0].is_data[0] = false;
            hash.rows[0].compression.block[0] = 0;
            hash.rows[0].compression.block_len = 0;
            hash.chain_from(0);
        }),
        ("data does not begin with the first byte", 100, &[0], |it| {
            it.hash.rows[0].open = false;
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
    let (honest, values) = honest(&message(3100));
    let cells: Vec<usize> = [
        DATA.start,
        DATA.start + 1,
        DATA.start + 29,
        DATA.end - 1,
        PLACE.start,
        PLACE.start + 48,
        PLACE.end - 1,
        CHUNK_CVS.start,
        CHUNK_CVS.end - 1,
        PAIR_CVS.start,
        PAIR_CVS.end - 1,
    ]
    .into_iter()
    .chain(PRESENT)
    .chain(LINK)
    .collect();
    for row in [0, 1, 48, 49, 66, 127] {
        for &cell in &cells {
            let mut trace = honest.clone();
            let value = &mut trace.values[row * WIDTH + cell];
            // Flags flip, so that being boolean is not what refuses them.
            *value = Val::ONE - *value;
            assert!(!holds(&trace, &values), "row {row}, cell {cell}");
        }
    }
}

#[test]
fn kept_cells_are_bound_and_not_only_constant() {
    let (honest, values) = honest(&message(4096));
    for cell in KEPT.step_by(5) {
        let mut trace = honest.clone();
        for row in trace.values.chunks_exact_mut(WIDTH) {
            row[cell] = Val::ONE - row[cell];
        }
        assert!(!holds(&trace, &values), "cell {cell}");
    }
}
