//! Field elements on their way to and from a device.

use super::Field;
use crate::error::{Error, Result};

/// Words of which each is an element of `F`, in the form that the kernels store.
///
/// They are checked once, where they come in as raw words ([`Elements::new`]), or not at all where
/// they come from a library whose type says so (`From<Vec<p3_baby_bear::BabyBear>>` and its like, which
/// take over the allocation).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elements<F: Field>(Vec<F::Word>);

impl<F: Field> Elements<F> {
    /// The words, if all of them are elements.
    ///
    /// # Errors
    /// [`Error::NotCanonical`].
    pub fn new(words: Vec<F::Word>) -> Result<Self> {
        match first_outside::<F>(&words) {
            None => Ok(Self(words)),
            Some(index) => Err(Error::NotCanonical {
                index,
                word: format!("{:x?}", words[index]),
                field: F::NAME,
            }),
        }
    }

    /// What a device returned, or a library's type vouches for.
    pub(crate) const fn trusted(words: Vec<F::Word>) -> Self {
        Self(words)
    }

    /// Number of elements.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[F::Word] {
        &self.0
    }

    /// The words, without their warrant.
    #[must_use]
    pub fn into_words(self) -> Vec<F::Word> {
        self.0
    }
}

/// The first word that is no field element.
fn first_outside<F: Field>(words: &[F::Word]) -> Option<usize> {
    // Whole runs without an early exit, which the compiler turns into vectors.
    const RUN: usize = 1024;
    let bad = |word: &F::Word| !F::is_element(*word);
    let any_bad = |run: &[F::Word]| run.iter().fold(false, |any, word| any | bad(word));
    let run = words.chunks(RUN).position(any_bad)?;
    let start = run * RUN;
    words[start..]
        .iter()
        .position(bad)
        .map(|index| start + index)
}
