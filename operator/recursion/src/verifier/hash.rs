//! Hashes of rows and of nodes.
//!
//! Source: `p3_symmetric::PaddingFreeSponge` and `TruncatedPermutation` of width 16 and rate 8.

use super::transcript::{Lane, pack};
use crate::circuit::{Builder, DigestWires, PACK};

/// The digest of base elements.
///
/// A last block that is not full leaves the rest of the rate as it is.
pub(crate) fn hash(b: &mut Builder, lanes: &[Lane]) -> DigestWires {
    let mut state = [b.zero(); 4];
    for block in lanes.chunks(2 * PACK) {
        for (i, lanes) in block.chunks(PACK).enumerate() {
            let kept = state[i];
            let lane = |k| lanes.get(k).copied().unwrap_or(Lane::Part(kept, k));
            state[i] = pack(b, std::array::from_fn(lane));
        }
        state = b.permute(state);
    }
    [state[0], state[1]]
}

/// The node above two.
pub(crate) fn compress(b: &mut Builder, left: DigestWires, right: DigestWires) -> DigestWires {
    let [a, c, ..] = b.permute([left[0], left[1], right[0], right[1]]);
    [a, c]
}
