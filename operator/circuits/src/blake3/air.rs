//! The constraints; none has a degree above 3. Why they leave a prover nothing to choose, value by
//! value, with `d_j` the data flags of a row's 64 bytes:
//!
//! - **Place.** The first row has place 0, and the cell that is 1 moves on by one with each row until
//!   it drops out after the last place. So row `k` has place `k`, and rows from 67 on have none:
//!   every sum of place cells is 1 on the rows that it names and 0 on all others, the last included.
//! - **Data.** The data gadget makes the flags a prefix of the 4096 places in the block rows, and 0
//!   on all other rows; the first is 1. The link gadget's count makes their number the public length.
//!   A block is *live* if it has data, which is `d_0`; live blocks are a prefix of all blocks.
//! - **Bytes.** `b_j` is packed from bits that the compression AIR keeps boolean. In block rows it is
//!   0 where it is not data. The fingerprint takes `d_j b_j`, 64 places a block row.
//! - **Length of a block.** The sum of its `d_j`, or 64 in a node; the bits above are 0.
//! - **Counter.** The chunk's index in block rows, else 0; the bits above are 0.
//! - **Start, end, parent.** Start and parent follow from the place. A block is the end of its chunk
//!   if it is live and the next one is not, or is live and the chunk's last: `d_0 - d_0'` or `d_0`.
//!   So a chunk with data has exactly one end, and a chunk without has none.
//! - **Present.** Chunk `c` has data if its first block is live; the cells that say so are equal on
//!   all rows and bound at that block.
//! - **Root.** The end of chunk 0 if chunk 1 has no data; else the left node if chunk 2 has none; else
//!   the top node. The three exclude each other, one of them holds, and each is one row. No flag but
//!   these four is ever set.
//! - **Chaining values in.** A chunk's first block and the nodes start from the initialization
//!   vector, each other block from the output of the row before. Both sides are limbs packed from
//!   boolean bits, so equal limbs mean equal bits.
//! - **Chaining values out.** The kept cells, equal on all rows, are bound where they are made: a
//!   chunk's at its end, the left pair's at the left node. The right pair's is the right node's output
//!   if chunk 3 has data, else chunk 2's value: a parent without a right child is its left child, as
//!   the tree over `n` chunks puts the largest power of two on the left. A chunk without data leaves
//!   its kept cells free. They reach a node, but never one that counts: the left node counts if
//!   chunk 1 has data; the top node if chunk 2 has, and then it takes the right node only if chunk 3
//!   has.
//! - **Blocks of the nodes.** Left and right child from the kept cells.
//! - **Digest.** In the root row the output's limbs are the public ones; each digest has one encoding
//!   in limbs.
//!
//! Blocks without data and idle rows compute compressions that nothing takes up. The public index is
//! in no constraint; the transcript binds it.

use p3_air::utils::pack_bits_le;
use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_blake3_air::{Blake3Air, Blake3Cols};
use p3_field::PrimeCharacteristicRing;
use p3_uni_stark::SubAirBuilder;

use super::columns::{COMPRESSION, Columns, KEPT, WIDTH};
use super::compression::{IV, flag, limbs};
use super::{
    BLOCK_BYTES, BLOCKS, Blake3SegmentAir, CHUNK_BLOCKS, CHUNKS, CV_LIMBS, LEFT_NODE, PLACES,
    RIGHT_NODE, TOP_NODE,
};
use crate::config::Val;
use crate::{data, link, public};

impl BaseAir<Val> for Blake3SegmentAir {
    fn width(&self) -> usize {
        WIDTH
    }

    fn num_public_values(&self) -> usize {
        public::DIGEST + CV_LIMBS
    }
}

impl<AB: AirBuilder<F = Val>> Air<AB> for Blake3SegmentAir {
    fn eval(&self, builder: &mut AB) {
        Blake3Air {}.eval(&mut SubAirBuilder::<AB, Blake3Air, AB::Var>::new(
            builder,
            COMPRESSION,
        ));

        let main = builder.main();
        let (row, next_row) = (main.current_slice(), main.next_slice());
        let local = Columns::read(row);
        let next = Columns::read(next_row);
        let places = Places::<AB>::of(local.place);
        let output = words_limbs::<AB, CV_LIMBS>(local.compression.outputs[..2].as_flattened());

        eval_place(builder, &local, &next);
        let mut transition = builder.when_transition();
        for cell in KEPT {
            transition.assert_eq(next_row[cell], row[cell]);
        }

        data::eval(builder, &local.data, &next.data, places.blocks.clone());
        builder.when_first_row().assert_one(local.data.flags[0]);
        eval_block_bytes(builder, &local, &next, &places);

        eval_tail(builder, &local, &places);
        eval_flags(builder, &local, &next, &places);
        eval_chaining(builder, &local, &next, &places, &output);
        eval_tree(builder, &local, &places, &output);

        for (limb, made) in output.into_iter().enumerate() {
            let claimed = public::value(builder, public::DIGEST + limb);
            builder
                .when(local.compression.flags[flag::ROOT])
                .assert_eq(made, claimed);
        }
    }
}

/// Sums of place cells, each 1 on the rows that it names and 0 on others; degree 1.
struct Places<AB: AirBuilder> {
    /// Blocks.
    blocks: AB::Expr,
    /// Blocks of each chunk.
    chunk: [AB::Expr; CHUNKS],
    /// First blocks of chunks.
    first: AB::Expr,
    /// Last blocks of chunks.
    last: AB::Expr,
    /// Nodes.
    nodes: AB::Expr,
}

impl<AB: AirBuilder> Places<AB> {
    fn of(place: &[AB::Var]) -> Self {
        let sum = |places: &[AB::Var]| places.iter().map(|&place| place.into()).sum::<AB::Expr>();
        let every = |from: usize| {
            let stepped = place[from..BLOCKS].iter().step_by(CHUNK_BLOCKS);
            stepped.map(|&place| place.into()).sum::<AB::Expr>()
        };
        Self {
            blocks: sum(&place[..BLOCKS]),
            chunk: std::array::from_fn(|c| sum(&place[c * CHUNK_BLOCKS..][..CHUNK_BLOCKS])),
            first: every(0),
            last: every(CHUNK_BLOCKS - 1),
            nodes: sum(&place[BLOCKS..]),
        }
    }
}

/// Row `k` has place `k`; rows after the last place have none.
fn eval_place<AB: AirBuilder<F = Val>>(
    builder: &mut AB,
    local: &Columns<'_, AB::Var>,
    next: &Columns<'_, AB::Var>,
) {
    let mut first = builder.when_first_row();
    first.assert_one(local.place[0]);
    for &place in &local.place[1..] {
        first.assert_zero(place);
    }
    let mut transition = builder.when_transition();
    transition.assert_zero(next.place[0]);
    for place in 1..PLACES {
        transition.assert_eq(next.place[place], local.place[place - 1]);
    }
}

/// Bytes of a block are data or 0; the data goes into the fingerprint.
fn eval_block_bytes<AB: AirBuilder<F = Val>>(
    builder: &mut AB,
    local: &Columns<'_, AB::Var>,
    next: &Columns<'_, AB::Var>,
    places: &Places<AB>,
) {
    let bits = local.compression.inputs.as_flattened();
    let bytes = data::bytes_of_bits::<AB, BLOCK_BYTES>(bits);
    for (byte, &flag) in bytes.iter().zip(&local.data.flags) {
        builder
            .when(places.blocks.clone())
            .when(AB::Expr::ONE - flag)
            .assert_zero(byte.clone());
    }
    let row = link::Row {
        bytes: data::masked::<AB, BLOCK_BYTES>(&bytes, &local.data),
        count: data::count::<AB, BLOCK_BYTES>(&local.data),
        absorbs: places.blocks.clone(),
    };
    link::eval(builder, &local.link, &next.link, row);
}

/// Counter and length of the block.
fn eval_tail<AB: AirBuilder<F = Val>>(
    builder: &mut AB,
    local: &Columns<'_, AB::Var>,
    places: &Places<AB>,
) {
    /// Bits of the numbers 0 to 64.
    const LEN_BITS: usize = 7;
    /// Bits of the numbers 0 to 3.
    const COUNTER_BITS: usize = 2;
    let compression = local.compression;

    let (low, high) = compression.block_len.split_at(LEN_BITS);
    let in_node = places.nodes.clone() * Val::from_usize(BLOCK_BYTES);
    builder.assert_eq(
        pack::<AB>(low),
        data::count::<AB, BLOCK_BYTES>(&local.data) + in_node,
    );
    // These are boolean and fewer than the field's order, so that their sum tells whether any is 1.
    builder.assert_zero(ones::<AB>(high));

    let (low, high) = compression.counter_low.split_at(COUNTER_BITS);
    let chunk: AB::Expr = (1..CHUNKS)
        .map(|c| places.chunk[c].clone() * Val::from_usize(c))
        .sum();
    builder.assert_eq(pack::<AB>(low), chunk);
    builder.assert_zero(ones::<AB>(high) + ones::<AB>(&compression.counter_hi));
}

/// The four flags, each by what it says of the block.
fn eval_flags<AB: AirBuilder<F = Val>>(
    builder: &mut AB,
    local: &Columns<'_, AB::Var>,
    next: &Columns<'_, AB::Var>,
    places: &Places<AB>,
) {
    let flags = &local.compression.flags;
    let (known, others) = flags.split_at(flag::COUNT);
    builder.assert_eq(known[flag::CHUNK_START], places.first.clone());
    builder.assert_eq(known[flag::PARENT], places.nodes.clone());
    builder.assert_zero(ones::<AB>(others));

    let (live, next_live) = (local.data.flags[0], next.data.flags[0]);
    let same_chunk_follows = AB::Expr::ONE - places.last.clone();
    builder.when_transition().assert_eq(
        known[flag::CHUNK_END],
        live - same_chunk_follows * next_live,
    );

    let second: AB::Expr = local.present[0].into();
    let third: AB::Expr = local.present[1].into();
    let only_chunk = places.chunk[0].clone() * known[flag::CHUNK_END];
    let root = only_chunk * (AB::Expr::ONE - second.clone())
        + second * local.place[LEFT_NODE] * (AB::Expr::ONE - third.clone())
        + third * local.place[TOP_NODE];
    builder.assert_eq(known[flag::ROOT], root);

    for c in 1..CHUNKS {
        builder
            .when(local.place[c * CHUNK_BLOCKS])
            .assert_eq(local.present[c - 1], live);
    }
}

/// What each compression starts from.
fn eval_chaining<AB: AirBuilder<F = Val>>(
    builder: &mut AB,
    local: &Columns<'_, AB::Var>,
    next: &Columns<'_, AB::Var>,
    places: &Places<AB>,
    output: &[AB::Expr; CV_LIMBS],
) {
    let started = chaining_value::<AB>(local.compression);
    let iv = IV.map(limbs);
    for (limb, iv) in started.into_iter().zip(iv.as_flattened()) {
        builder
            .when(places.first.clone() + places.nodes.clone())
            .assert_eq(limb, *iv);
    }
    let same_chunk_follows = places.blocks.clone() - places.last.clone();
    let fed = chaining_value::<AB>(next.compression);
    for (limb, made) in fed.into_iter().zip(output) {
        builder
            .when_transition()
            .when(same_chunk_follows.clone())
            .assert_eq(limb, made.clone());
    }
}

/// What the chunks' ends and the nodes make, and what the nodes take.
fn eval_tree<AB: AirBuilder<F = Val>>(
    builder: &mut AB,
    local: &Columns<'_, AB::Var>,
    places: &Places<AB>,
    output: &[AB::Expr; CV_LIMBS],
) {
    let (chunks, pairs) = (local.chunk_cvs, local.pair_cvs);
    let fourth = local.present[2];
    for limb in 0..CV_LIMBS {
        let made = &output[limb];
        for (kept, chunk) in chunks.iter().zip(&places.chunk) {
            builder
                .when(chunk.clone() * local.compression.flags[flag::CHUNK_END])
                .assert_eq(kept[limb], made.clone());
        }
        builder
            .when(local.place[LEFT_NODE])
            .assert_eq(pairs[0][limb], made.clone());
        let only_left: AB::Expr = chunks[2][limb].into();
        let right = only_left.clone() + (made.clone() - only_left) * fourth;
        builder
            .when(local.place[RIGHT_NODE])
            .assert_eq(pairs[1][limb], right);
    }

    let block = words_limbs::<AB, { 2 * CV_LIMBS }>(&local.compression.inputs);
    for (node, children) in [
        (LEFT_NODE, &chunks[..2]),
        (RIGHT_NODE, &chunks[2..]),
        (TOP_NODE, pairs),
    ] {
        for (taken, &child) in block.iter().zip(children.as_flattened()) {
            builder
                .when(local.place[node])
                .assert_eq(taken.clone(), child);
        }
    }
}

/// The chaining value that a compression starts from, in limbs.
fn chaining_value<AB: AirBuilder>(compression: &Blake3Cols<AB::Var>) -> [AB::Expr; CV_LIMBS] {
    words_limbs::<AB, CV_LIMBS>(compression.chaining_values.as_flattened())
}

/// Words given by their bits, as 16-bit limbs, the lower one first.
///
/// *Shape*: half as many words as limbs.
fn words_limbs<AB: AirBuilder, const N: usize>(words: &[[AB::Var; 32]]) -> [AB::Expr; N] {
    let bits = words.as_flattened();
    std::array::from_fn(|limb| pack::<AB>(&bits[16 * limb..16 * (limb + 1)]))
}

fn pack<AB: AirBuilder>(bits: &[AB::Var]) -> AB::Expr {
    pack_bits_le(bits.iter().copied())
}

/// How many of these bits are 1.
fn ones<AB: AirBuilder>(bits: &[AB::Var]) -> AB::Expr {
    bits.iter().map(|&bit| bit.into()).sum()
}
