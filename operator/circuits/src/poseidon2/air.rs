//! The constraints; none has a degree above 3.

use std::borrow::Borrow;

use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_uni_stark::SubAirBuilder;

use super::columns::{DATA, LINK, MESSAGE, PERMUTATION, WIDTH};
use super::{Poseidon2SegmentAir, RATE};
use crate::config::Val;
use crate::digest::{POSEIDON2_BLOCK_BYTES as BLOCK_BYTES, POSEIDON2_ELEMENT_BYTES};
use crate::permutation_air::{PermutationAir, PermutationCols, permutation_output};
use crate::{data, link, public};

impl BaseAir<Val> for Poseidon2SegmentAir {
    fn width(&self) -> usize {
        WIDTH
    }

    fn num_public_values(&self) -> usize {
        public::DIGEST + RATE
    }
}

impl<AB: AirBuilder<F = Val>> Air<AB> for Poseidon2SegmentAir {
    fn eval(&self, builder: &mut AB) {
        self.permutation
            .eval(&mut SubAirBuilder::<AB, PermutationAir, AB::Var>::new(
                builder,
                PERMUTATION,
            ));

        let main = builder.main();
        let (row, next_row) = (main.current_slice(), main.next_slice());
        let permutation: &PermutationCols<AB::Var> = row[PERMUTATION].borrow();
        let next_permutation: &PermutationCols<AB::Var> = next_row[PERMUTATION].borrow();
        let made = permutation_output(permutation);

        let flags = data::Columns::<_, BLOCK_BYTES>::read(&row[DATA]);
        let next_flags = data::Columns::read(&next_row[DATA]);
        data::eval(builder, &flags, &next_flags, AB::Expr::ONE);
        // With the falling flags this keeps every flag of the last row 0, and so makes some row the
        // final one: the trace cannot end while data is open.
        builder.when_last_row().assert_zero(flags.open);

        for &bit in &row[MESSAGE] {
            builder.assert_bool(bit);
        }
        let bytes = data::bytes_of_bits::<AB, BLOCK_BYTES>(&row[MESSAGE]);
        let padding = data::first_after::<AB, BLOCK_BYTES>(&flags, AB::Expr::ONE);
        for ((byte, padding), flag) in bytes.iter().zip(padding).zip(flags.flags) {
            builder
                .when(AB::Expr::ONE - flag)
                .assert_eq(byte.clone(), padding);
        }

        for (&input, element) in permutation
            .inputs
            .iter()
            .zip(bytes.chunks_exact(POSEIDON2_ELEMENT_BYTES))
        {
            let element = element.iter().rev().fold(AB::Expr::ZERO, |value, byte| {
                value * Val::from_u16(256) + byte.clone()
            });
            builder.assert_eq(input, element);
        }
        let capacity = permutation.inputs.iter().zip(&next_permutation.inputs);
        for ((&input, &next_input), made) in capacity.zip(made).skip(RATE) {
            builder.when_first_row().assert_zero(input);
            builder.when_transition().assert_eq(next_input, made);
        }

        link::eval(
            builder,
            &link::Columns::read(&row[LINK]),
            &link::Columns::read(&next_row[LINK]),
            link::Row {
                bytes: data::masked::<AB, _>(&bytes, &flags),
                count: data::count::<AB, _>(&flags),
                absorbs: AB::Expr::ONE,
            },
        );

        // The final row is the one in which the data ends.
        let is_final = flags.open - flags.flags[BLOCK_BYTES - 1];
        let mut digest = builder.when(is_final);
        for (i, made) in made.into_iter().take(RATE).enumerate() {
            let claimed = public::value(&digest, public::DIGEST + i);
            digest.assert_eq(made, claimed);
        }
    }
}
