//! Plonky3's field elements and the kernels' words are the same bytes; these functions say so.

use std::mem::ManuallyDrop;

use p3_baby_bear::BabyBear;

// `MontyField31` is `repr(transparent)` over the `u32` in Montgomery form.
const _: () = assert!(size_of::<BabyBear>() == size_of::<u32>());
const _: () = assert!(align_of::<BabyBear>() == align_of::<u32>());

/// The elements as words, in place.
#[must_use]
pub fn from_babybear(elements: Vec<BabyBear>) -> Vec<u32> {
    let mut elements = ManuallyDrop::new(elements);
    let (pointer, length, capacity) = (elements.as_mut_ptr(), elements.len(), elements.capacity());
    // SAFETY: size and alignment are equal, every element is a valid `u32`, and the allocation has
    // exactly one owner again.
    unsafe { Vec::from_raw_parts(pointer.cast(), length, capacity) }
}

/// The words as elements, in place.
///
/// # Panics
/// If a word is not below the modulus. Launchers return no such word.
#[must_use]
pub fn to_babybear(words: Vec<u32>) -> Vec<BabyBear> {
    let largest = words.iter().copied().fold(0, u32::max);
    assert!(
        u64::from(largest) < <crate::BabyBear as crate::Field>::MODULUS,
        "word {largest} is no field element"
    );
    let mut words = ManuallyDrop::new(words);
    let (pointer, length, capacity) = (words.as_mut_ptr(), words.len(), words.capacity());
    // SAFETY: size and alignment are equal, every word is a canonical element as just checked, and
    // the allocation has exactly one owner again.
    unsafe { Vec::from_raw_parts(pointer.cast(), length, capacity) }
}

#[cfg(test)]
mod tests {
    use p3_field::{PrimeCharacteristicRing, PrimeField32};

    use super::*;

    #[test]
    fn views_keep_the_values() {
        let elements: Vec<_> = [0, 1, 2, 0x7800_0000].map(BabyBear::from_u32).to_vec();
        let words = from_babybear(elements.clone());
        let stored: Vec<_> = elements.iter().map(BabyBear::to_unique_u32).collect();
        assert_eq!(words, stored);
        assert_eq!(to_babybear(words), elements);
    }

    #[test]
    #[should_panic(expected = "no field element")]
    fn a_word_that_is_no_element_is_refused() {
        let _ = to_babybear(vec![0, 0x7800_0001]);
    }
}
