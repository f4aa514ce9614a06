//! The Grain generator, from which Poseidon2 takes its round constants.

/// What a permutation's constants follow from.
pub(super) struct Parameters {
    /// Bits of the modulus.
    pub(super) field_bits: u64,
    pub(super) width: u64,
    pub(super) external_rounds: u64,
    pub(super) internal_rounds: u64,
}

/// The bits of a prime field with a power as S-box, after the generator has warmed up.
///
/// *Source*: Poseidon (ePrint 2019/458), appendix F.
pub(super) fn bits(parameters: &Parameters) -> impl Iterator<Item = bool> + use<> {
    let fields = [
        (1, 2),
        (0, 4),
        (parameters.field_bits, 12),
        (parameters.width, 12),
        (parameters.external_rounds, 10),
        (parameters.internal_rounds, 10),
        ((1 << 30) - 1, 30),
    ];
    // Bit i of the register is the one that leaves it after i steps.
    let mut register = 0_u128;
    let mut length = 0;
    for (value, bits) in fields {
        for bit in (0..bits).rev() {
            register |= u128::from(value >> bit & 1) << length;
            length += 1;
        }
    }
    let mut step = move || {
        let taps = [62, 51, 38, 23, 13, 0];
        let bit = taps.iter().fold(0, |sum, &tap| sum ^ register >> tap & 1);
        register = register >> 1 | bit << 79;
        bit == 1
    };
    for _ in 0..160 {
        step();
    }
    // Of each pair the first says whether the second counts.
    std::iter::from_fn(move || {
        loop {
            let (counts, bit) = (step(), step());
            if counts {
                return Some(bit);
            }
        }
    })
}
