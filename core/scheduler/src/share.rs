//! What a seeker has of the network: its dominant share.
//!
//! *Source*: Ghodsi and others, "Dominant Resource Fairness", NSDI 2011. Of cores, memory and devices the
//! one counts of which the seeker has the largest part.

/// Cores, memory, devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Amounts {
    cores: u64,
    ram_mib: u64,
    devices: u64,
}

/// Parts of the network in 2^-20, over the seeker's weight.
pub(crate) type Share = u64;

const ONE: u64 = 1 << 20;

impl Amounts {
    pub(crate) fn new(cores: u64, ram_bytes: u64, devices: u64) -> Self {
        Amounts {
            cores,
            ram_mib: ram_bytes >> 20,
            devices,
        }
    }

    pub(crate) fn add(&mut self, other: &Amounts) {
        self.cores += other.cores;
        self.ram_mib = self.ram_mib.saturating_add(other.ram_mib);
        self.devices += other.devices;
    }

    pub(crate) fn sub(&mut self, other: &Amounts) {
        self.cores -= other.cores;
        self.ram_mib = self.ram_mib.saturating_sub(other.ram_mib);
        self.devices -= other.devices;
    }

    /// The largest of its parts of `total`, over `weight`. What there is none of counts for nothing.
    pub(crate) fn share_of(&self, total: &Amounts, weight: u32) -> Share {
        let parts = [
            (self.cores, total.cores),
            (self.ram_mib, total.ram_mib),
            (self.devices, total.devices),
        ];
        let parts = parts.map(|(own, all)| own.saturating_mul(ONE).checked_div(all).unwrap_or(0));
        let largest = parts.into_iter().max().unwrap_or(0);
        largest / u64::from(weight.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_part_counts_over_the_weight() {
        let total = Amounts::new(100, 1000 << 20, 10);
        for (own, weight, expected) in [
            (Amounts::new(10, 0, 0), 1, ONE / 10),
            (Amounts::new(10, 500 << 20, 1), 1, ONE / 2),
            (Amounts::new(10, 500 << 20, 10), 1, ONE),
            (Amounts::new(10, 500 << 20, 10), 4, ONE / 4),
            (Amounts::new(10, 500 << 20, 10), 0, ONE),
            (Amounts::default(), 1, 0),
        ] {
            assert_eq!(own.share_of(&total, weight), expected, "{own:?} / {weight}");
        }
        assert_eq!(total.share_of(&Amounts::default(), 1), 0);
    }

    #[test]
    fn what_is_added_can_be_taken_away() {
        let mut sum = Amounts::new(3, 7 << 20, 1);
        let one = Amounts::new(1, 5 << 20, 1);
        sum.add(&one);
        sum.sub(&one);
        assert_eq!(sum, Amounts::new(3, 7 << 20, 1));
    }
}
