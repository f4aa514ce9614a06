//! A context with one in-order queue on one device, and what lives in it.

use std::ffi::CString;

use ocl::core::{
    self, ArgVal, CommandQueue, Context, ContextProperties, Event, MemFlags, ProgramBuildInfo,
};

use super::{DeviceHandle, Word};

/// Why the driver refused, before anyone has added which device it was.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The device, or the host on its behalf, has no memory left.
    OutOfMemory,
    /// The source does not compile; the compiler's log.
    Build(String),
    /// Anything else.
    Status {
        operation: &'static str,
        status: String,
    },
}

fn failure(operation: &'static str) -> impl FnOnce(core::Error) -> Failure {
    move |error| match error.api_status() {
        Some(
            core::Status::CL_MEM_OBJECT_ALLOCATION_FAILURE | core::Status::CL_OUT_OF_HOST_MEMORY,
        ) => Failure::OutOfMemory,
        Some(status) => Failure::Status {
            operation,
            status: format!("{status:?}"),
        },
        None => Failure::Status {
            operation,
            status: error.to_string(),
        },
    }
}

/// [`failure`] of an allocation. Only here does `CL_OUT_OF_RESOURCES` mean memory: from a launch or
/// a copy it is how drivers report a fault of the device, which is of no more use then.
fn allocation_failure(operation: &'static str) -> impl FnOnce(core::Error) -> Failure {
    move |error| match error.api_status() {
        Some(core::Status::CL_OUT_OF_RESOURCES) => Failure::OutOfMemory,
        _ => failure(operation)(error),
    }
}

/// Memory of the device.
pub(crate) struct Buffer {
    memory: core::Mem,
    bytes: usize,
}

impl Buffer {
    /// Size in bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A compiled kernel. Its arguments are set anew at every launch.
pub(crate) struct Kernel(core::Kernel);

/// An argument of a kernel.
pub(super) enum Argument<'a> {
    Buffer(&'a Buffer),
    U32(u32),
    U64(u64),
    /// Local memory, in bytes.
    Local(usize),
}

/// The one queue of a device.
pub(crate) struct Queue {
    // Fields drop in order: the queue before the context it belongs to.
    queue: CommandQueue,
    context: Context,
    device: DeviceHandle,
}

impl Queue {
    /// Opens a context and an in-order queue.
    pub(crate) fn open(device: DeviceHandle) -> Result<Self, Failure> {
        let properties = ContextProperties::new().platform(device.platform);
        let context = core::create_context(Some(&properties), &[device.device], None, None)
            .map_err(failure("creating a context"))?;
        let queue = core::create_command_queue(&context, device.device, None)
            .map_err(failure("creating a queue"))?;
        Ok(Self {
            queue,
            context,
            device,
        })
    }

    /// Compiles `source` and takes the kernel `name` out of it.
    pub(crate) fn compile(
        &self,
        source: &str,
        options: &str,
        name: &str,
    ) -> Result<Kernel, Failure> {
        let no_nul = |text: &str| {
            CString::new(text).map_err(|error| Failure::Status {
                operation: "reading a source",
                status: error.to_string(),
            })
        };
        let program = core::create_program_with_source(&self.context, &[no_nul(source)?])
            .map_err(failure("creating a program"))?;
        let devices = [self.device.device];
        let built = core::build_program(&program, Some(&devices), &no_nul(options)?, None, None);
        if !self.is_built(&program) {
            let refusal = built.err().map(|error| error.to_string());
            return Err(Failure::Build(
                self.build_log(&program).or(refusal).unwrap_or_default(),
            ));
        }
        built.map_err(failure("building a program"))?;
        core::create_kernel(&program, name)
            .map(Kernel)
            .map_err(failure("creating a kernel"))
    }

    /// Asked apart from the build's own status: `ocl` takes a failure without a log for success.
    fn is_built(&self, program: &core::Program) -> bool {
        use core::{ProgramBuildInfoResult::BuildStatus, ProgramBuildStatus::Success};
        let query = ProgramBuildInfo::BuildStatus;
        let answer = core::get_program_build_info(program, self.device.device, query);
        matches!(answer, Ok(BuildStatus(Success)))
    }

    fn build_log(&self, program: &core::Program) -> Option<String> {
        let query = ProgramBuildInfo::BuildLog;
        match core::get_program_build_info(program, self.device.device, query) {
            Ok(core::ProgramBuildInfoResult::BuildLog(log)) => {
                Some(log.trim().to_owned()).filter(|log| !log.is_empty())
            }
            _ => None,
        }
    }

    /// Reserves `bytes` of device memory, contents undefined.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<Buffer, Failure> {
        // SAFETY: no host pointer is handed over; the driver allocates.
        let memory = unsafe {
            core::create_buffer::<_, u8>(&self.context, MemFlags::READ_WRITE, bytes, None)
        }
        .map_err(allocation_failure("allocating device memory"))?;
        Ok(Buffer { memory, bytes })
    }

    /// Copies `words` to the start of `buffer`; returns when they are there.
    pub(crate) fn write<W: Word>(&self, buffer: &Buffer, words: &[W]) -> Result<(), Failure> {
        assert!(
            size_of_val(words) <= buffer.bytes,
            "write past the end of a buffer"
        );
        // SAFETY: the transfer fits the buffer and blocks, so `words` outlives it.
        unsafe {
            core::enqueue_write_buffer(
                &self.queue,
                &buffer.memory,
                true,
                0,
                words,
                None::<Event>,
                None::<&mut Event>,
            )
        }
        .map_err(failure("copying to the device"))
    }

    /// Copies the start of `buffer` to `words`; returns when all that was enqueued is done.
    pub(crate) fn read<W: Word>(&self, buffer: &Buffer, words: &mut [W]) -> Result<(), Failure> {
        assert!(
            size_of_val(words) <= buffer.bytes,
            "read past the end of a buffer"
        );
        // SAFETY: the transfer fits the buffer and blocks; every bit pattern is a word.
        unsafe {
            core::enqueue_read_buffer(
                &self.queue,
                &buffer.memory,
                true,
                0,
                words,
                None::<Event>,
                None::<&mut Event>,
            )
        }
        .map_err(failure("copying from the device"))
    }

    /// Enqueues `groups` groups of `group_size`.
    ///
    /// # Safety
    /// With these arguments the kernel must stay inside its buffers.
    pub(super) unsafe fn enqueue(
        &self,
        kernel: &Kernel,
        arguments: &[Argument<'_>],
        groups: usize,
        group_size: usize,
    ) -> Result<(), Failure> {
        for (index, argument) in (0..).zip(arguments) {
            let value = match argument {
                Argument::Buffer(buffer) => ArgVal::mem(&buffer.memory),
                Argument::U32(number) => ArgVal::scalar(number),
                Argument::U64(number) => ArgVal::scalar(number),
                Argument::Local(bytes) => ArgVal::local::<u8>(bytes),
            };
            core::set_kernel_arg(&kernel.0, index, value)
                .map_err(failure("setting a kernel argument"))?;
        }
        // SAFETY: the caller vouches for the arguments.
        unsafe {
            core::enqueue_kernel(
                &self.queue,
                &kernel.0,
                1,
                None,
                &[groups * group_size, 1, 1],
                Some([group_size, 1, 1]),
                None::<Event>,
                None::<&mut Event>,
            )
        }
        .map_err(failure("launching a kernel"))
    }
}
