//! The processes of a run: gateways on one store, a sidecar beside them or not, each with a disk and a clock of its own, between an upstream
//! that records and a simulated Okta. What is done to them is left to `fault`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use http::Method;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::fault::{Extent, Shape};
use super::line::Lines;
use super::machine::{Machine, Machines};
use super::{Plan, dice::Dice};
use crate::browser::{Browser, Outgoing};
use crate::harness::{Gateway, Launch, Settings, ports};
use crate::okta::company::{DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_PASSWORD};
use crate::okta::{Client, Company, Dialect, Group, OktaConfig, OktaSim, Person, Push, ScimTarget};
use crate::upstream::{Keep, Upstream, UpstreamConfig};

pub(super) const PATIENCE: Duration = Duration::from_secs(120);
pub(super) const LOOK: Duration = Duration::from_millis(40);
/// How long the middle of something is waited for.
const NO_LONGER: Duration = Duration::from_secs(1);
/// Logins, and pushes that make people active, side by side.
pub(super) const SIDE_BY_SIDE: usize = 8;
/// How close a clock is to where it was set, however late it is looked at.
const CLOSE_TO_S: i64 = 600;
/// People of one page of a listing.
const PAGE: usize = 200;

pub(super) fn login(number: usize) -> String {
    format!("person{number:03}@corp.example")
}

/// Everything that runs.
pub(super) struct Stage {
    pub(super) okta: OktaSim,
    pub(super) upstream: Upstream,
    pub(super) gateways: Vec<Gateway>,
    pub(super) sidecar: Sidecar,
    /// The gateway that is pushed to where that is not the sidecar.
    pub(super) pushed_to: usize,
    /// How many deactivations are asked for and not yet acknowledged.
    pub(super) under_way: Arc<AtomicUsize>,
    pub(super) plan: Plan,
    pub(super) dice: Dice,
    pub(super) lines: Lines,
    settings: Vec<Settings>,
    /// Those of the gateways, in their order, and the sidecar's.
    machines: Vec<Machine>,
    browser: Browser,
    key: String,
    dialect: Dialect,
    _machines: Machines,
}

impl Stage {
    pub(super) async fn set(plan: Plan) -> Self {
        let upstream = UpstreamConfig { keep: Keep::Times, ..UpstreamConfig::default() };
        let upstream = Upstream::start(upstream).await.unwrap();
        let people =
            (0..plan.people).map(|n| Person::new(&login(n), "Pat", "Person").in_groups(["Engineering"]));
        let groups = vec![Group::pushed("Engineering")];
        let company = Company { people: people.collect(), groups, ..Company::default() };
        let okta = OktaSim::start(OktaConfig::new(company)).await.unwrap();
        let settings = settings(plan, &okta.issuer(), &upstream.url());
        let redirects = settings.iter().map(Settings::redirect_uri).collect();
        let client = Client::confidential(DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, "");
        okta.add_client(Client { redirect_uris: redirects, ..client });
        let built = Machines::build();
        let names = (0..settings.len()).map(|n| format!("gateway{n}")).chain(["sidecar".to_owned()]);
        let machines: Vec<Machine> = names.map(|name| built.machine(&name)).collect();
        let gateways = gateways(&settings, &machines).await;
        let sidecar = Sidecar::new(&gateways[0], &settings[0], machines.last().unwrap());
        let (key, ca_pem) = (gateways[0].scim_key("corp", "okta"), gateways[0].ca_pem());
        Self {
            okta,
            upstream,
            gateways,
            sidecar,
            pushed_to: 0,
            under_way: Arc::default(),
            plan,
            dice: Dice::new(plan.seed),
            lines: Lines::new(&ca_pem),
            settings,
            machines,
            browser: Browser::new(&ca_pem),
            key,
            dialect: Dialect::Catalog,
            _machines: built,
        }
    }

    /// The machine of the process that is pushed to.
    pub(super) fn machine_of_pushes(&self, shape: Shape) -> &Machine {
        let number = if shape == Shape::Sidecar { self.gateways.len() } else { self.pushed_to };
        &self.machines[number]
    }

    /// Somebody whom nobody has seen.
    pub(super) fn stranger(&self) -> Browser {
        self.browser.another_profile()
    }

    pub(super) fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.machines.iter()
    }

    /// Waits for the middle of some deactivations; not for long, since there may be none to come.
    pub(super) async fn deactivations_are_under_way(&mut self) {
        let begun = Instant::now();
        while self.under_way.load(Ordering::Relaxed) == 0 && begun.elapsed() < NO_LONGER {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(self.dice.ms(0..20)).await;
    }

    /// The wiki as some people reach it.
    pub(super) fn wiki(&self, number: usize) -> String {
        self.settings[number % self.settings.len()].application_url("wiki")
    }

    /// Gives the processes this shape, and lets everybody in who was put out, by pushes to the new door.
    pub(super) async fn everybody_works(&mut self, shape: Shape) {
        self.pushed_to = self.dice.index(self.gateways.len());
        let base_url = match shape {
            Shape::Sidecar => {
                self.sidecar.start_again().await;
                format!("http://127.0.0.1:{}/scim/v2/corp", self.sidecar.port)
            }
            Shape::Several => {
                self.sidecar.kill_hard();
                format!("{}/scim/v2/corp", self.settings[self.pushed_to].auth_url())
            }
        };
        // Doors alternate as well: so each way of writing meets each shape.
        if shape == Shape::Sidecar {
            self.dialect = if self.dialect == Dialect::Catalog { Dialect::Wizard } else { Dialect::Catalog };
        }
        let ca_pem = Some(self.gateways[0].ca_pem());
        let target =
            ScimTarget { base_url, token: self.key.clone(), bearer: true, ca_pem, dialect: self.dialect };
        self.okta.set_scim_target(target).unwrap();
        let okta = self.okta.org_handle();
        stream::iter(0..self.plan.people)
            .for_each_concurrent(SIDE_BY_SIDE, |person| {
                let (okta, login) = (Arc::clone(&okta), login(person));
                async move { accepted(|| okta.reactivate(&login)).await }
            })
            .await;
        accepted(|| okta.push_group("Engineering")).await;
    }

    pub(super) async fn log_in(&self, number: usize) -> Browser {
        let browser = self.browser.another_profile();
        let wiki = format!("{}/", self.wiki(number));
        let page = browser.log_in(&wiki, &login(number), DEMO_PASSWORD).await.unwrap();
        assert_eq!(page.status, 200, "{}", page.trail());
        browser
    }

    /// Waits until every gateway says that it is ready, and judges requests instead of answering 503; which are not in time.
    pub(super) async fn not_ready(&self) -> Vec<String> {
        let mut late = Vec::new();
        for (number, gateway) in self.gateways.iter().enumerate() {
            let begun = Instant::now();
            while !self.serves(number, gateway).await {
                if begun.elapsed() > PATIENCE {
                    late.push(format!("gateway {number} does not serve again"));
                    break;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        late
    }

    async fn serves(&self, number: usize, gateway: &Gateway) -> bool {
        let ready = gateway.inner("/readyz").await.is_ok_and(|(status, _)| status == 200);
        ready && self.says_to_a_stranger(number).await == Some(401)
    }

    async fn says_to_a_stranger(&self, number: usize) -> Option<u16> {
        let answer = self.stranger().fetch(&format!("{}/whoami", self.wiki(number))).await;
        answer.ok().map(|answer| answer.status.as_u16())
    }

    /// Whether a gateway says of itself that it is not ready.
    pub(super) async fn is_one_unready(&self) -> bool {
        let said = join_all(self.gateways.iter().map(|gateway| gateway.inner("/readyz"))).await;
        said.into_iter().flatten().any(|(status, _)| status == 503)
    }

    /// How far the clock is off by which a gateway writes its log. The clock of its answers' `Date` is no use: that is never set backwards.
    pub(super) async fn clock_is_off(&self, number: usize, by_s: i64) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            // Somebody asks, so that there is something to write.
            self.says_to_a_stranger(number).await;
            let line = self.gateways[number].log().last();
            let stamp =
                line["timestamp"].as_str().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
            let off = stamp.map(|stamp| (stamp - OffsetDateTime::now_utc()).whole_seconds());
            if off.is_some_and(|off| (off - by_s).abs() < CLOSE_TO_S) {
                return true;
            }
            tokio::time::sleep(LOOK).await;
        }
        false
    }

    /// Who is active, as each gateway tells a provisioning client.
    pub(super) async fn stored(&self) -> Vec<(String, BTreeMap<String, bool>)> {
        let mut told = Vec::new();
        for (number, settings) in self.settings.iter().enumerate() {
            let mut people = BTreeMap::new();
            for start in (1..=self.plan.people).step_by(PAGE) {
                let query = format!("startIndex={start}&count={PAGE}&attributes=userName,active");
                let url = format!("{}/scim/v2/corp/Users?{query}", settings.auth_url());
                let asked = Outgoing::script(Method::GET, &url).unwrap();
                let asked = asked.header("Authorization", &format!("Bearer {}", self.key));
                let page = self.browser.send(&asked).await.unwrap().json();
                for user in page["Resources"].as_array().into_iter().flatten() {
                    let name = user["userName"].as_str().unwrap_or_default().to_owned();
                    people.insert(name, user["active"].as_bool().unwrap_or(true));
                }
            }
            told.push((format!("gateway {number}"), people));
        }
        told
    }

    /// What the database finds wrong with itself.
    pub(super) fn damage(&self) -> Option<String> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let store = rusqlite::Connection::open_with_flags(store_of(&self.gateways[0]), flags).unwrap();
        let said: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        (said != "ok").then_some(said)
    }
}

/// Repeats pushes until all is accepted.
async fn accepted<F, P>(push: F)
where
    F: Fn() -> P,
    P: Future<Output = crate::okta::Pushes>,
{
    let begun = Instant::now();
    loop {
        let pushes = push().await.unwrap();
        if pushes.last().is_some_and(Push::accepted) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{:?}", pushes.last());
        tokio::time::sleep(LOOK).await;
    }
}

fn settings(plan: Plan, issuer: &str, upstream: &str) -> Vec<Settings> {
    let mut first = Settings::new(issuer, upstream);
    first.client_id = DEMO_CLIENT_ID.to_owned();
    first.client_secret = Some(DEMO_CLIENT_SECRET.to_owned());
    // Many people on one address, whose small uploads are slower than those of real ones.
    first.extra = format!(
        "[sidecar]\nlisten = \"127.0.0.1:{}\"\n[limits]\nlogin_per_minute = 1000000\nminimum_rate = 0\n",
        ports::free()
    );
    let count = if plan.extent == Extent::Brief { 2 } else { 3 };
    let more =
        (1..count).map(|_| Settings { port: ports::free(), inner_port: ports::free(), ..first.clone() });
    let more: Vec<_> = more.collect();
    std::iter::once(first).chain(more).collect()
}

async fn gateways(settings: &[Settings], machines: &[Machine]) -> Vec<Gateway> {
    let mut gateways: Vec<Gateway> = Vec::new();
    for (settings, machine) in settings.iter().zip(machines) {
        let mut launch = Launch::of(settings);
        launch.environment.extend(machine.environment());
        if let Some(first) = gateways.first() {
            let store = format!("sqlite:{}", store_of(first).display());
            launch.config = launch.config.replace("sqlite:portcullis.db", &store);
        }
        gateways.push(Gateway::start(launch).await.unwrap_or_else(|e| panic!("{e}")));
    }
    gateways
}

fn store_of(gateway: &Gateway) -> PathBuf {
    gateway.folder().join("portcullis.db")
}

/// The door of the provisioning client as a process of its own; killed when dropped.
pub(super) struct Sidecar {
    child: Option<Child>,
    config: PathBuf,
    environment: Vec<(String, String)>,
    program: PathBuf,
    port: u16,
}

impl Sidecar {
    fn new(gateway: &Gateway, settings: &Settings, machine: &Machine) -> Self {
        let Launch { program, mut environment, .. } = Launch::of(settings);
        environment.extend(machine.environment());
        let listen = settings.extra.lines().find_map(|line| line.strip_prefix("listen = \"127.0.0.1:"));
        let port = listen.unwrap().trim_end_matches('"').parse().unwrap();
        Self { child: None, config: gateway.folder().join("config.toml"), environment, program, port }
    }

    pub(super) async fn start_again(&mut self) {
        self.kill_hard();
        let mut command = Command::new(&self.program);
        command.args(["scim", "serve", "--config"]).arg(&self.config).envs(self.environment.iter().cloned());
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(spawned.unwrap());
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "the sidecar never listens");
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(super) fn kill_hard(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.kill_hard();
    }
}
