//! What the kernel knows of the machine and of a process tree: CPU time, memory, system calls. Whose they are is left to others.

use std::collections::HashMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Linux tells CPU time in hundredths of a second to every program, whatever its own clock is.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a tracer needs until it sees every thread.
const ATTACH: Duration = Duration::from_millis(300);

/// One line of `/proc/ID/stat`.
#[derive(Debug, Clone, Copy)]
struct Process {
    parent: u32,
    ticks: u64,
}

fn process(id: u32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name stands in parentheses and may hold anything.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Process { parent: u32::try_from(number(1)?).ok()?, ticks: number(11)? + number(12)? })
}

/// The process and everything that descends from it.
#[must_use]
pub(super) fn tree(root: u32) -> Vec<u32> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let ids = names.filter_map(|name| name.to_str()?.parse::<u32>().ok());
    let all: HashMap<u32, Process> = ids.filter_map(|id| Some((id, process(id)?))).collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(all.iter().filter(|(_, process)| process.parent == parent).map(|(id, _)| *id));
        next += 1;
    }
    found
}

/// CPU seconds, user and system, that a tree has used.
#[must_use]
pub(super) fn cpu_s(root: u32) -> f64 {
    let ticks: u64 = tree(root).into_iter().filter_map(process).map(|process| process.ticks).sum();
    ticks as f64 / TICKS_PER_SECOND
}

/// CPU seconds that the whole machine was busy, and those that a machine above it took away.
#[must_use]
fn busy_s() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
    let idle = ticks.get(3).copied().unwrap_or_default() + ticks.get(4).copied().unwrap_or_default();
    let all: u64 = ticks.iter().take(8).sum();
    (all - idle) as f64 / TICKS_PER_SECOND
}

fn memory_kib(root: u32, key: &str) -> u64 {
    let of = |id: u32| {
        let text = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    tree(root).into_iter().filter_map(of).sum()
}

/// Memory that a tree occupies now.
#[must_use]
pub(super) fn resident_kib(root: u32) -> u64 {
    memory_kib(root, "VmRSS")
}

/// The most that it has occupied since [`forget_peak`].
#[must_use]
pub(super) fn peak_kib(root: u32) -> u64 {
    memory_kib(root, "VmHWM")
}

/// Begins the peak anew.
pub(super) fn forget_peak(root: u32) {
    for id in tree(root) {
        // Where the kernel refuses, the peak is that of the whole life: never too small.
        let _ = fs::write(format!("/proc/{id}/clear_refs"), "5");
    }
}

/// How many descriptors a process may open.
#[must_use]
pub(super) fn descriptors() -> u64 {
    let text = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(1_024)
}

/// Counts the system calls of a tree with `perf`, which costs it little.
#[derive(Debug)]
pub(super) struct Tracer(Child);

impl Tracer {
    /// Begins; `None` when `perf` is not there.
    pub(super) fn attach(root: u32) -> Option<Self> {
        let ids: Vec<String> = tree(root).iter().map(u32::to_string).collect();
        let mut command = Command::new("perf");
        command.args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", &ids.join(",")]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()?;
        std::thread::sleep(ATTACH);
        Some(Self(child))
    }

    /// Ends, with the number of calls; `None` when the kernel does not let them be counted.
    pub(super) fn count(self) -> Option<u64> {
        let id = i32::try_from(self.0.id()).ok()?;
        kill(Pid::from_raw(id), Signal::SIGINT).ok()?;
        let output = self.0.wait_with_output().ok()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = text.lines().find(|line| line.contains("raw_syscalls"))?;
        line.split(',').next()?.parse().ok()
    }
}

/// Watches what others do with the machine meanwhile.
#[derive(Debug)]
pub(super) struct Watch {
    begun: Instant,
    busy_s: f64,
    ours_s: f64,
}

impl Watch {
    pub(super) fn begin() -> Self {
        Self { begun: Instant::now(), busy_s: busy_s(), ours_s: ours_s() }
    }

    /// How many cores others have used on average.
    pub(super) fn foreign_cores(&self) -> f64 {
        let others = (busy_s() - self.busy_s) - (ours_s() - self.ours_s);
        (others / self.begun.elapsed().as_secs_f64()).max(0.0)
    }
}

/// CPU seconds of this program, of all that it runs, and of all that it ran to its end.
fn ours_s() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    let ended: u64 = fields.split(' ').skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    cpu_s(std::process::id()) + ended as f64 / TICKS_PER_SECOND
}
