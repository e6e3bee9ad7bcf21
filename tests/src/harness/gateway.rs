//! One gateway process: started, waited for, killed, started again; and its command line.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Folder, Log, binary};

/// How long a start may take; a debug build on a busy machine makes keys slowly.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long a process may take to leave after it was asked to.
const STOP_PATIENCE: Duration = Duration::from_secs(40);
/// How many lines of its log a failed test shows.
const LAST_WORDS: usize = 40;
const POLL: Duration = Duration::from_millis(10);
/// The file with the development authority, beside the store.
const CA_FILE: &str = "portcullis-dev-ca.pem";

/// What to start.
#[derive(Debug)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Where configuration and data lie.
    pub folder: Folder,
    /// The configuration.
    pub config: String,
    /// Its environment, beside that of the caller.
    pub environment: Vec<(String, String)>,
    /// Where it answers for its health.
    pub inner_port: u16,
}

/// A gateway that did not come up.
#[derive(Debug)]
pub struct StartFailure {
    /// How it left; `None` when it stayed without ever being ready.
    pub code: Option<i32>,
    /// What it wrote to either stream.
    pub output: String,
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "the gateway left with code {code}:\n{}", self.output),
            None => write!(f, "the gateway was not ready within {START_PATIENCE:?}:\n{}", self.output),
        }
    }
}

impl std::error::Error for StartFailure {}

/// A running gateway; killed by its id when dropped.
#[derive(Debug)]
pub struct Gateway {
    launch: Launch,
    child: Child,
    log: Log,
    errors: Log,
}

impl Gateway {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When it leaves instead, or never becomes ready.
    ///
    /// # Panics
    /// When the program cannot be started at all.
    pub async fn start(launch: Launch) -> Result<Self, StartFailure> {
        let config = config_file(&launch.folder);
        std::fs::write(&config, &launch.config).expect("the configuration can be written");
        let (log, errors) = (Log::default(), Log::default());
        let child = spawn(&launch, &log, &errors);
        let mut gateway = Self { launch, child, log, errors };
        gateway.ready().await?;
        Ok(gateway)
    }

    async fn ready(&mut self) -> Result<(), StartFailure> {
        let until = Instant::now() + START_PATIENCE;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                // The reading threads need a moment to reach the end of what was written.
                tokio::time::sleep(POLL * 10).await;
                return Err(StartFailure { code: Some(status.code().unwrap_or(-1)), output: self.output() });
            }
            if self.inner("/readyz").await.is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err(StartFailure { code: None, output: self.output() })
    }

    /// Asks the inner listener; status and body.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn inner(&self, path: &str) -> io::Result<(u16, String)> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.launch.inner_port));
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Ok((status, body.to_owned()))
    }

    /// Kills it as a power cut would, without a word of warning.
    pub fn kill_hard(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to leave and waits for it; the code it left with.
    pub async fn stop(&mut self) -> Option<i32> {
        let id = i32::try_from(self.child.id()).expect("a process id");
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        let until = Instant::now() + STOP_PATIENCE;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.code(),
                _ => tokio::time::sleep(POLL).await,
            }
        }
        self.kill_hard();
        None
    }

    /// Starts it again, on the same files and ports, after it was killed or stopped. The log goes on.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub async fn start_again(&mut self) -> Result<(), StartFailure> {
        self.kill_hard();
        self.child = spawn(&self.launch, &self.log, &self.errors);
        self.ready().await
    }

    /// Writes another configuration for the next start.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_config(&mut self, config: &str) {
        config.clone_into(&mut self.launch.config);
        std::fs::write(config_file(&self.launch.folder), config).expect("the configuration can be written");
    }

    /// Puts another configuration in the place of the one that it runs with, as editors do: whole, by one rename.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn replace_config(&mut self, config: &str) {
        config.clone_into(&mut self.launch.config);
        let (file, beside) = (config_file(&self.launch.folder), self.folder().join("config.toml.new"));
        std::fs::write(&beside, config).expect("the configuration can be written");
        std::fs::rename(beside, file).expect("the configuration can be replaced");
    }

    /// Tells it to read its configuration again.
    pub fn hang_up(&self) {
        self.signal(Signal::SIGHUP);
    }

    /// Stops it where it stands, as a machine does that is out of breath: all its threads, between any two instructions. When this returns
    /// they stand still: a signal is only on its way to them before.
    ///
    /// # Panics
    /// When it goes on all the same.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let until = Instant::now() + STOP_PATIENCE;
        while !self.stands_still() {
            assert!(Instant::now() < until, "the gateway goes on after SIGSTOP");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether each of its threads is stopped (proc(5): the letter behind the name in brackets).
    fn stands_still(&self) -> bool {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.child.id())) else { return true };
        threads.flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('T'))
        })
    }

    /// Lets it go on from there.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        let _ = kill(Pid::from_raw(id), signal);
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The certificate authority to trust.
    ///
    /// # Panics
    /// When it is not there, which a ready gateway rules out.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        std::fs::read_to_string(self.ca_file()).expect("the development CA lies beside the store")
    }

    /// Where that lies.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder().join(CA_FILE)
    }

    /// Where configuration and data lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.launch.folder.path()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it logs.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What it writes to standard error.
    #[must_use]
    pub fn errors(&self) -> &Log {
        &self.errors
    }

    /// Runs the program with other arguments, with the same environment and this configuration.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Output {
        self.launch.command(arguments)
    }

    /// Makes a SCIM key by the command line, as an operator does.
    ///
    /// # Panics
    /// When the command fails or shows no key.
    #[must_use]
    pub fn scim_key(&self, directory: &str, name: &str) -> String {
        let output = self.command(&["scim", "key", "create", "--directory", directory, "--name", name]);
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let token = shown.lines().find_map(|line| line.trim().strip_prefix("token: "));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`scim key create` failed: {shown}{errors}");
        token
            .unwrap_or_else(|| panic!("`scim key create` showed no line `token: ...`: {shown}{errors}"))
            .trim()
            .to_owned()
    }

    fn output(&self) -> String {
        format!("{}\n{}", self.log.text(), self.errors.text()).trim().to_owned()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill_hard();
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            let last = lines.get(lines.len().saturating_sub(LAST_WORDS)..).unwrap_or_default().join("\n");
            eprintln!("--- the last of {} lines that the gateway wrote:\n{last}\n---", lines.len());
        }
    }
}

impl Launch {
    /// The program under test with these settings, in a temporary folder.
    #[must_use]
    pub fn of(settings: &super::Settings) -> Self {
        Self {
            program: binary::portcullis().to_owned(),
            folder: Folder::temporary(),
            config: settings.toml(),
            environment: settings.environment(),
            inner_port: settings.inner_port,
        }
    }

    /// Runs the program on the configuration that lies in the folder, serving or not.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--config").arg(config_file(&self.folder));
        command.envs(self.environment.iter().cloned()).stdin(Stdio::null());
        command.output().expect("the program can be started")
    }
}

fn config_file(folder: &Folder) -> PathBuf {
    folder.path().join("config.toml")
}

fn spawn(launch: &Launch, log: &Log, errors: &Log) -> Child {
    let mut command = Command::new(&launch.program);
    command.args(["run", "--config"]).arg(config_file(&launch.folder));
    command.envs(launch.environment.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|e| panic!("cannot start {}: {e}", launch.program.display()));
    log.follow(child.stdout.take().expect("stdout is piped"));
    errors.follow(child.stderr.take().expect("stderr is piped"));
    child
}
