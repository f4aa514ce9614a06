//! Programs: compiled from source, or taken from the binary that the driver once made of it.

use std::ffi::CString;

use ocl::core::{
    self, KernelWorkGroupInfo, KernelWorkGroupInfoResult, ProgramBuildInfo, ProgramInfo,
    ProgramInfoResult,
};

use super::queue::failure;
use super::{DeviceHandle, Failure, Kernel, Queue};

/// A program that is ready for the one device of its queue.
pub(crate) struct Program {
    program: core::Program,
    device: DeviceHandle,
}

impl Queue {
    /// Compiles `source`.
    pub(crate) fn build(&self, source: &str, options: &str) -> Result<Program, Failure> {
        let program = core::create_program_with_source(&self.context, &[no_nul(source)?])
            .map_err(failure("creating a program"))?;
        self.finish(program, options)
    }

    /// Takes up what [`Program::binary`] gave for the same device, driver and options.
    pub(crate) fn load(&self, binary: &[u8], options: &str) -> Result<Program, Failure> {
        let devices = [self.device.device];
        let program = core::create_program_with_binary(&self.context, &devices, &[binary])
            .map_err(failure("loading a program"))?;
        self.finish(program, options)
    }

    fn finish(&self, program: core::Program, options: &str) -> Result<Program, Failure> {
        let program = Program {
            program,
            device: self.device,
        };
        let devices = [self.device.device];
        let options = no_nul(options)?;
        let built = core::build_program(&program.program, Some(&devices), &options, None, None);
        if !program.is_built() {
            let refusal = built.err().map(|error| error.to_string());
            let log = program.build_log().or(refusal).unwrap_or_default();
            return Err(Failure::Build(log));
        }
        built.map_err(failure("building a program"))?;
        Ok(program)
    }
}

impl Program {
    /// Takes the kernel `name` out of it.
    pub(crate) fn kernel(&self, name: &str) -> Result<Kernel, Failure> {
        let kernel =
            core::create_kernel(&self.program, name).map_err(failure("creating a kernel"))?;
        // Before it has arguments: what they take is added when it is launched.
        let query = KernelWorkGroupInfo::LocalMemSize;
        let local = core::get_kernel_work_group_info(&kernel, self.device.device, query)
            .map_err(failure("asking for a kernel's local memory"))?;
        let local_bytes = match local {
            KernelWorkGroupInfoResult::LocalMemSize(bytes) => bytes,
            _ => 0,
        };
        Ok(Kernel {
            kernel,
            local_bytes,
        })
    }

    /// What [`Queue::load`] takes; `None` where the driver does not give its programs away.
    pub(crate) fn binary(&self) -> Option<Vec<u8>> {
        match core::get_program_info(&self.program, ProgramInfo::Binaries) {
            Ok(ProgramInfoResult::Binaries(binaries)) => binaries
                .into_iter()
                .next()
                .filter(|binary| !binary.is_empty()),
            _ => None,
        }
    }

    /// Asked apart from the build's own status: `ocl` takes a failure without a log for success.
    fn is_built(&self) -> bool {
        use core::{ProgramBuildInfoResult::BuildStatus, ProgramBuildStatus::Success};
        let query = ProgramBuildInfo::BuildStatus;
        let answer = core::get_program_build_info(&self.program, self.device.device, query);
        matches!(answer, Ok(BuildStatus(Success)))
    }

    fn build_log(&self) -> Option<String> {
        let query = ProgramBuildInfo::BuildLog;
        match core::get_program_build_info(&self.program, self.device.device, query) {
            Ok(core::ProgramBuildInfoResult::BuildLog(log)) => {
                Some(log.trim().to_owned()).filter(|log| !log.is_empty())
            }
            _ => None,
        }
    }
}

fn no_nul(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|error| Failure::Status {
        operation: "reading a source",
        status: error.to_string(),
    })
}
