//! Drivers that are installed and that the loader is not told of.
//!
//! The loader reads a folder of `.icd` files, each of which names a driver's library. NVIDIA's container tools put
//! the library into a container and forget the file. The loader takes further libraries from
//! `OCL_ICD_FILENAMES`, and this module puts NVIDIA's there where it is missing.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

const VENDORS: &str = "/etc/OpenCL/vendors";
const NVIDIA: &str = "libnvidia-opencl.so.1";
/// Where distributions, container tools and WSL put it.
const FOLDERS: [&str; 7] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/nvidia/lib64",
    "/usr/local/nvidia/lib",
    "/usr/lib/wsl/lib",
];
const MORE_DRIVERS: &str = "OCL_ICD_FILENAMES";
/// An operator who sets one of these has chosen the drivers.
const CHOSEN: [&str; 4] = [
    MORE_DRIVERS,
    "OCL_ICD_VENDORS",
    "OPENCL_VENDOR_PATH",
    "OCL_DRIVER_PATH",
];

/// Tells the loader of NVIDIA's driver if it is installed and no `.icd` file names one; which library that is.
///
/// To be called at the start of a program, before it has a second thread and before anything asks for devices;
/// later it does nothing, and says so in the log.
pub fn name_missing_driver() -> Option<PathBuf> {
    if CHOSEN
        .iter()
        .any(|variable| std::env::var_os(variable).is_some())
    {
        return None;
    }
    let path = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(FOLDERS.map(PathBuf::from));
    let library = missing_driver(Path::new(VENDORS), folders)?;
    if !is_only_thread() {
        let library = library.display();
        tracing::warn!(%library, "a driver that no icd file names is found too late to be used");
        return None;
    }
    // SAFETY: no other thread of this process exists that could read or write the environment meanwhile.
    unsafe { std::env::set_var(MORE_DRIVERS, &library) };
    Some(library)
}

/// NVIDIA's library in the first of `folders` that has it, if no file in `vendors` names one.
fn missing_driver(vendors: &Path, folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let files = fs::read_dir(vendors).into_iter().flatten().flatten();
    let icd = |path: &Path| path.extension() == Some(OsStr::new("icd"));
    for path in files.map(|file| file.path()).filter(|path| icd(path)) {
        let names = fs::read(path).unwrap_or_default();
        if String::from_utf8_lossy(&names).contains("nvidia-opencl") {
            return None;
        }
    }
    folders
        // A relative folder would be another one tomorrow.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(NVIDIA))
        .find(|library| library.is_file())
}

fn is_only_thread() -> bool {
    let threads = fs::read_dir("/proc/self/task");
    let names: Vec<OsString> = threads
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    names.len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_no_file_names_is_found() {
        let dir = tempfile::tempdir().expect("a folder");
        let (vendors, empty, lib) = (
            dir.path().join("vendors"),
            dir.path().join("empty"),
            dir.path().join("lib"),
        );
        for folder in [&vendors, &empty, &lib] {
            fs::create_dir(folder).expect("a folder");
        }
        let find = || {
            let folders = [PathBuf::from("lib"), empty.clone(), lib.clone()];
            missing_driver(&vendors, folders.into_iter())
        };
        assert_eq!(find(), None, "there is none");
        let library = lib.join(NVIDIA);
        fs::write(&library, b"").expect("written");
        assert_eq!(find(), Some(library.clone()));
        // Others' files, and what is no file of the loader's.
        fs::write(vendors.join("pocl.icd"), "libpocl.so.2\n").expect("written");
        fs::write(vendors.join("nvidia.icd.old"), NVIDIA).expect("written");
        assert_eq!(find(), Some(library));
        fs::write(vendors.join("nvidia.icd"), format!("{NVIDIA}\n")).expect("written");
        assert_eq!(find(), None, "it is named");
        let nowhere = missing_driver(Path::new("/no/such/folder"), [lib].into_iter());
        assert!(nowhere.is_some(), "no folder of drivers at all");
    }

    #[test]
    fn a_program_with_threads_is_left_alone() {
        std::thread::spawn(|| assert!(!is_only_thread()))
            .join()
            .expect("it ran");
    }
}
