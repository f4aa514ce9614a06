//! Seeds out of one: each run of each case has its own, whichever cases are run beside it.

/// Beyond this a number of Lua is not exact, and a seed could not be written into a spec.
const BITS: u32 = 53;

pub(super) fn exact(seed: u64) -> u64 {
    seed & ((1 << BITS) - 1)
}

/// The seed of what has this name.
pub(super) fn of(base: u64, name: &str) -> u64 {
    // FNV-1a, then the finalizer of SplitMix64: neighbouring names must not give neighbouring seeds.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut mixed = hash ^ base;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    exact(mixed ^ (mixed >> 31))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_by_name_and_base_and_fit_a_number_of_lua() {
        let seeds = [of(1, "a"), of(1, "b"), of(2, "a")];
        assert_eq!(seeds[0], of(1, "a"));
        assert!(seeds[0] != seeds[1] && seeds[0] != seeds[2]);
        assert!(seeds.iter().all(|seed| *seed < 1 << 53));
    }
}
