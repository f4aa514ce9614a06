//! What kinds of tasks are known to take: a question that needs no session.

use froben_model::view::ProfileView;
use froben_schema::{common_capnp, convert};
use froben_wire::{Error, Identity, Policy, call, dial, failed};

/// *Errors*: unreachable, a certificate that does not open the door, no answer in time.
pub(crate) async fn profiles(
    address: &str,
    identity: &Identity,
) -> Result<Vec<ProfileView>, Error> {
    const WHAT: &str = "asking for the profiles";
    let link = dial(address, identity, Policy::SEEKER).await?;
    let mut request = link.coordinator.profiles_request();
    request
        .get()
        .set_protocol_version(common_capnp::PROTOCOL_VERSION);
    let answer = call(WHAT, link.patience(), request.send().promise).await?;
    let read = || -> Result<_, capnp::Error> {
        let list = answer.get()?.get_profiles()?.iter();
        list.map(|profile| Ok(convert::read_profile(profile)?))
            .collect()
    };
    read().map_err(|error| failed(WHAT, &error))
}
