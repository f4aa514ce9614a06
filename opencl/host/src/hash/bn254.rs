//! Poseidon2 over three elements of BN254's scalar field.

use super::grain;
use crate::driver::Buffer;
use crate::driver::launch::hash::Poseidon2Permute;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::field::mont256::{BN254_FR, Limbs};
use crate::field::mont256_backend::Mont256Backend;
use crate::self_test;
use crate::session::Session;

/// The last part of the kernel's name.
pub(crate) const NAME: &str = "bn254_3";

/// Elements of a state.
pub(crate) const WIDTH: usize = 3;
/// The lanes that the sources are written for.
pub(crate) const LANE_WIDTHS: &[u32] = &[8, 4, 1];
const HALF_EXTERNAL_ROUNDS: usize = 4;
const INTERNAL_ROUNDS: usize = 56;

/// Permutes independent states on a session.
///
/// An element is four words of 64 bits, low first, in Montgomery form with `R = 2^256`: so arkworks and
/// halo2curves keep it.
#[derive(Clone, Copy, Debug)]
pub struct PermuteBn254<'a> {
    session: &'a Session,
}

impl<'a> PermuteBn254<'a> {
    /// Permutes on `session`.
    #[must_use]
    pub const fn new(session: &'a Session) -> Self {
        Self { session }
    }

    /// The round constants in the order of their use: 12 of the first external rounds, 56 of the internal
    /// ones, 12 of the last external rounds.
    #[must_use]
    pub fn round_constants() -> Vec<Limbs> {
        constants()
    }

    /// Applies the permutation `times` times to each of the states.
    ///
    /// *Errors*: [`Error::NotCanonical`], [`Error::OutOfDeviceMemory`], [`Error::Shape`] past `2^32` states, and what the
    /// driver reports.
    /// *Source*: ePrint 2023/323; constants of Horizen Labs' instance, as in zkhash 0.2.
    pub fn permute(&self, states: Vec<[Limbs; WIDTH]>, times: u32) -> Result<Vec<[Limbs; WIDTH]>> {
        if u32::try_from(states.len()).is_err() {
            return Err(Error::Shape(format!("{} states", states.len())));
        }
        let elements = states.as_flattened();
        if let Some(index) = elements.iter().position(|&a| !BN254_FR.contains(a)) {
            return Err(Error::NotCanonical {
                index,
                word: format!("{:x?}", elements[index]),
                field: "bn254_fr",
            });
        }
        if states.is_empty() {
            return Ok(states);
        }
        self.session.run(move |engine| {
            engine.trust(0, self_test::hash::bn254)?;
            permute(engine, &states, times)
        })
    }
}

pub(crate) fn permute(
    engine: &mut Engine,
    states: &[[Limbs; WIDTH]],
    times: u32,
) -> Result<Vec<[Limbs; WIDTH]>> {
    engine.plan_launches(1);
    let data = engine.upload(states.as_flattened().as_flattened())?;
    launch(engine, &data, states.len(), times)?;
    let mut permuted = vec![[[0; 4]; WIDTH]; states.len()];
    engine.download(&data, permuted.as_flattened_mut())?;
    match permuted
        .as_flattened()
        .iter()
        .position(|&a| !BN254_FR.contains(a))
    {
        None => Ok(permuted),
        Some(index) => Err(Error::WrongAnswer {
            device: engine.device().to_string(),
            check: format!("number {index} of a result is no element of bn254_fr"),
        }),
    }
}

/// Permutes `count` states that lie on the device, in place.
pub(crate) fn launch(engine: &mut Engine, states: &Buffer, count: usize, times: u32) -> Result<()> {
    let constants = engine.bn254_constants()?;
    let (backend, shape) = (engine.bn254_backend(), engine.bn254_shape());
    let compiled = engine.bn254_kernel()?;
    let launch = Poseidon2Permute {
        states,
        constants: &constants,
        word_bytes: size_of::<u64>(),
        width: 4 * WIDTH,
        constant_words: backend.constant_words()
            * (2 * HALF_EXTERNAL_ROUNDS * WIDTH + INTERNAL_ROUNDS),
        count,
        times,
    };
    let result = launch.enqueue(engine.queue(), &compiled.kernel, shape);
    engine.launched(&compiled, launch.traffic(), result)
}

/// The round constants as `hash/bn254_3.cl` takes them.
pub(crate) fn kernel_constants(backend: Mont256Backend) -> Vec<u64> {
    let constants = constants().into_iter();
    constants
        .flat_map(|constant| backend.constant(&BN254_FR, constant))
        .collect()
}

/// The round constants in the order of their use, at rest.
fn constants() -> Vec<Limbs> {
    const FIELD_BITS: u32 = 254;
    let mut bits = grain::bits(&grain::Parameters {
        field_bits: u64::from(FIELD_BITS),
        width: WIDTH as u64,
        external_rounds: 2 * HALF_EXTERNAL_ROUNDS as u64,
        internal_rounds: INTERNAL_ROUNDS as u64,
    });
    let mut number = || {
        let mut number: Limbs = [0; 4];
        for bit in (0..FIELD_BITS as usize).rev() {
            number[bit / 64] |= u64::from(bits.next() == Some(true)) << (bit % 64);
        }
        number
    };
    let numbers = std::iter::repeat_with(&mut number);
    let elements = numbers.filter(|&number| BN254_FR.contains(number));
    elements
        .map(|number| BN254_FR.stored(number))
        .take(2 * HALF_EXTERNAL_ROUNDS * WIDTH + INTERNAL_ROUNDS)
        .collect()
}

/// The permutation by definition.
pub(crate) fn reference(state: &mut [Limbs; WIDTH]) {
    let constants = constants();
    let (initial, rest) = constants.split_at(HALF_EXTERNAL_ROUNDS * WIDTH);
    let (internal, terminal) = rest.split_at(INTERNAL_ROUNDS);
    multiply(state, [[2, 1, 1], [1, 2, 1], [1, 1, 2]]);
    external_rounds(state, initial);
    for &constant in internal {
        state[0] = fifth(state[0], constant);
        multiply(state, [[2, 1, 1], [1, 2, 1], [1, 1, 3]]);
    }
    external_rounds(state, terminal);
}

fn external_rounds(state: &mut [Limbs; WIDTH], constants: &[Limbs]) {
    for round in constants.chunks_exact(WIDTH) {
        for (element, &constant) in state.iter_mut().zip(round) {
            *element = fifth(*element, constant);
        }
        multiply(state, [[2, 1, 1], [1, 2, 1], [1, 1, 2]]);
    }
}

fn fifth(element: Limbs, constant: Limbs) -> Limbs {
    let x = BN254_FR.add(element, constant);
    (0..4).fold(x, |power, _| BN254_FR.mul(power, x))
}

fn multiply(state: &mut [Limbs; WIDTH], matrix: [[u32; WIDTH]; WIDTH]) {
    *state = matrix.map(|row| {
        let terms = row.into_iter().zip(*state);
        let units = terms.flat_map(|(entry, element)| (0..entry).map(move |_| element));
        units.fold([0; 4], |sum, element| BN254_FR.add(sum, element))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values published with zkhash 0.2, and with them every constant.
    #[test]
    fn the_definition_is_that_of_the_published_instance() {
        let number = |word| BN254_FR.stored([word, 0, 0, 0]);
        let mut state = [number(0), number(1), number(2)];
        reference(&mut state);
        let hex = |element: Limbs| {
            let [a, b, c, d] = BN254_FR.number(element);
            format!("{d:016x}{c:016x}{b:016x}{a:016x}")
        };
        assert_eq!(
            state.map(hex),
            [
                "0bb61d24daca55eebcb1929a82650f328134334da98ea4f847f760054f4a3033",
                "303b6f7c86d043bfcbcc80214f26a30277a15d3f74ca654992defe7ff8d03570",
                "1ed25194542b12eef8617361c3ba7c52e660b145994427cc86296242cf766ec8",
            ]
        );
    }
}
