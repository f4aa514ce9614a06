//! What can go wrong between a caller and a device.

/// A result whose error is this crate's.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure of the device, its driver, or of what was asked of them.
///
/// Clonable, so that one fault can be reported to everyone who waits for the device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The ICD loader knows no OpenCL driver.
    #[error("no opencl driver is installed")]
    NoPlatform,
    /// There are drivers, but none offers a usable device.
    #[error("no usable opencl device among the drivers {platforms:?}")]
    NoDevice {
        /// Names of the platforms that were asked.
        platforms: Vec<String>,
    },
    /// No device has the identity that was asked for.
    #[error("no opencl device {wanted:?}, only {known:?}")]
    UnknownDevice {
        /// The identity that was asked for.
        wanted: String,
        /// The identities that exist.
        known: Vec<String>,
    },
    /// The driver refused the source of a program.
    #[error("program {program} does not build on {device}: {log}")]
    BuildFailed {
        /// Name of the device.
        device: String,
        /// Name of the program.
        program: String,
        /// The compiler's own words.
        log: String,
    },
    /// The work does not fit, even split as finely as it can be.
    #[error("{device} cannot hold {needed_bytes} bytes, {available_bytes} are available")]
    OutOfDeviceMemory {
        /// Name of the device.
        device: String,
        /// Least that the work needs.
        needed_bytes: u64,
        /// What the device, or the session's limit, allows.
        available_bytes: u64,
    },
    /// The device finished without complaint and computed something else.
    #[error("{device} computes wrongly: {check}")]
    WrongAnswer {
        /// Name of the device.
        device: String,
        /// The check that failed.
        check: String,
    },
    /// The arguments do not describe a matrix that the operation is defined on.
    #[error("bad shape: {0}")]
    Shape(String),
    /// An input word is not a field element in the form that the kernels expect.
    #[error("word {index} is {word}, not below the modulus of {field}")]
    NotCanonical {
        /// Position in the input.
        index: usize,
        /// The word, in hexadecimal.
        word: String,
        /// Name of the field.
        field: &'static str,
    },
    /// A call into the driver failed.
    #[error("{operation} failed on {device}: {status}")]
    Driver {
        /// Name of the device.
        device: String,
        /// What was being done.
        operation: &'static str,
        /// The driver's status.
        status: String,
    },
    /// The caller's [`crate::Control`] ended the call.
    #[error(
        "the work on {device} was cancelled after {launches_done} of {launches_planned} launches"
    )]
    Cancelled {
        /// Name of the device.
        device: String,
        /// Launches under the control that were over.
        launches_done: u64,
        /// Launches that its calls so far needed.
        launches_planned: u64,
    },
    /// The thread that owns the device is gone.
    #[error("the session on {device} has ended: {reason}")]
    SessionLost {
        /// Name of the device.
        device: String,
        /// Why it ended.
        reason: String,
    },
}

impl Error {
    /// What the operator of the machine can do about it, where there is something.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoPlatform => Some(
                "install the driver of your GPU, or pocl-opencl-icd to compute on the CPU; \
                 /etc/OpenCL/vendors lists what the loader sees",
            ),
            Self::NoDevice { .. } => Some(
                "run clinfo as the same user; a GPU is often hidden by missing membership in the \
                 groups render or video",
            ),
            Self::UnknownDevice { .. } => Some("devices are named by PCI address, see `clinfo`"),
            Self::BuildFailed { .. } => Some("report the log with the driver's version"),
            Self::OutOfDeviceMemory { .. } => {
                Some("use a device with more memory, or close what else uses this one")
            }
            Self::WrongAnswer { .. } => {
                Some("do not prove on this device; update its driver and test it again")
            }
            Self::Shape(_) | Self::NotCanonical { .. } | Self::Cancelled { .. } => None,
            Self::Driver { .. } | Self::SessionLost { .. } => {
                Some("restart the worker; if it comes back, see the kernel log of the machine")
            }
        }
    }
}
