//! The handshake on the real program: certificates of ours by name, certificates of clients by host, and what a connection that
//! was made for one host may ask of another.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portcullis_tests::handshake::{Connection, Handshake, Pair, status};
use portcullis_tests::harness::{Gateway, Launch, Settings, World, WorldConfig};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;

/// The serial number of the device.
const DEVICE: u64 = 7;
/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The authority of the clients, in a file.
fn clients() -> &'static (CertifiedIssuer<'static, KeyPair>, PathBuf) {
    static CLIENTS: OnceLock<(CertifiedIssuer<'static, KeyPair>, PathBuf)> = OnceLock::new();
    CLIENTS.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "devices of the company");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = std::env::temp_dir().join(format!("portcullis-devices-{}.pem", std::process::id()));
        std::fs::write(&file, authority.pem()).unwrap();
        (authority, file)
    })
}

fn device() -> Pair {
    device_called("device 7")
}

fn device_called(name: &str) -> Pair {
    let mut params = CertificateParams::new(vec!["device.corp.example".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(DEVICE));
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &clients().0).unwrap();
    (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

/// A handshake that asks for this name.
fn asking(world: &World, name: &str) -> Handshake {
    Handshake::new(&world.gateway.ca_pem(), world.settings.port, name)
}

async fn guarded_canteen() -> World {
    World::with(WorldConfig {
        change: |settings| {
            settings.extra = format!(
                "[[client_certificate]]\nhosts = [\"canteen.localhost\"]\nca_file = {:?}\n",
                clients().1
            );
        },
        provisioned: false,
        ..WorldConfig::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn t20_t21_a_host_is_reached_over_a_handshake_of_its_own_rules() {
    let world = guarded_canteen().await;
    let (open, guarded) = ("wiki.localhost", "canteen.localhost");
    let asked = |name, host| asking(&world, name).get(host).unwrap();
    assert_eq!(status(&asked(open, open)), 401);
    let misdirected = asked(open, guarded);
    assert_eq!(status(&misdirected), 421, "{misdirected}");
    assert!(misdirected.contains("connection: close"), "{misdirected}");
    let nameless = Handshake { names_itself: false, ..asking(&world, guarded) };
    assert_eq!(status(&nameless.get(guarded).unwrap()), 421, "who asks for no name has proved nothing");
    assert!(asking(&world, guarded).get(guarded).is_err(), "no certificate, no answer");
    assert!(asking(&world, "CANTEEN.LocalHost").get(guarded).is_err());
    let shown = |name, host| Handshake { own: Some(device()), ..asking(&world, name) }.get(host).unwrap();
    assert_eq!(status(&shown(guarded, guarded)), 401);
    assert_eq!(status(&shown("CANTEEN.LocalHost", guarded)), 401);
    assert_eq!(status(&shown(guarded, open)), 421);
    assert_eq!(status(&shown(open, guarded)), 421, "a certificate that nobody asked for proves nothing");
    let noted = |event: &serde_json::Value| event["certificate_subject"] == "device 7";
    let noted = world.gateway.log().wait_for(PATIENCE, noted).await.unwrap();
    assert_eq!(noted["certificate"].as_str().unwrap().len(), 64, "{noted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_certificate_proves_opens_what_a_policy_says() {
    let world = World::with(WorldConfig {
        change: |settings| {
            settings.extra = format!(
                "[[client_certificate]]\nhosts = [\"canteen.localhost\", \"wiki.localhost\"]\nca_file = {:?}\nmode = \"optional\"\n",
                clients().1
            );
            settings.policies += "[[policy]]\nname = \"device-7\"\naction = \"bypass\"\ninclude = [{ common_name = \"device 7\" }]\n\
                                  [[policy]]\nname = \"devices\"\naction = \"bypass\"\ninclude = [{ valid_certificate = true }]\n";
            settings.applications[0].policies = vec!["devices".to_owned()];
            settings.applications[1].policies = vec!["device-7".to_owned()];
        },
        provisioned: false,
        ..WorldConfig::default()
    })
    .await;
    let asked = |own, host| status(&Handshake { own, ..asking(&world, host) }.get(host).unwrap());
    let (any, one) = ("wiki.localhost", "canteen.localhost");
    assert_eq!((asked(Some(device()), any), asked(Some(device()), one)), (200, 200));
    let other = || Some(device_called("device 70"));
    assert_eq!((asked(other(), any), asked(other(), one)), (200, 401), "another device");
    assert_eq!((asked(None, any), asked(None, one)), (401, 401), "no certificate");
}

#[tokio::test(flavor = "multi_thread")]
async fn t21_a_first_message_in_crumbs_is_put_together() {
    let world = guarded_canteen().await;
    let in_crumbs = |name| Handshake { in_crumbs: true, ..asking(&world, name) };
    assert_eq!(status(&in_crumbs("wiki.localhost").get("wiki.localhost").unwrap()), 401);
    let guarded = "canteen.localhost";
    assert!(in_crumbs(guarded).get(guarded).is_err(), "crumbs are no way around the certificate");
    assert_eq!(status(&Handshake { own: Some(device()), ..in_crumbs(guarded) }.get(guarded).unwrap()), 401);
}

/// Writes the list of what the authority revoked.
fn revoke(serials: &[u64]) -> PathBuf {
    let revoked = serials.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2024, 1, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(4000, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let file = std::env::temp_dir().join(format!("portcullis-revoked-{}.pem", std::process::id()));
    std::fs::write(&file, list.signed_by(&clients().0).unwrap().pem().unwrap()).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_replaced_counts_on_open_connections_too() {
    let world = World::with(WorldConfig {
        change: |settings| {
            settings.extra = format!(
                "[[client_certificate]]\nhosts = [\"canteen.localhost\"]\nca_file = {:?}\ncrl_file = {:?}\n",
                clients().1,
                revoke(&[])
            );
        },
        provisioned: false,
        ..WorldConfig::default()
    })
    .await;
    let guarded = "canteen.localhost";
    let shown = || Handshake { own: Some(device()), ..asking(&world, guarded) };
    let (mut guest, mut other) =
        (shown().connect().unwrap(), asking(&world, "wiki.localhost").connect().unwrap());
    let ask = |stream: &mut Connection, host: &str| {
        write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        let mut answer = [0; 8_192];
        let len = stream.read(&mut answer).unwrap();
        status(&String::from_utf8_lossy(&answer[..len]))
    };
    assert_eq!((ask(&mut guest, guarded), ask(&mut other, "wiki.localhost")), (401, 401));
    revoke(&[DEVICE]);
    kill(Pid::from_raw(i32::try_from(world.gateway.id()).unwrap()), Signal::SIGHUP).unwrap();
    let reloaded = |event: &serde_json::Value| event["message"] == "the configuration was reloaded";
    world.gateway.log().wait_for(PATIENCE, reloaded).await.expect("a reload");
    assert_eq!(ask(&mut guest, guarded), 421, "what was proved was proved by other rules");
    assert!(shown().get(guarded).is_err(), "the certificate was revoked");
    assert_eq!(ask(&mut other, "wiki.localhost"), 401, "a connection of the same rules goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn t54_a_gateway_without_its_authorities_does_not_start() {
    let mut settings = Settings::new("http://127.0.0.1:1", "http://127.0.0.1:1");
    settings.extra =
        "[[client_certificate]]\nhosts = [\"canteen.localhost\"]\nca_file = \"/nonexistent/ca.pem\"\n"
            .to_owned();
    let failure = Gateway::start(Launch::of(&settings)).await.unwrap_err();
    assert_eq!(failure.code, Some(1));
    assert!(failure.output.contains("`client_certificate.ca_file`"), "{}", failure.output);
}
