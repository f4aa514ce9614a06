//! A context with an in-order queue on one device, and what lives in it.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ocl::core::{
    self, ArgVal, CommandQueue, CommandQueueProperties, Context, ContextProperties, Event,
    MapFlags, MemFlags, MemMap,
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

pub(super) fn failure(operation: &'static str) -> impl FnOnce(core::Error) -> Failure {
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

    pub(super) const fn memory(&self) -> &core::Mem {
        &self.memory
    }

    /// Asserts that the buffer has room for `words`, and that there are any.
    pub(super) fn require<W>(&self, words: &[W]) {
        assert!(
            (1..=self.bytes).contains(&size_of_val(words)),
            "a copy of nothing, or past the end of a buffer"
        );
    }
}

/// Host memory that a device works on in place.
pub(crate) struct Adopted<W> {
    // Fields drop in order: the buffer before its memory.
    buffer: Buffer,
    words: Vec<W>,
    queue: CommandQueue,
}

impl<W> Drop for Adopted<W> {
    fn drop(&mut self) {
        // Nothing may run on memory that is given back. Where that is not sure, it is kept for good:
        // after an error of the driver, and while a panic of `ocl` goes up, when another one would end
        // the process.
        let idle = self.words.is_empty()
            || !std::thread::panicking()
                && catch_unwind(AssertUnwindSafe(|| core::finish(&self.queue)))
                    .is_ok_and(|finished| finished.is_ok());
        if !idle {
            std::mem::forget(self.buffer.memory.clone());
            std::mem::forget(std::mem::take(&mut self.words));
        }
    }
}

impl<W> Deref for Adopted<W> {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        &self.buffer
    }
}

/// A compiled kernel. Its arguments are set anew at every launch.
pub(crate) struct Kernel {
    pub(super) kernel: core::Kernel,
    /// Local memory that it takes beside its arguments.
    pub(super) local_bytes: u64,
}

/// An argument of a kernel.
pub(super) enum Argument<'a> {
    Buffer(&'a Buffer),
    U32(u32),
    U64(u64),
    /// Local memory, in bytes.
    Local(usize),
}

/// The queue of a device, and one for transfers beside it.
pub(crate) struct Queue {
    // Fields drop in order: the queues before the context they belong to.
    pub(super) queue: CommandQueue,
    pub(super) transfers: CommandQueue,
    pub(super) context: Context,
    pub(super) device: DeviceHandle,
    local_memory_bytes: u64,
}

impl Queue {
    /// Opens a context and two in-order queues on a device with so much local memory.
    pub(crate) fn open(device: DeviceHandle, local_memory_bytes: u64) -> Result<Self, Failure> {
        let properties = ContextProperties::new().platform(device.platform);
        let context = core::create_context(Some(&properties), &[device.device], None, None)
            .map_err(failure("creating a context"))?;
        // Tests look at when things happened.
        let properties = cfg!(test).then_some(CommandQueueProperties::PROFILING_ENABLE);
        let queue = || {
            core::create_command_queue(&context, device.device, properties)
                .map_err(failure("creating a queue"))
        };
        let (queue, transfers) = (queue()?, queue()?);
        Ok(Self {
            queue,
            transfers,
            context,
            device,
            local_memory_bytes,
        })
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

    /// Makes host memory a buffer, for a device that works on it in place.
    pub(crate) fn adopt<W: Word>(&self, mut words: Vec<W>) -> Result<Adopted<W>, Failure> {
        let bytes = size_of_val(words.as_slice());
        let flags = MemFlags::READ_WRITE | MemFlags::USE_HOST_PTR;
        let limbs = W::limbs_mut(&mut words);
        // SAFETY: the memory belongs to `Adopted` from here on, and is neither read, moved nor freed
        // before the buffer is released.
        let memory = unsafe { core::create_buffer(&self.context, flags, limbs.len(), Some(limbs)) }
            .map_err(allocation_failure("adopting host memory"))?;
        Ok(Adopted {
            buffer: Buffer { memory, bytes },
            words,
            queue: self.queue.clone(),
        })
    }

    /// Gives the memory back, with all that was enqueued done to it.
    pub(crate) fn release<W: Word>(&self, mut adopted: Adopted<W>) -> Result<Vec<W>, Failure> {
        let limbs = W::limbs(&adopted.words).len();
        // SAFETY: the whole buffer, which has that many limbs; the call blocks, and the mapping is
        // given up at once: it is how OpenCL makes host memory current.
        let map: MemMap<W::Limb> = unsafe {
            core::enqueue_map_buffer(
                &self.queue,
                &adopted.buffer.memory,
                true,
                MapFlags::READ,
                0,
                limbs,
                None::<Event>,
                None::<&mut Event>,
            )
        }
        .map_err(failure("reading host memory"))?;
        core::enqueue_unmap_mem_object(
            &self.queue,
            &adopted.buffer.memory,
            &map,
            None::<Event>,
            None::<&mut Event>,
        )
        .map_err(failure("reading host memory"))?;
        core::finish(&self.queue).map_err(failure("waiting for the device"))?;
        Ok(std::mem::take(&mut adopted.words))
    }

    /// Copies `words` to the start of `buffer`; returns when they are there.
    pub(crate) fn write<W: Word>(&self, buffer: &Buffer, words: &[W]) -> Result<(), Failure> {
        buffer.require(words);
        // SAFETY: the transfer fits the buffer and blocks, so `words` outlives it.
        unsafe {
            core::enqueue_write_buffer(
                &self.queue,
                &buffer.memory,
                true,
                0,
                W::limbs(words),
                None::<Event>,
                None::<&mut Event>,
            )
        }
        .map_err(failure("copying to the device"))
    }

    /// Copies the start of `buffer` to `words`; returns when all that was enqueued is done.
    pub(crate) fn read<W: Word>(&self, buffer: &Buffer, words: &mut [W]) -> Result<(), Failure> {
        buffer.require(words);
        // SAFETY: the transfer fits the buffer and blocks; every bit pattern is a word.
        unsafe {
            core::enqueue_read_buffer(
                &self.queue,
                &buffer.memory,
                true,
                0,
                W::limbs_mut(words),
                None::<Event>,
                None::<&mut Event>,
            )
        }
        .map_err(failure("copying from the device"))
    }

    /// Enqueues a copy of the first `bytes` of `from` to the start of `to`.
    pub(crate) fn copy(&self, from: &Buffer, to: &Buffer, bytes: usize) -> Result<(), Failure> {
        assert!(
            bytes <= from.bytes.min(to.bytes) && from.memory.as_ptr() != to.memory.as_ptr(),
            "a copy past the end of a buffer, or onto itself"
        );
        core::enqueue_copy_buffer::<u8, _, _, _>(
            &self.queue,
            &from.memory,
            &to.memory,
            0,
            0,
            bytes,
            None::<Event>,
            None::<&mut Event>,
        )
        .map_err(failure("copying on the device"))
    }

    /// Returns when all that was enqueued is done.
    pub(crate) fn wait(&self) -> Result<(), Failure> {
        core::finish(&self.queue).map_err(failure("waiting for the device"))
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
        let local_bytes = arguments.iter().map(|argument| match argument {
            Argument::Local(bytes) => *bytes as u64,
            _ => 0,
        });
        let local_bytes = kernel.local_bytes + local_bytes.sum::<u64>();
        if local_bytes > self.local_memory_bytes {
            // Some drivers end the process instead of refusing.
            return Err(Failure::Status {
                operation: "launching a kernel",
                status: format!(
                    "{local_bytes} bytes of local memory, the device has {}",
                    self.local_memory_bytes
                ),
            });
        }
        for (index, argument) in (0..).zip(arguments) {
            let value = match argument {
                Argument::Buffer(buffer) => ArgVal::mem(&buffer.memory),
                Argument::U32(number) => ArgVal::scalar(number),
                Argument::U64(number) => ArgVal::scalar(number),
                Argument::Local(bytes) => ArgVal::local::<u8>(bytes),
            };
            core::set_kernel_arg(&kernel.kernel, index, value)
                .map_err(failure("setting a kernel argument"))?;
        }
        // SAFETY: the caller vouches for the arguments.
        unsafe {
            core::enqueue_kernel(
                &self.queue,
                &kernel.kernel,
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
