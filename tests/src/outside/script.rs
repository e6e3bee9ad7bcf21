//! A script of `tests/node` or `tests/python` as a running process: JSON goes in as its argument, lines come out, and it is
//! killed when nobody needs it any more.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{node, python};
use crate::harness::{Log, binary};

/// How long a script may take to be ready.
const START_PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A running script; it is killed by its id when dropped.
#[derive(Debug)]
pub struct Script {
    child: Child,
    output: Log,
}

impl Script {
    /// Starts a script of `tests/node` with what it should know.
    ///
    /// # Panics
    /// When node cannot be started.
    #[must_use]
    pub fn start(name: &str, argument: &Value) -> Self {
        Self::spawn(node_command(name, argument))
    }

    /// Starts a script of `tests/python` with what it should know.
    ///
    /// # Panics
    /// When Python cannot be started.
    #[must_use]
    pub fn start_python(name: &str, argument: &Value) -> Self {
        Self::spawn(python_command(name, argument))
    }

    /// Starts a script of either folder that trusts the authority in `ca_file`, as whoever calls the gateway does.
    ///
    /// # Panics
    /// When node or Python cannot be started.
    #[must_use]
    pub fn start_trusting(name: &str, argument: &Value, ca_file: &Path) -> Self {
        let mut command = if Path::new(name).extension().is_some_and(|extension| extension == "py") {
            python_command(name, argument)
        } else {
            node_command(name, argument)
        };
        command.env("NODE_EXTRA_CA_CERTS", ca_file).env("SSL_CERT_FILE", ca_file);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let output = Log::default();
        output.follow(child.stdout.take().expect("stdout is piped"));
        Self { child, output }
    }

    /// Waits until it prints the line `ready`.
    ///
    /// # Panics
    /// When it leaves without that, or takes too long.
    pub async fn ready(&mut self) {
        let until = Instant::now() + START_PATIENCE;
        while !self.output.text().lines().any(|line| line == "ready") {
            let left = self.child.try_wait().expect("the script can be asked");
            assert!(left.is_none(), "the script left without being ready: {}", self.output.text());
            assert!(Instant::now() < until, "the script was not ready in time: {}", self.output.text());
            tokio::time::sleep(POLL).await;
        }
    }

    /// What it has printed so far.
    #[must_use]
    pub fn output(&self) -> &Log {
        &self.output
    }

    /// Waits until it leaves; what it printed, or, when it was not content, that as an error.
    ///
    /// # Errors
    /// When it left with another code than 0, or did not leave within `patience`.
    ///
    /// # Panics
    /// When the system cannot tell how it left.
    pub async fn over(mut self, patience: Duration) -> Result<String, String> {
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("the script can be asked") {
                // The reading thread needs a moment to reach the end of what was printed.
                tokio::time::sleep(POLL * 10).await;
                let text = self.output.text();
                return if status.success() {
                    Ok(text)
                } else {
                    Err(format!("{text}\nit left with {status}"))
                };
            }
            if Instant::now() > until {
                return Err(format!("{}\nit did not leave within {patience:?}", self.output.text()));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

fn node_command(name: &str, argument: &Value) -> Command {
    let folder = node();
    let mut command = Command::new("node");
    command.arg(folder.join(name)).arg(argument.to_string()).current_dir(folder);
    command
}

fn python_command(name: &str, argument: &Value) -> Command {
    let mut command = Command::new(python());
    command.arg(binary::repository().join("tests/python").join(name)).arg(argument.to_string());
    command
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
