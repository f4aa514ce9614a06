//! The configuration of a proof whose transforms, trees and folding run on a device.

use std::sync::Arc;

use froben_circuits::Params;
use froben_circuits::config::{self, Challenge, Challenger};
use froben_opencl::Session;
use p3_uni_stark::StarkConfig;

use super::{OpenClChallengeMmcs, OpenClMmcs, OpenClPcs};

/// [`froben_circuits::config::StockConfig`] on a device.
pub type OpenClConfig = StarkConfig<DevicePcs, Challenge, Challenger>;

/// The commitment scheme of all proofs on a device, trees and all.
pub type DevicePcs = OpenClPcs<OpenClMmcs, OpenClChallengeMmcs>;

/// The configuration of proofs under `params` on `session`.
///
/// Cheap to make, and to be made anew for each proof: a configuration whose device failed once
/// refuses all further work.
#[must_use]
pub fn opencl(params: Params, session: &Arc<Session>) -> OpenClConfig {
    config::over(params, OpenClPcs::on_device(Arc::clone(session), params))
}
