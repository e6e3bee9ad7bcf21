//! A disk and a clock that do as they are told: the library of `machine.c`, built at run time, and what each process is told by it. It covers
//! what goes through libc, which is how SQLite and Rust's library write and look at the time; pages that are mapped (the `-shm` file) are the
//! kernel's, and a power cut that takes back what was not synced is played by nobody here.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::harness::Folder;

const SOURCE: &str = include_str!("machine.c");

/// What is left of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Enough.
    Enough,
    /// What is there may be written over: a file system that keeps files where they are.
    NoGrowth,
    /// Nothing can be written: one that writes everything anew.
    None,
}

/// The built library.
pub(super) struct Machines {
    folder: Folder,
    library: PathBuf,
}

impl Machines {
    pub(super) fn build() -> Self {
        let folder = Folder::temporary();
        let (source, library) = (folder.path().join("machine.c"), folder.path().join("machine.so"));
        std::fs::write(&source, SOURCE).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let built = compiler.output().expect("`cc` can be started: the store needs it too");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Self { folder, library }
    }

    /// For one process, however often it is started.
    pub(super) fn machine(&self, name: &str) -> Machine {
        let path = self.folder.path().join(name);
        let file = File::create(&path).unwrap();
        let machine = Machine { file, path, library: self.library.clone() };
        machine.heal();
        machine
    }
}

/// What one process is told.
pub(super) struct Machine {
    file: File,
    path: PathBuf,
    library: PathBuf,
}

impl Machine {
    /// What the process is to be started with.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let text = |path: &PathBuf| path.display().to_string();
        vec![("LD_PRELOAD".to_owned(), text(&self.library)), ("FAULTS_CONTROL".to_owned(), text(&self.path))]
    }

    pub(super) fn leave_room(&self, room: Room) {
        self.tell(0, room as i64);
    }

    pub(super) fn sync_takes(&self, longer: Duration) {
        self.tell(1, longer.as_millis() as i64);
    }

    pub(super) fn set_clock(&self, off_s: i64) {
        self.tell(2, off_s);
    }

    /// All is well.
    pub(super) fn heal(&self) {
        self.leave_room(Room::Enough);
        self.sync_takes(Duration::ZERO);
        self.set_clock(0);
    }

    fn tell(&self, place: u64, number: i64) {
        self.file.write_all_at(&number.to_ne_bytes(), place * 8).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(machine: &Machine, command: &str) -> (bool, String) {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).envs(machine.environment());
        let output = shell.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    #[test]
    fn a_process_has_the_disk_and_the_clock_that_it_is_told() {
        let machines = Machines::build();
        let (machine, other) = (machines.machine("one"), machines.machine("other"));
        let file = machines.folder.path().join("file");
        std::fs::write(&file, "12345678").unwrap();
        let file = file.display();
        let (over, append) = (format!("printf 1234 1<>{file}"), format!("printf 1234 >>{file} && echo done"));
        machine.leave_room(Room::NoGrowth);
        assert!(told(&machine, &over).0);
        assert!(!told(&machine, &append).0);
        assert!(told(&other, &append).0);
        machine.leave_room(Room::None);
        assert!(!told(&machine, &over).0);
        machine.heal();
        assert!(told(&machine, &append).0);

        let now = |machine| told(machine, "date +%s").1.parse::<i64>().unwrap();
        machine.set_clock(-7_200);
        assert!((now(&other) - now(&machine) - 7_200).abs() < 60);
    }
}
