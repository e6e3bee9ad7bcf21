//! Sets all contestants up with one certificate and one upstream, lets them take turns row by row, and takes them down.

use std::path::{Path, PathBuf};

use super::client::Outcome;
use super::contestant::Contestant;
use super::load;
use super::machine;
use super::origin;
use super::ours;
use super::report::Report;
use super::rivals;
use super::row::{Extent, Measure, Row};

pub(super) const WITH_AUTH: &str = "nginx auth_request";
pub(super) const US: &str = "portcullis";
pub(super) const BEFORE: &str = "before";

/// What is to be measured, and with what.
#[derive(Debug)]
pub struct Plan {
    /// The gateway's program.
    pub portcullis: PathBuf,
    /// An earlier build of it, to be compared with.
    pub before: Option<PathBuf>,
    /// The floor's program.
    pub floor: PathBuf,
    /// Where figures, logs and configurations go.
    pub folder: PathBuf,
    /// How much.
    pub extent: Extent,
    /// Which rows.
    pub rows: Vec<Row>,
    /// Which contestants; all when empty. The gateway always takes part.
    pub contestants: Vec<String>,
}

/// What all contestants share.
pub(super) struct Papers {
    pub(super) folder: PathBuf,
    pub(super) host: String,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// The certificate, to be trusted by clients.
    pub(super) pem: String,
}

impl Papers {
    /// An ECDSA P-256 certificate for all names, which signs itself.
    fn write(folder: &Path) -> Outcome<Self> {
        let names = ["wiki", "canteen", "auth"].map(|name| format!("{name}.localhost"));
        let made = rcgen::generate_simple_self_signed(names).map_err(|error| error.to_string())?;
        let papers = Self {
            folder: folder.to_owned(),
            host: "wiki.localhost".to_owned(),
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            pem: made.cert.pem(),
        };
        let told = |error: std::io::Error| format!("{}: {error}", folder.display());
        std::fs::create_dir_all(folder).map_err(told)?;
        std::fs::write(&papers.certificate, &papers.pem).map_err(told)?;
        std::fs::write(&papers.key, made.signing_key.serialize_pem()).map_err(told)?;
        load::prepare(folder).map_err(told)?;
        Ok(papers)
    }
}

/// Runs the plan to its end. What fails for one contestant is noted, and the others go on.
///
/// # Errors
/// When the gateway or the floor cannot be set up: then there is nothing to compare.
pub fn run(plan: &Plan) -> Outcome<Report> {
    let folder = std::path::absolute(&plan.folder).map_err(|error| error.to_string())?;
    let papers = Papers::write(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let origin = origin::start();
    let ours = runtime.block_on(ours::start(US, &plan.portcullis, origin, &papers))?;
    let address = ours.contestant.address.clone();
    let before = plan.before.as_deref().map(|it| runtime.block_on(ours::start(BEFORE, it, origin, &papers)));
    let is_wanted = |name: &str| plan.contestants.is_empty() || plan.contestants.iter().any(|it| it == name);
    let mut contestants = vec![ours.contestant];
    let mut providers = vec![ours.okta];
    if let Some(before) = before.transpose()? {
        contestants.push(before.contestant);
        providers.push(before.okta);
    }
    let mut report = Report::new(plan.extent);
    let rivals: [(&str, &dyn Fn() -> Outcome<Contestant>); 4] = [
        ("floor", &|| rivals::floor(&plan.floor, &address, origin, &papers)),
        ("nginx", &|| rivals::nginx("nginx", "", &address, origin, &papers)),
        (WITH_AUTH, &|| rivals::nginx(WITH_AUTH, "auth_request /allowed;", &address, origin, &papers)),
        ("haproxy", &|| rivals::haproxy(&address, origin, &papers)),
    ];
    for (name, start) in rivals.into_iter().filter(|(name, _)| is_wanted(name)) {
        match start() {
            Ok(contestant) => contestants.push(contestant),
            Err(cause) => report.trouble(name, &cause),
        }
    }
    for row in &plan.rows {
        println!("==> {}", row.name());
        for round in 0..row.rounds(plan.extent) {
            for index in 0..contestants.len() {
                // Each round begins with another, so that nobody always follows the same.
                let Some(contestant) = contestants.get((index + round) % contestants.len()) else { continue };
                if row.takes_part(contestant.name) {
                    let measure = Measure {
                        runtime: &runtime,
                        contestant,
                        certificate: &papers.pem,
                        folder: &folder,
                        extent: plan.extent,
                    };
                    take_turn(&mut report, &measure, *row, round);
                }
            }
        }
        report.print_row(*row);
    }
    drop(contestants);
    drop(providers);
    Ok(report)
}

fn take_turn(report: &mut Report, measure: &Measure<'_>, row: Row, round: usize) {
    let name = measure.contestant.name;
    let watch = machine::Watch::begin();
    match measure.run(row) {
        Ok(figures) => report.note(row, name, &figures),
        Err(cause) => return report.trouble(name, &format!("{}: {cause}", row.name())),
    }
    report.foreign(row, watch.foreign_cores());
    if round == 0 {
        match measure.syscalls(row) {
            Ok(figures) => report.note(row, name, &figures),
            Err(cause) => report.trouble(name, &format!("{}: {cause}", row.name())),
        }
    }
}
