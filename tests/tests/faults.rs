//! Two gateways and a sidecar on one store, real processes, under load, while they are stopped and killed: what the upstream received of
//! somebody after the 2xx to their deactivation. `FAULTS_DEACTIVATIONS` asks for more than a test run has time for (`cargo xtask faults`).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use portcullis_tests::browser::Browser;
use portcullis_tests::harness::{Gateway, Launch, Settings, World, WorldConfig, ports};
use portcullis_tests::okta::{Company, Dialect, Okta, Person, ScimTarget};
use portcullis_tests::upstream::{Keep, UpstreamConfig};
use tokio::task::JoinSet;

/// People of one round; each is deactivated once in it.
const PEOPLE: usize = 24;
const SIDE_BY_SIDE: usize = 6;
const BETWEEN: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_secs(120);
/// Longer than a lease, so that whoever stands still is fenced and finds out.
const STANDSTILL: Duration = Duration::from_secs(12);
/// How long the upstream is watched after the last 2xx.
const WATCH: Duration = Duration::from_secs(2);

fn login(number: usize) -> String {
    format!("person{number:03}@corp.example")
}

/// Everything that runs.
struct Stage {
    world: World,
    second: Gateway,
    second_port: u16,
    sidecar: Sidecar,
}

struct Sidecar {
    child: Child,
    config: std::path::PathBuf,
    environment: Vec<(String, String)>,
    program: std::path::PathBuf,
    port: u16,
}

impl Sidecar {
    fn spawn(&mut self) {
        self.kill_hard();
        self.child = spawn(&self.program, &self.config, &self.environment);
    }

    fn kill_hard(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    async fn ready(&self) {
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "the sidecar never listens");
            tokio::time::sleep(BETWEEN).await;
        }
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.kill_hard();
    }
}

fn spawn(program: &std::path::Path, config: &std::path::Path, environment: &[(String, String)]) -> Child {
    let mut command = Command::new(program);
    command.args(["scim", "serve", "--config"]).arg(config).envs(environment.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Stage {
    async fn set() -> Self {
        let demo = Company::demo();
        let people =
            (0..PEOPLE).map(|number| Person::new(&login(number), "Pat", "Person").in_groups(["Engineering"]));
        let company = Company { people: people.collect(), ..demo };
        let upstream = UpstreamConfig { keep: Keep::Times, ..UpstreamConfig::default() };
        let change: fn(&mut Settings) = |settings| {
            settings.extra = format!(
                "[sidecar]\nlisten = \"127.0.0.1:{}\"\n[limits]\nlogin_per_minute = 100000\n",
                ports::free()
            );
        };
        let config = WorldConfig { company, upstream, provisioned: false, change, ..WorldConfig::default() };
        let mut world = World::with(config).await;
        let (second, second_port) = second_gateway(&world).await;
        let sidecar = sidecar(&world);
        sidecar.ready().await;
        world.scim_key = world.gateway.scim_key("corp", "okta");
        let target = ScimTarget {
            base_url: format!("http://127.0.0.1:{}/scim/v2/corp", sidecar.port),
            token: world.scim_key.clone(),
            bearer: true,
            ca_pem: None,
            dialect: Dialect::Wizard,
        };
        world.okta.set_scim_target(target).unwrap();
        let pushed = world.okta.provision_everyone().await.unwrap();
        assert!(pushed.iter().all(portcullis_tests::okta::Push::accepted), "{:?}", pushed.last());
        Self { world, second, second_port, sidecar }
    }

    /// The wiki as half of the people reach it, and as the others do.
    fn wiki(&self, number: usize) -> String {
        let first = self.world.settings.application_url("wiki");
        if number.is_multiple_of(2) { first } else { format!("https://wiki.localhost:{}", self.second_port) }
    }

    async fn log_in(&self, number: usize) -> Browser {
        let (browser, page) = self.world.logged_in(&login(number)).await.unwrap();
        assert_eq!(page.status, 200, "{}", page.trail());
        browser
    }
}

async fn second_gateway(world: &World) -> (Gateway, u16) {
    let settings = Settings { port: ports::free(), inner_port: ports::free(), ..world.settings.clone() };
    let store = world.gateway.folder().join("portcullis.db");
    let config = settings.toml().replace("sqlite:portcullis.db", &format!("sqlite:{}", store.display()));
    let launch = Launch { config, ..Launch::of(&settings) };
    let second = Gateway::start(launch).await.unwrap_or_else(|e| panic!("{e}"));
    (second, settings.port)
}

fn sidecar(world: &World) -> Sidecar {
    let Launch { program, environment, .. } = Launch::of(&world.settings);
    let config = world.gateway.folder().join("config.toml");
    let listen = world.settings.extra.lines().find_map(|line| line.strip_prefix("listen = \"127.0.0.1:"));
    let port = listen.unwrap().trim_end_matches('"').parse().unwrap();
    let child = spawn(&program, &config, &environment);
    Sidecar { child, config, environment, program, port }
}

/// What one person keeps doing until refused. Tells when their stream was closed.
fn work(jobs: &mut JoinSet<Option<Instant>>, browser: &Browser, wiki: &str, answered: &Arc<AtomicU64>) {
    let (requests, counter, whoami) = (browser.clone(), Arc::clone(answered), format!("{wiki}/whoami"));
    jobs.spawn(async move {
        loop {
            match requests.fetch(&whoami).await.map(|answer| answer.status.as_u16()) {
                Ok(401 | 403) => return None,
                Ok(200) => counter.fetch_add(1, Ordering::Relaxed),
                _ => 0,
            };
            tokio::time::sleep(BETWEEN).await;
        }
    });
    let (uploads, upload) = (browser.clone(), format!("{wiki}/upload"));
    jobs.spawn(async move {
        let upload = uploads.upload(&upload).unwrap();
        while !upload.is_over() && upload.send("a piece of work ").await {
            tokio::time::sleep(BETWEEN).await;
        }
        None
    });
    let (streams, events) = (browser.clone(), format!("{wiki}/events"));
    jobs.spawn(async move {
        let mut events = streams.event_stream(&events).await.ok()?;
        let _ = events.ended().await;
        Some(Instant::now())
    });
}

/// Deactivates until there is a 2xx; when the last request was sent, and when its 2xx had come.
async fn deactivate(okta: Arc<Okta>, number: usize) -> (usize, Instant, Instant) {
    let until = Instant::now() + PATIENCE;
    loop {
        let asked = Instant::now();
        let pushes = okta.deactivate(&login(number)).await.unwrap();
        if let Some(push) = pushes.last().filter(|push| push.accepted()) {
            return (number, asked, push.answered);
        }
        assert!(Instant::now() < until, "{} cannot be deactivated: {:?}", login(number), pushes.last());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What happens to the processes while people are deactivated.
async fn faults(stage: &mut Stage, round: usize) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    if round.is_multiple_of(2) {
        stage.second.freeze();
        stage.sidecar.spawn();
        stage.sidecar.ready().await;
        tokio::time::sleep(STANDSTILL).await;
        stage.second.thaw();
    } else {
        stage.second.kill_hard();
        stage.second.start_again().await.unwrap();
        stage.world.gateway.freeze();
        tokio::time::sleep(STANDSTILL / 3).await;
        stage.world.gateway.thaw();
    }
}

#[derive(Default)]
struct Report {
    to_2xx: Vec<Duration>,
    to_close: Vec<Duration>,
}

impl Report {
    fn told(times: &mut [Duration]) -> String {
        times.sort_unstable();
        let at = |share: usize| times.get((times.len() - 1) * share / 100).copied().unwrap_or_default();
        format!("p50 {:?}, p90 {:?}, p99 {:?}, longest {:?}", at(50), at(90), at(99), at(100))
    }
}

async fn round(stage: &mut Stage, number: usize, report: &mut Report) {
    let (mut jobs, answered) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
    let mut browsers = Vec::new();
    for person in 0..PEOPLE {
        let browser = stage.log_in(person).await;
        work(&mut jobs, &browser, &stage.wiki(person), &answered);
        browsers.push(browser);
    }
    let begun = Instant::now();
    while answered.load(Ordering::Relaxed) < 4 * PEOPLE as u64 {
        assert!(begun.elapsed() < PATIENCE, "there is no load");
        tokio::time::sleep(BETWEEN).await;
    }
    let okta = stage.world.okta.org_handle();
    let dropping = tokio::spawn(
        stream::iter(0..PEOPLE)
            .map(move |person| deactivate(Arc::clone(&okta), person))
            .buffer_unordered(SIDE_BY_SIDE)
            .collect::<Vec<_>>(),
    );
    faults(stage, number).await;
    let dropped = dropping.await.unwrap();
    let last = dropped.iter().map(|(.., at)| *at).max().unwrap();
    let mut closed = Vec::new();
    let all = async {
        while let Some(job) = jobs.join_next().await {
            closed.extend(job.unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("every stream of every person ends");
    tokio::time::sleep(WATCH).await;
    let recorder = stage.world.upstream.recorder();
    for (person, asked, at) in &dropped {
        let login = login(*person);
        assert!(!recorder.of(&login).is_empty(), "{login} never worked, so the run says nothing");
        let late = recorder.received_after(&login, *at);
        let late: Vec<_> = late.iter().map(|c| format!("{} B {} {:?}", c.len, c.path, c.at - *at)).collect();
        assert!(late.is_empty(), "{login}: bytes after the 2xx: {late:?}");
        report.to_2xx.push(*at - *asked);
    }
    report.to_close.extend(closed.iter().map(|at| at.saturating_duration_since(last)));
    comes_nobody_back(stage, &browsers).await;
    recorder_is_fresh(stage);
}

/// Whoever is active again needs a new login: the old session is over in every process.
async fn comes_nobody_back(stage: &Stage, browsers: &[Browser]) {
    for (number, browser) in browsers.iter().enumerate() {
        let begun = Instant::now();
        loop {
            let pushes = stage.world.okta.reactivate(&login(number)).await.unwrap();
            if pushes.last().is_some_and(portcullis_tests::okta::Push::accepted) {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{:?}", pushes.last());
        }
        for wiki in [stage.wiki(0), stage.wiki(1)] {
            let answer = browser.fetch(&format!("{wiki}/whoami")).await.unwrap();
            assert!(answer.is_refusal() || answer.status.as_u16() == 503, "{number}: {}", answer.status);
        }
    }
}

fn recorder_is_fresh(stage: &Stage) {
    stage.world.upstream.recorder().clear();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_byte_after_a_2xx_whatever_happens_to_the_processes() {
    let wanted: usize = std::env::var("FAULTS_DEACTIVATIONS").map_or(PEOPLE, |text| text.parse().unwrap());
    let mut stage = Stage::set().await;
    let mut report = Report::default();
    for number in 0..wanted.div_ceil(PEOPLE) {
        round(&mut stage, number, &mut report).await;
        println!("{} deactivations, nothing after a 2xx", report.to_2xx.len());
    }
    println!("request to 2xx: {}", Report::told(&mut report.to_2xx));
    println!("2xx to the last stream's close: {}", Report::told(&mut report.to_close));
}
