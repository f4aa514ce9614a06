//! Which devices there are, and what they say about themselves.
//!
//! Asked through the C interface directly: `ocl` waits ten seconds for a first platform to appear,
//! and panics on a status it does not know.

use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use ocl::core::{DeviceId, PlatformId};
use ocl::ffi;

/// Names a device to the driver. Devices are never created or destroyed, so it is a plain value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeviceHandle {
    pub(super) platform: PlatformId,
    pub(super) device: DeviceId,
}

/// Every device of every platform, with the platform's name, in the loader's order.
///
/// A platform without devices appears with an empty list; no platforms is an empty answer.
pub(crate) fn devices() -> Vec<(String, Vec<DeviceHandle>)> {
    // Some loaders read their configuration without a lock when they are first called.
    static ENUMERATION: Mutex<()> = Mutex::new(());
    let _guard = ENUMERATION.lock().unwrap_or_else(PoisonError::into_inner);
    platform_ids()
        .into_iter()
        .map(|platform| {
            let handles = device_ids(platform)
                .into_iter()
                .map(|device| DeviceHandle { platform, device })
                .collect();
            (platform_name(platform), handles)
        })
        .collect()
}

fn platform_ids() -> Vec<PlatformId> {
    let mut count = 0;
    // SAFETY: with no room for entries the call writes `count` only.
    let status = unsafe { ffi::clGetPlatformIDs(0, ptr::null_mut(), &raw mut count) };
    if status != 0 || count == 0 {
        return Vec::new();
    }
    let mut ids = vec![ptr::null_mut(); count as usize];
    // SAFETY: `ids` has room for `count` entries.
    let status = unsafe { ffi::clGetPlatformIDs(count, ids.as_mut_ptr(), ptr::null_mut()) };
    if status != 0 {
        return Vec::new();
    }
    // SAFETY: the driver has just written these identities.
    ids.into_iter()
        .map(|id| unsafe { PlatformId::from_raw(id) })
        .collect()
}

fn device_ids(platform: PlatformId) -> Vec<DeviceId> {
    let mut count = 0;
    let (platform, all) = (platform.as_ptr(), ffi::CL_DEVICE_TYPE_ALL);
    // SAFETY: with no room for entries the call writes `count` only.
    let status = unsafe { ffi::clGetDeviceIDs(platform, all, 0, ptr::null_mut(), &raw mut count) };
    if status != 0 || count == 0 {
        return Vec::new();
    }
    let mut ids = vec![ptr::null_mut(); count as usize];
    // SAFETY: `ids` has room for `count` entries.
    let status =
        unsafe { ffi::clGetDeviceIDs(platform, all, count, ids.as_mut_ptr(), ptr::null_mut()) };
    if status != 0 {
        return Vec::new();
    }
    // SAFETY: the driver has just written these identities.
    ids.into_iter()
        .map(|id| unsafe { DeviceId::from_raw(id) })
        .collect()
}

fn platform_name(platform: PlatformId) -> String {
    text(&platform_info(platform, ffi::CL_PLATFORM_NAME).unwrap_or_default())
}

fn platform_info(platform: PlatformId, parameter: u32) -> Option<Vec<u8>> {
    query(|size, value, needed| {
        // SAFETY: `value` has room for `size` bytes, or is null and `size` is zero.
        unsafe { ffi::clGetPlatformInfo(platform.as_ptr(), parameter, size, value, needed) }
    })
}

impl DeviceHandle {
    /// A handle for tests that ask no driver.
    #[cfg(test)]
    pub(crate) fn of_nothing() -> Self {
        // SAFETY: null names nothing, and nothing is done with it but to move it about.
        unsafe {
            Self {
                platform: PlatformId::null(),
                device: DeviceId::null(),
            }
        }
    }

    /// The raw answer to a device query, or `None` where the device does not know the question.
    pub(crate) fn bytes(self, parameter: u32) -> Option<Vec<u8>> {
        query(|size, value, needed| {
            // SAFETY: `value` has room for `size` bytes, or is null and `size` is zero.
            unsafe { ffi::clGetDeviceInfo(self.device.as_raw(), parameter, size, value, needed) }
        })
    }

    /// The answer as text, empty where there is none.
    pub(crate) fn text(self, parameter: u32) -> String {
        text(&self.bytes(parameter).unwrap_or_default())
    }

    /// The version of the platform, which for some drivers tells the compiler's as well.
    pub(crate) fn platform_version(self) -> String {
        text(&platform_info(self.platform, ffi::CL_PLATFORM_VERSION).unwrap_or_default())
    }

    /// The answer as a number of four or eight bytes.
    pub(crate) fn number(self, parameter: u32) -> Option<u64> {
        let bytes = self.bytes(parameter)?;
        match bytes.len() {
            4 => bytes
                .try_into()
                .ok()
                .map(|b| u64::from(u32::from_ne_bytes(b))),
            8 => bytes.try_into().ok().map(u64::from_ne_bytes),
            _ => None,
        }
    }
}

/// Asks for the size of an answer, then for the answer.
fn query(ask: impl Fn(usize, *mut c_void, *mut usize) -> i32) -> Option<Vec<u8>> {
    let mut needed = 0;
    if ask(0, ptr::null_mut(), &raw mut needed) != 0 {
        return None;
    }
    let mut bytes = vec![0_u8; needed];
    let status = ask(bytes.len(), bytes.as_mut_ptr().cast(), ptr::null_mut());
    (status == 0).then_some(bytes)
}

/// A C string, without its terminator and the spaces that some drivers pad names with.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}
