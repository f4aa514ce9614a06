use crate::field::{Elements, Field};

/// The digests of a tree, layer by layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerkleLayers<F: Field> {
    words: Vec<F::Word>,
    /// Digests of each layer, the leaves first.
    lengths: Vec<usize>,
    digest: usize,
}

impl<F: Field> MerkleLayers<F> {
    pub(super) fn new(words: Vec<F::Word>, lengths: Vec<usize>, digest: usize) -> Self {
        assert_eq!(words.len(), lengths.iter().sum::<usize>() * digest);
        Self {
            words,
            lengths,
            digest,
        }
    }

    /// The layers from the leaves to the root: digests one after the other, a layer of more than one
    /// digest padded with one of zeros to an even number.
    pub fn layers(&self) -> impl Iterator<Item = &[F::Word]> {
        let mut rest = &self.words[..];
        self.lengths.iter().map(move |length| {
            let (layer, above) = rest.split_at(length * self.digest);
            rest = above;
            layer
        })
    }

    /// The layers, one after the other, and the digests that each of them has.
    #[must_use]
    pub fn into_parts(self) -> (Elements<F>, Vec<usize>) {
        (Elements::trusted(self.words), self.lengths)
    }
}
