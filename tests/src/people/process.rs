//! What the kernel says of a process and a folder: memory, bytes.

use std::fs;
use std::path::Path;

/// Bytes that are resident now.
pub(super) fn resident(process: u32) -> u64 {
    status(process, "VmRSS:")
}

/// The most bytes that ever were.
pub(super) fn resident_peak(process: u32) -> u64 {
    status(process, "VmHWM:")
}

fn status(process: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib: u64 = line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or_default();
    kib * 1024
}

/// The bytes of all files of a folder.
pub(super) fn folder_bytes(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}
