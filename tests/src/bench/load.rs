//! Drives `wrk` and `h2load` and reads what they print. An answer other than 2xx is a fault of the run, never a fast request.

use std::path::Path;
use std::process::{Command, Stdio};

use super::client::Outcome;
use super::contestant::Address;

/// Both programs read this: the same suite and group as all others use.
const OPENSSL: &str = "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n[tls]\n\
                       MinProtocol = TLSv1.3\nCiphersuites = TLS_AES_128_GCM_SHA256\nGroups = X25519\n";

/// What was done, and in what time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    pub(super) requests: u64,
    pub(super) seconds: f64,
}

/// Writes what both programs read.
pub(super) fn prepare(folder: &Path) -> std::io::Result<()> {
    std::fs::write(folder.join("openssl.cnf"), OPENSSL)
}

fn output(command: &mut Command, folder: &Path) -> Outcome<String> {
    command.env("OPENSSL_CONF", folder.join("openssl.cnf")).stdin(Stdio::null());
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("`{name}` cannot be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(format!("`{name}` failed: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// HTTP/1.1 by `wrk`, for a time.
pub(super) fn http1(
    address: &Address,
    path: &str,
    connections: u32,
    seconds: u64,
    folder: &Path,
) -> Outcome<Done> {
    let Address { host, port, cookie } = address;
    let mut command = Command::new("wrk");
    command.args(["-t", "1", "-c", &connections.to_string(), "-d", &format!("{seconds}s")]);
    command.args(["-H", &format!("Host: {host}:{port}"), "-H", &format!("Cookie: {cookie}")]);
    command.arg(format!("https://127.0.0.1:{port}{path}"));
    let text = output(&mut command, folder)?;
    if let Some(line) = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors")) {
        return Err(line.trim().to_owned());
    }
    // `  123456 requests in 2.00s, 150.00MB read`
    let line = text.lines().find(|line| line.contains(" requests in ")).ok_or("`wrk` printed no count")?;
    let mut words = line.split_whitespace();
    let requests = words.next().and_then(|word| word.parse().ok()).ok_or("`wrk` printed no count")?;
    let time = words.nth(2).and_then(|word| word.trim_end_matches(',').strip_suffix('s')?.parse().ok());
    Ok(Done { requests, seconds: time.ok_or("`wrk` printed no time")? })
}

/// HTTP/2 by `h2load`, so many requests.
pub(super) fn http2(
    address: &Address,
    path: &str,
    (connections, streams): (u32, u32),
    requests: u64,
    folder: &Path,
) -> Outcome<Done> {
    let Address { host, port, cookie } = address;
    let mut command = Command::new("h2load");
    command.args(["-t", "1", "-c", &connections.to_string(), "-m", &streams.to_string()]);
    command.args(["-n", &requests.to_string(), "-H", &format!("cookie: {cookie}")]);
    command.args(["--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--groups=X25519"]);
    command.arg(format!("--connect-to=127.0.0.1:{port}")).arg(format!("https://{host}:{port}{path}"));
    let text = output(&mut command, folder)?;
    // `finished in 1.23s, 81000.00 req/s, 80.00MB/s`, `status codes: 100000 2xx, 0 3xx, 0 4xx, 0 5xx`
    let after = |prefix: &str| text.lines().find_map(|line| line.strip_prefix(prefix));
    let good = after("status codes: ").and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    if good != Some(requests) {
        return Err(format!("{} of {requests} answers were good", good.unwrap_or_default()));
    }
    let time = after("finished in ").and_then(|rest| rest.split(',').next());
    Ok(Done { requests, seconds: time.and_then(seconds).ok_or("`h2load` printed no time")? })
}

/// A time as `h2load` prints it: `1.23s`, `450.12ms`, `80us`.
fn seconds(text: &str) -> Option<f64> {
    let (number, scale) = if let Some(number) = text.strip_suffix("ms") {
        (number, 1e-3)
    } else if let Some(number) = text.strip_suffix("us") {
        (number, 1e-6)
    } else {
        (text.strip_suffix('s')?, 1.0)
    };
    Some(number.parse::<f64>().ok()? * scale)
}
