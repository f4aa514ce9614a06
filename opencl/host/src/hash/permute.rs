use std::marker::PhantomData;

use super::{Poseidon2, Word};
use crate::driver::Buffer;
use crate::driver::launch::hash::Poseidon2Permute;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::field::Elements;
use crate::program::Operation;
use crate::self_test;
use crate::session::Session;

/// Permutes independent states on a session.
#[derive(Clone, Copy, Debug)]
pub struct Permute<'a, P> {
    session: &'a Session,
    permutation: PhantomData<P>,
}

impl<'a, P: Poseidon2> Permute<'a, P> {
    /// Permutes on `session`.
    #[must_use]
    pub const fn new(session: &'a Session) -> Self {
        Self {
            session,
            permutation: PhantomData,
        }
    }

    /// Applies the permutation `times` times to each of the states.
    ///
    /// *Shape*: `states` are states of `WIDTH` words, one after the other; none is an answer too.
    /// *Errors*: as for [`crate::Ntt`].
    pub fn permute(&self, states: Elements<P::Field>, times: u32) -> Result<Elements<P::Field>> {
        let (words, width) = (states.len(), P::WIDTH);
        if !words.is_multiple_of(width) || u32::try_from(words / width).is_err() {
            return Err(Error::Shape(format!("{words} words in states of {width}")));
        }
        if words == 0 {
            return Ok(states);
        }
        let permuted = self.session.run(move |engine| {
            engine.trust(0, self_test::hash::permutation::<P>)?;
            permute::<P>(engine, states.into_words(), times)
        })?;
        Ok(Elements::trusted(permuted))
    }
}

pub(crate) fn permute<P: Poseidon2>(
    engine: &mut Engine,
    mut states: Vec<Word<P>>,
    times: u32,
) -> Result<Vec<Word<P>>> {
    engine.plan_launches(1);
    let data = engine.upload(&states)?;
    launch::<P>(engine, &data, states.len() / P::WIDTH, times)?;
    engine.download(&data, &mut states)?;
    Ok(states)
}

/// Permutes `count` states that lie on the device, in place.
pub(crate) fn launch<P: Poseidon2>(
    engine: &mut Engine,
    states: &Buffer,
    count: usize,
    times: u32,
) -> Result<()> {
    let constants = engine.hash_constants::<P>()?;
    let compiled = engine.hash_kernel::<P>(Operation::Poseidon2Permute)?;
    let launch = Poseidon2Permute {
        states,
        constants: &constants,
        word_bytes: size_of::<Word<P>>(),
        width: P::WIDTH,
        constant_words: P::constants().len(),
        count,
        times,
    };
    let result = launch.enqueue(
        engine.queue(),
        &compiled.kernel,
        engine.hash_shape::<P>(Operation::Poseidon2Permute),
    );
    engine.launched(&compiled, launch.traffic(), result)
}
