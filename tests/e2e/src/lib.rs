//! The main job with real binaries: see tests/.
