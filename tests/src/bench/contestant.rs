//! A proxy under measurement: a process tree pinned to the first core, and where it is asked.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::machine;
use crate::harness::Gateway;

/// The core of the proxies; load and upstream share the other.
pub(super) const PROXY_CORE: &str = "0";
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// Where to ask, and as whom.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of the `Cookie` header. All contestants get one of the same length.
    pub(super) cookie: String,
}

/// One proxy, running.
pub(super) struct Contestant {
    pub(super) name: &'static str,
    pub(super) address: Address,
    /// The root of its process tree.
    pub(super) id: u32,
    /// How many connections it can hold under the system's limits.
    pub(super) bears: u64,
    _running: Running,
}

/// What stops when it is dropped.
#[expect(dead_code, reason = "held for its end alone")]
enum Running {
    Process(Process),
    Gateway(Box<Gateway>),
}

/// A process that is asked to leave, so that it takes its workers along.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.0.id()) {
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Ok(Some(_)) = self.0.try_wait() {
                return;
            }
            std::thread::sleep(LOOK);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Contestant {
    /// Starts a program on the proxies' core and waits until it listens.
    pub(super) fn start(
        name: &'static str,
        address: Address,
        folder: &Path,
        words: &[&str],
    ) -> Result<Self, String> {
        let log = folder.join(format!("{name}.log").replace(' ', "-"));
        let errors = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut command = Command::new("taskset");
        command.args(["-c", PROXY_CORE]).args(words).current_dir(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let child = command.spawn().map_err(|error| format!("`taskset` cannot be started: {error}"))?;
        let mut process = Process(child);
        let until = Instant::now() + PATIENCE;
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port));
        while TcpStream::connect(at).is_err() {
            let has_left = matches!(process.0.try_wait(), Ok(Some(_)));
            if has_left || Instant::now() > until {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("{name} does not start: {}", said.trim()));
            }
            std::thread::sleep(LOOK);
        }
        let (id, bears) = (process.0.id(), one_descriptor_each());
        Ok(Self { name, address, id, bears, _running: Running::Process(process) })
    }

    /// The gateway, which was started already.
    pub(super) fn gateway(name: &'static str, address: Address, gateway: Gateway) -> Self {
        let (id, bears) = (gateway.id(), one_descriptor_each());
        Self { name, address, id, bears, _running: Running::Gateway(Box::new(gateway)) }
    }
}

/// One descriptor for each connection, of which the gateway keeps a third for upstreams.
fn one_descriptor_each() -> u64 {
    machine::descriptors().saturating_sub(600) / 3 * 2
}
