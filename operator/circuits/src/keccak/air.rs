//! The constraints; none has a degree above 3.

use std::borrow::Borrow;

use p3_air::utils::pack_bits_le;
use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_keccak_air::{KeccakAir, KeccakCols, NUM_ROUNDS_MIN_1};
use p3_uni_stark::SubAirBuilder;

use super::columns::{Columns, ROUND, WIDTH};
use super::{DIGEST_LIMBS, KeccakSegmentAir, LANE_BYTES, LANES, LIMBS, RATE_LANES};
use crate::config::Val;
use crate::{data, link, public};

impl BaseAir<Val> for KeccakSegmentAir {
    fn width(&self) -> usize {
        WIDTH
    }

    fn num_public_values(&self) -> usize {
        public::DIGEST + DIGEST_LIMBS
    }
}

impl<AB: AirBuilder<F = Val>> Air<AB> for KeccakSegmentAir {
    fn eval(&self, builder: &mut AB) {
        KeccakAir {}.eval(&mut SubAirBuilder::<AB, KeccakAir, AB::Var>::new(
            builder, ROUND,
        ));

        let main = builder.main();
        let (row, next_row) = (main.current_slice(), main.next_slice());
        let round: &KeccakCols<AB::Var> = row[ROUND].borrow();
        let local = Columns::read(row);
        let next = Columns::read(next_row);

        let absorbs: AB::Expr = round.step_flags[..RATE_LANES]
            .iter()
            .map(|&flag| flag.into())
            .sum();
        let last_step: AB::Expr = round.step_flags[NUM_ROUNDS_MIN_1].into();

        eval_life(builder, &local, &next, &last_step);
        eval_chain(builder, round, &local, &next, &last_step);
        eval_absorb(builder, round, &local);

        data::eval(builder, &local.data, &next.data, absorbs.clone());
        let bytes = data::bytes_of_bits::<AB, LANE_BYTES>(local.message);
        eval_padding(builder, round, &local, &bytes, absorbs.clone());

        link::eval(
            builder,
            &local.link,
            &next.link,
            link::Row {
                bytes: data::masked::<AB, _>(&bytes, &local.data),
                count: data::count::<AB, _>(&local.data),
                absorbs,
            },
        );

        let mut digest = builder.when(last_step * local.is_final);
        for lane in 0..DIGEST_LIMBS / LIMBS {
            for limb in 0..LIMBS {
                let claimed = public::value(&digest, public::DIGEST + lane * LIMBS + limb);
                digest.assert_eq(output(round, lane, limb), claimed);
            }
        }
    }
}

/// A limb of the permutation's input.
fn input<T: Copy>(round: &KeccakCols<T>, lane: usize, limb: usize) -> T {
    round.preimage[lane / 5][lane % 5][limb]
}

/// A limb of the round's output, that is of the permutation's on its last row.
fn output<T: Copy>(round: &KeccakCols<T>, lane: usize, limb: usize) -> T {
    round.a_prime_prime_prime(lane / 5, lane % 5, limb)
}

/// Permutations live from the first to exactly one final one, and never again.
///
/// Final is the one in which the data ended: at its last row `open` is 0, at the last row of a live
/// one before it still 1. A trace ends dead, so there is a final one.
fn eval_life<AB: AirBuilder<F = Val>>(
    builder: &mut AB,
    local: &Columns<'_, AB::Var>,
    next: &Columns<'_, AB::Var>,
    last_step: &AB::Expr,
) {
    builder.assert_bool(local.live);
    builder.assert_bool(local.is_final);
    builder
        .when(AB::Expr::ONE - local.live)
        .assert_zero(local.is_final);
    builder.when_first_row().assert_one(local.live);
    builder.when_last_row().assert_zero(local.live);
    builder
        .when(last_step.clone())
        .assert_eq(local.data.open, local.live - local.is_final);

    let mut transition = builder.when_transition();
    transition.assert_eq(next.live, local.live - last_step.clone() * local.is_final);
    transition
        .when(AB::Expr::ONE - last_step.clone())
        .assert_eq(next.is_final, local.is_final);
}

/// The chain is zero in the first permutation and then the output of the one before.
fn eval_chain<AB: AirBuilder<F = Val>>(
    builder: &mut AB,
    round: &KeccakCols<AB::Var>,
    local: &Columns<'_, AB::Var>,
    next: &Columns<'_, AB::Var>,
    last_step: &AB::Expr,
) {
    for lane in 0..LANES {
        for limb in 0..LIMBS {
            let kept = local.chain[lane][limb];
            builder.when_first_row().assert_zero(kept);
            let made = output(round, lane, limb);
            builder.when_transition().assert_eq(
                next.chain[lane][limb],
                last_step.clone() * (made - kept) + kept,
            );
        }
    }
}

/// The permutation's input is the chain with the message added to its rate.
///
/// Row `k` checks lane `k`. On rows without a lane both selections are 0, which forces the bits of
/// chain and message to 0.
fn eval_absorb<AB: AirBuilder<F = Val>>(
    builder: &mut AB,
    round: &KeccakCols<AB::Var>,
    local: &Columns<'_, AB::Var>,
) {
    for (&message, &chain) in local.message.iter().zip(local.chain_bits) {
        builder.assert_bool(message);
        builder.assert_bool(chain);
    }
    for limb in 0..LIMBS {
        let bits = 16 * limb..16 * (limb + 1);
        let chain: AB::Expr = pack_bits_le(local.chain_bits[bits.clone()].iter().copied());
        let sum: AB::Expr = pack_bits_le(bits.map(|i| {
            let message: AB::Expr = local.message[i].into();
            message.xor(&local.chain_bits[i].into())
        }));
        let selected = |cell: &dyn Fn(usize) -> AB::Var| -> AB::Expr {
            (0..RATE_LANES)
                .map(|lane| round.step_flags[lane] * cell(lane))
                .sum()
        };
        builder.assert_eq(selected(&|lane| local.chain[lane][limb]), chain);
        builder.assert_eq(selected(&|lane| input(round, lane, limb)), sum);
    }
    for lane in RATE_LANES..LANES {
        for limb in 0..LIMBS {
            builder.assert_eq(input(round, lane, limb), local.chain[lane][limb]);
        }
    }
}

/// A byte that is no data is 0x01 if it is the first after the data, plus 0x80 if it is the last
/// of the final block, and 0 otherwise, also in permutations after the final one.
fn eval_padding<AB: AirBuilder<F = Val>>(
    builder: &mut AB,
    round: &KeccakCols<AB::Var>,
    local: &Columns<'_, AB::Var>,
    bytes: &[AB::Expr; LANE_BYTES],
    absorbs: AB::Expr,
) {
    let mut padding = data::first_after::<AB, LANE_BYTES>(&local.data, absorbs);
    padding[LANE_BYTES - 1] +=
        round.step_flags[RATE_LANES - 1] * local.is_final * Val::from_u8(0x80);
    for ((byte, padding), flag) in bytes.iter().zip(padding).zip(local.data.flags) {
        builder
            .when(AB::Expr::ONE - flag)
            .assert_eq(byte.clone(), padding);
    }
}
