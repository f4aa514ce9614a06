//! Plonky3's field elements and the kernels' words are the same bytes; these conversions say so.

use std::mem::ManuallyDrop;

use crate::field::{BabyBear, Elements, Goldilocks, KoalaBear};

/// The vector with its items read as another type.
///
/// # Safety
/// Every item must be a valid `B`.
unsafe fn reread<A, B>(items: Vec<A>) -> Vec<B> {
    const {
        assert!(size_of::<A>() == size_of::<B>() && align_of::<A>() == align_of::<B>());
    }
    let mut items = ManuallyDrop::new(items);
    let (pointer, length, capacity) = (items.as_mut_ptr(), items.len(), items.capacity());
    // SAFETY: size and alignment are equal, the caller vouches for the items, and the allocation has
    // exactly one owner again.
    unsafe { Vec::from_raw_parts(pointer.cast(), length, capacity) }
}

/// Conversions both ways, each in place.
macro_rules! same_bytes {
    ($($ours:ty, $word:ty, $theirs:ty;)*) => {$(
        impl From<Vec<$theirs>> for Elements<$ours> {
            fn from(elements: Vec<$theirs>) -> Self {
                // SAFETY: Plonky3's type is transparent over the word, of which every value is valid.
                Self::trusted(unsafe { reread::<$theirs, $word>(elements) })
            }
        }

        impl From<Elements<$ours>> for Vec<$theirs> {
            fn from(elements: Elements<$ours>) -> Self {
                // SAFETY: as above. What a device returned is not checked to be below the modulus:
                // Plonky3's code would compute wrongly with it, no more, and a proof be refused.
                unsafe { reread::<$word, $theirs>(elements.into_words()) }
            }
        }
    )*};
}

same_bytes! {
    BabyBear, u32, p3_baby_bear::BabyBear;
    KoalaBear, u32, p3_koala_bear::KoalaBear;
    Goldilocks, u64, p3_goldilocks::Goldilocks;
}

#[cfg(test)]
mod tests {
    use p3_field::{PrimeCharacteristicRing, PrimeField32, PrimeField64};

    use super::*;

    #[test]
    fn conversions_keep_the_values_and_the_allocation() {
        let elements: Vec<_> = [0, 1, 2, 0x7800_0000]
            .map(p3_baby_bear::BabyBear::from_u32)
            .to_vec();
        let stored: Vec<_> = elements.iter().map(PrimeField32::to_unique_u32).collect();
        let allocation = elements.as_ptr() as usize;
        let ours = Elements::<BabyBear>::from(elements.clone());
        assert_eq!(ours.words(), stored);
        assert_eq!(Vec::from(ours), elements);
        let moved = Elements::<BabyBear>::from(elements);
        assert_eq!(moved.words().as_ptr() as usize, allocation);

        let elements: Vec<_> = [0, 1, 2, 0x7f00_0000]
            .map(p3_koala_bear::KoalaBear::from_u32)
            .to_vec();
        let stored: Vec<_> = elements.iter().map(PrimeField32::to_unique_u32).collect();
        assert_eq!(Elements::<KoalaBear>::from(elements).words(), stored);

        let elements: Vec<_> = [0, 1, u64::MAX]
            .map(p3_goldilocks::Goldilocks::from_u64)
            .to_vec();
        let ours = Elements::<Goldilocks>::from(elements.clone());
        assert_eq!(ours.words()[..2], [0, 1]);
        let back: Vec<p3_goldilocks::Goldilocks> = ours.into();
        assert_eq!(back[2].as_canonical_u64(), elements[2].as_canonical_u64());
    }
}
