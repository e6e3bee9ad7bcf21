//! Programs from the system's package manager: what is absent is installed, and said.

use std::process::Command;

use crate::step::{Done, Trouble, find, run, step};

/// A program that tests or benchmarks start, and the Debian package that has it.
pub(crate) struct Need {
    program: &'static str,
    package: &'static str,
    purpose: &'static str,
}

/// What the tests need.
pub(crate) const OF_TESTS: [Need; 8] = [
    Need { program: "chromium", package: "chromium", purpose: "a real browser walks through the login" },
    Need { program: "certutil", package: "libnss3-tools", purpose: "lets that browser trust a certificate" },
    Need { program: "node", package: "nodejs", purpose: "runs an Okta that was not written here" },
    Need { program: "npm", package: "npm", purpose: "fetches it" },
    Need { program: "python3", package: "python3-venv", purpose: "runs a judge of SCIM endpoints" },
    Need { program: "nginx", package: "nginx-light", purpose: "asks the gateway about each request" },
    Need { program: "caddy", package: "caddy", purpose: "asks in another way" },
    Need { program: "pebble", package: "pebble", purpose: "issues certificates to the gateway" },
];

/// What the benchmarks need. HAProxy takes part where it is installed, and `perf` counts system calls where it is.
pub(crate) const OF_BENCH: [Need; 4] = [
    Need { program: "nginx", package: "nginx-light", purpose: "what the gateway is measured against" },
    Need { program: "wrk", package: "wrk", purpose: "asks over HTTP/1.1" },
    Need { program: "h2load", package: "nghttp2-client", purpose: "asks over HTTP/2" },
    Need { program: "taskset", package: "util-linux", purpose: "pins each program to a core" },
];

impl Need {
    /// Debian parts Python from what `python3 -m venv` needs.
    fn is_there(&self) -> bool {
        let with_venv = || Command::new("python3").args(["-c", "import ensurepip, venv"]).output();
        find(self.program).is_some()
            && (self.program != "python3" || with_venv().is_ok_and(|output| output.status.success()))
    }
}

/// Says what is needed and what of it will be installed.
pub(crate) fn announce(needs: &[Need]) {
    for need in needs {
        let state = match find(need.program).filter(|_| need.is_there()) {
            Some(path) => format!("is there: {}", path.display()),
            None => format!("is absent: the Debian package `{}` will be installed", need.package),
        };
        println!("  {:<13} {}; {state}", need.program, need.purpose);
    }
}

/// Installs what is absent.
pub(crate) fn install(needs: &[Need]) -> Done {
    let absent: Vec<&Need> = needs.iter().filter(|need| !need.is_there()).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = absent.iter().map(|need| need.package).collect();
    let list = packages.join(" ");
    if find("apt-get").is_none() {
        let programs: Vec<&str> = absent.iter().map(|need| need.program).collect();
        let programs = programs.join(", ");
        return Err(Trouble(format!(
            "{programs} must be installed, and this system has no apt-get; install them (in Debian: {list}) and repeat"
        )));
    }
    let privileged = || -> Result<Command, Trouble> {
        if is_root() {
            return Ok(Command::new("apt-get"));
        }
        if find("sudo").is_none() {
            let advice = format!("as root: `apt-get update && apt-get install {list}`");
            return Err(Trouble(format!(
                "packages are missing and you are not root and there is no sudo; {advice}"
            )));
        }
        let mut sudo = Command::new("sudo");
        sudo.arg("apt-get");
        Ok(sudo)
    };
    step(&format!("install system packages: {list}"), || {
        run(privileged()?.arg("update"))?;
        let mut install = privileged()?;
        install.env("DEBIAN_FRONTEND", "noninteractive");
        run(install.args(["install", "--yes", "--no-install-recommends"]).args(&packages))
    })?;
    match absent.iter().find(|need| !need.is_there()) {
        Some(need) => {
            Err(Trouble(format!("`{}` is installed, yet `{}` is not found", need.package, need.program)))
        }
        None => Ok(()),
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
