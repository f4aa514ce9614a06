//! The constraints; none has a degree above 3. Why they leave a prover nothing to choose, value by
//! value:
//!
//! Rows are blocks of the padded message in order, then idle rows, which hash blocks of zeros. With
//! `d_j` the data flags of a row's 64 bytes and `open` the flag before them:
//!
//! - **Where the data ends.** The data gadget makes the flags one prefix of all byte places of the
//!   trace. The first place after it is a row's `j` with `d_{j-1} - d_j = 1`, place -1 being `open`;
//!   there is at most one in the trace.
//! - **Which row is final.** The final block is that of the first padding byte if this lies at 55 or
//!   before, else the one after. The first case is `open - d_55 = 1`; for the second, `late` is on
//!   every row what `d_55 - d_63` was on the row before, and 0 on the first. So
//!   `final = open - d_55 + late`. The two parts exclude each other: `late` means that the data has
//!   ended, so `open = d_55 = 0`. The last row has `open = late = 0`; as the first has `open = 1`, the
//!   data ends somewhere, so exactly one row is final and it is not the last one.
//! - **Rows after the final one.** From there on `open`, `late` and all `d_j` are 0: such a row adds
//!   no data, and is not final.
//! - **Bytes.** `b_j` is packed from bits that the compression AIR keeps boolean. Where a byte is not
//!   data it is 0x80 at the first place after the data and 0 elsewhere, except that in the final row
//!   the last two bytes are the length in bits: `256 b_62 + b_63 = 8 len`. Both sides are below
//!   2^17, so this is an equation of integers; the six bytes before them are 0, as 8 `len` has only
//!   16 bits. Data bytes are free: they are what the digest and the fingerprint are of.
//! - **Length.** The link gadget adds up the flags over all rows and compares with the public length.
//! - **Chain.** The first row starts from the initialization vector, each later one from its
//!   predecessor's output. Both sides are limbs: the output's are packed from boolean bits, and
//!   input limbs equal to them are therefore below 2^16, as the compression AIR asks.
//! - **Digest.** In the final row the output's limbs are the public ones; each digest has one
//!   encoding in limbs.
//! - **Fingerprint.** The link gadget takes `d_j b_j`, 64 places a row, from the first row on.
//!
//! The public index is in no constraint; the transcript binds it.

use p3_air::utils::pack_bits_le;
use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_sha256_air::{SHA256_IV, Sha256Air, Sha256Cols};
use p3_uni_stark::SubAirBuilder;

use super::columns::{COMPRESSION, Columns, WIDTH};
use super::{BLOCK_BYTES, DIGEST_LIMBS, LAST_ROOM, Sha256SegmentAir};
use crate::config::Val;
use crate::{data, link, public};

/// Where the two bytes of the length that can differ from 0 lie in the final block.
const LENGTH: usize = BLOCK_BYTES - 2;

impl BaseAir<Val> for Sha256SegmentAir {
    fn width(&self) -> usize {
        WIDTH
    }

    fn num_public_values(&self) -> usize {
        public::DIGEST + DIGEST_LIMBS
    }
}

impl<AB: AirBuilder<F = Val>> Air<AB> for Sha256SegmentAir {
    fn eval(&self, builder: &mut AB) {
        Sha256Air.eval(&mut SubAirBuilder::<AB, Sha256Air, AB::Var>::new(
            builder,
            COMPRESSION,
        ));

        let main = builder.main();
        let local = Columns::read(main.current_slice());
        let next = Columns::read(main.next_slice());
        let bytes: [AB::Expr; BLOCK_BYTES] =
            std::array::from_fn(|j| big_endian_byte::<AB>(&local.compression.w[j / 4], j % 4));

        data::eval(builder, &local.data, &next.data, AB::Expr::ONE);
        eval_late(builder, &local, &next);
        let is_final = local.data.open - local.data.flags[LAST_ROOM] + local.late;
        eval_padding(builder, &local, &bytes, &is_final);
        eval_chain(builder, local.compression, next.compression);

        for (limb, made) in output_limbs::<AB>(local.compression)
            .into_iter()
            .enumerate()
        {
            let claimed = public::value(builder, public::DIGEST + limb);
            builder.when(is_final.clone()).assert_eq(made, claimed);
        }

        let row = link::Row {
            bytes: data::masked::<AB, BLOCK_BYTES>(&bytes, &local.data),
            count: data::count::<AB, BLOCK_BYTES>(&local.data),
            absorbs: AB::Expr::ONE,
        };
        link::eval(builder, &local.link, &next.link, row);
    }
}

/// `late` is what `d_55 - d_63` was on the row before; the last row is past the final one.
fn eval_late<AB: AirBuilder<F = Val>>(
    builder: &mut AB,
    local: &Columns<'_, AB::Var>,
    next: &Columns<'_, AB::Var>,
) {
    let flags = &local.data.flags;
    builder.when_first_row().assert_zero(local.late);
    builder
        .when_transition()
        .assert_eq(next.late, flags[LAST_ROOM] - flags[BLOCK_BYTES - 1]);
    builder
        .when_last_row()
        .assert_zeros([local.data.open, local.late]);
}

/// A byte that is not data is 0x80, or part of the length, or 0.
fn eval_padding<AB: AirBuilder<F = Val>>(
    builder: &mut AB,
    local: &Columns<'_, AB::Var>,
    bytes: &[AB::Expr; BLOCK_BYTES],
    is_final: &AB::Expr,
) {
    let first_after = data::first_after::<AB, BLOCK_BYTES>(&local.data, AB::Expr::ONE);
    for (j, (byte, first)) in bytes.iter().zip(first_after).enumerate() {
        let mut not_padding: AB::Expr = local.data.flags[j].into();
        if j >= LENGTH {
            // In the final row these places hold no data and cannot be the first after it.
            not_padding += is_final.clone();
        }
        builder
            .when(AB::Expr::ONE - not_padding)
            .assert_eq(byte.clone(), first * Val::from_u8(0x80));
    }
    let bits = bytes[LENGTH].clone() * Val::from_u16(256) + bytes[LENGTH + 1].clone();
    let len = public::value(builder, public::LEN);
    builder
        .when(is_final.clone())
        .assert_eq(bits, len * Val::from_u8(8));
}

/// The first compression starts from the initialization vector, each other one from its
/// predecessor's output.
fn eval_chain<AB: AirBuilder<F = Val>>(
    builder: &mut AB,
    local: &Sha256Cols<AB::Var>,
    next: &Sha256Cols<AB::Var>,
) {
    for (input, iv) in local.h_in.iter().zip(SHA256_IV) {
        let iv = [iv & 0xffff, iv >> 16].map(AB::Expr::from_u32);
        builder.when_first_row().assert_eq_arrays(*input, iv);
    }
    for (input, output) in next.h_in.iter().zip(&local.h_out) {
        let output = [&output[..16], &output[16..]]
            .map(|bits| pack_bits_le::<AB::Expr, _, _>(bits.iter().copied()));
        builder.when_transition().assert_eq_arrays(*input, output);
    }
}

/// Byte `k` of a word given by its bits, the most significant byte first.
fn big_endian_byte<AB: AirBuilder>(word: &[AB::Var; 32], k: usize) -> AB::Expr {
    let low = 8 * (3 - k);
    pack_bits_le(word[low..low + 8].iter().copied())
}

/// The output as `field::limbs16` encodes a digest: its bytes in pairs, the first one low.
fn output_limbs<AB: AirBuilder<F = Val>>(
    compression: &Sha256Cols<AB::Var>,
) -> [AB::Expr; DIGEST_LIMBS] {
    std::array::from_fn(|limb| {
        let word = &compression.h_out[limb / 2];
        let [low, high] = [0, 1].map(|k| big_endian_byte::<AB>(word, 2 * (limb % 2) + k));
        low + high * Val::from_u16(256)
    })
}
