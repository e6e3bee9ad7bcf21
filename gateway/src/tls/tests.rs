use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RevokedCertParams,
    SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use rustls::client::Resumption;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::Acceptor;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConnection};

use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "an authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(
    authority: &Authority,
    names: &[&str],
    serial: u64,
    kind: &'static SignatureAlgorithm,
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.serial_number = Some(SerialNumber::from(serial));
    params.distinguished_name.push(DnType::CommonName, "Erika Muster");
    let key = KeyPair::generate_for(kind).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

fn certified(authority: &Authority, names: &[&str]) -> Certified {
    let (chain, key) = leaf(authority, names, 1, &PKCS_ECDSA_P256_SHA256);
    Certified::new(chain, &key).unwrap()
}

/// A folder for the files of one test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("portcullis-tls-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn authority(&self, authority: &Authority) -> PathBuf {
        self.write("ca.pem", &authority.pem())
    }

    fn list(&self, authority: &Authority, revoked: &[u64], next_update: i32) -> PathBuf {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(next_update, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        self.write("crl.pem", &params.signed_by(authority).unwrap().pem().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn guarded(hosts: &[&str], accepted: Accepted) -> ClientCertificates {
    ClientCertificates { hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(), accepted }
}

fn client(
    authority: &Authority,
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(8);
    config.enable_early_data = true;
    config
}

struct Met {
    leaf: CertificateDer<'static>,
    kind: HandshakeKind,
    early_data: bool,
    handshake: Handshake,
}

/// Shakes hands in memory; what the server sends afterwards, such as tickets, reaches the client too.
fn meet(tls: &Tls, client: &Arc<ClientConfig>, name: &str) -> Result<Met, rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(client.clone(), name).unwrap();
    let early_data = client.early_data().is_some();
    let (mut acceptor, mut wire) = (Acceptor::default(), Vec::new());
    client.write_tls(&mut wire).unwrap();
    acceptor.read_tls(&mut wire.as_slice()).unwrap();
    let accepted = acceptor.accept().map_err(|(error, _)| error)?.unwrap();
    let (policy, config) = tls.choose(&accepted.client_hello());
    let mut server = accepted.into_connection(config).map_err(|(error, _)| error)?;
    while client.is_handshaking() || server.is_handshaking() || server.wants_write() || client.wants_write() {
        carry(&mut server, &mut client)?;
    }
    Ok(Met {
        leaf: client.peer_certificates().unwrap()[0].clone(),
        kind: client.handshake_kind().unwrap(),
        early_data,
        handshake: Handshake::of(&server, policy),
    })
}

fn carry(server: &mut ServerConnection, client: &mut ClientConnection) -> Result<(), rustls::Error> {
    let mut wire = Vec::new();
    server.write_tls(&mut wire).unwrap();
    client.read_tls(&mut wire.as_slice()).unwrap();
    client.process_new_packets()?;
    wire.clear();
    client.write_tls(&mut wire).unwrap();
    server.read_tls(&mut wire.as_slice()).unwrap();
    server.process_new_packets()?;
    Ok(())
}

#[test]
fn t21_the_certificate_is_the_one_for_the_name() {
    let authority = authority();
    let names: [&[&str]; 3] = [&["first.example"], &["wiki.corp.example"], &["*.corp.example"]];
    let all: Vec<Certified> = names.iter().map(|names| certified(&authority, names)).collect();
    let tls = Tls::of(Choice::new(&all), &[], None).unwrap();
    let client = Arc::new(client(&authority, None));
    for (name, index) in
        [("wiki.corp.example", 1), ("WIKI.Corp.Example", 1), ("mail.corp.example", 2), ("first.example", 0)]
    {
        let met = meet(&tls, &client, name).unwrap();
        assert_eq!(met.leaf, all[index].key.cert[0], "{name}");
        assert_eq!(met.handshake.policy, TlsPolicy::OPEN);
    }
    let choice = Choice::new(&all);
    for unknown in [None, Some("a.mail.corp.example"), Some("corp.example"), Some("not a name")] {
        assert!(Arc::ptr_eq(&choice.of(unknown).next().unwrap(), &all[0].key), "{unknown:?}");
    }
}

/// What is issued at this moment, for as long as that.
fn ordered(authority: &Authority, host: &str, life_s: i64) -> Ordered {
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let since = time::OffsetDateTime::now_utc() - time::Duration::hours(1);
    (params.not_before, params.not_after) = (since, since + time::Duration::seconds(3_600 + life_s));
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let certified = Certified::new(vec![certificate.der().clone()], &key).unwrap();
    Ordered { certified, directory: String::new() }
}

#[test]
fn what_is_issued_is_shown_from_then_on_until_it_ends() {
    let authority = authority();
    let given = [certified(&authority, &["wiki.example"])];
    let (issued, host): (Arc<Issued>, Host) = (Arc::default(), "new.example".parse().unwrap());
    let choice = |ordered: &[Host]| Choice::new(&given).with_ordered(ordered, issued.clone());
    let tls = Tls::of(choice(std::slice::from_ref(&host)), &[], None).unwrap();
    // A new one each time: who continues a session goes on with the certificate that began it.
    let meet = |name: &str| meet(&tls, &Arc::new(client(&authority, None)), name);
    assert!(meet("new.example").is_err(), "no certificate yet, and no other's");
    assert_eq!(meet("wiki.example").unwrap().leaf, given[0].key.cert[0]);
    let mut shown = Vec::new();
    for life_s in [3_600, 7_200] {
        issued.install(&host, ordered(&authority, "new.example", life_s));
        shown.push(meet("new.example").unwrap().leaf);
    }
    assert_ne!(shown[0], shown[1], "the next handshake sees the next certificate");
    issued.install(&host, ordered(&authority, "new.example", -60));
    assert_eq!(choice(std::slice::from_ref(&host)).of(Some("new.example")).count(), 0, "it has ended");
    issued.install(&host, ordered(&authority, "new.example", 60));
    let of_another = choice(&[]).of(Some("new.example")).next().unwrap();
    assert!(
        Arc::ptr_eq(&of_another, &given[0].key),
        "a configuration that does not order it shows what it has"
    );
    issued.install(&"wiki.example".parse().unwrap(), ordered(&authority, "wiki.example", 60));
    let both = choice(&["wiki.example".parse().unwrap()]).of(Some("wiki.example")).next().unwrap();
    assert!(Arc::ptr_eq(&both, &given[0].key), "what is given wins");
}

#[test]
fn an_authority_is_answered_while_it_asks_and_nobody_else() {
    let authority = authority();
    let (issued, host): (Arc<Issued>, Host) = (Arc::default(), "new.example".parse().unwrap());
    let asks = |name: &str, protocols: &[&[u8]]| {
        let mut config = client(&authority, None);
        config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let (mut acceptor, mut wire) = (Acceptor::default(), Vec::new());
        client.write_tls(&mut wire).unwrap();
        acceptor.read_tls(&mut wire.as_slice()).unwrap();
        issued.asked(&acceptor.accept().unwrap().unwrap().client_hello())
    };
    let acme: &[u8] = b"acme-tls/1";
    assert!(asks("new.example", &[acme]).is_none());
    let answering = issued.answer(&host, [7; 32]).unwrap();
    let config = asks("NEW.example", &[acme]).unwrap();
    assert_eq!(config.alpn_protocols, [acme]);
    for (name, protocols) in [
        ("wiki.example", &[acme][..]),
        ("new.example", &[acme, b"h2"]),
        ("new.example", &[b"h2", acme]),
        ("new.example", &[b"h2"]),
        ("new.example", &[]),
    ] {
        assert!(asks(name, protocols).is_none(), "{name} {protocols:?}");
    }
    drop(answering);
    assert!(asks("new.example", &[acme]).is_none(), "the order is over");
}

#[test]
fn one_name_may_have_a_certificate_of_each_kind() {
    let authority = authority();
    let kinds = [&PKCS_ECDSA_P256_SHA256, &PKCS_RSA_SHA256];
    let all = kinds.map(|kind| {
        let (chain, key) = leaf(&authority, &["wiki.example"], 1, kind);
        Certified::new(chain, &key).unwrap()
    });
    let tls = Tls::of(Choice::new(&all), &[], None).unwrap();
    let modern = Arc::new(client(&authority, None));
    assert_eq!(meet(&tls, &modern, "wiki.example").unwrap().leaf, all[0].key.cert[0]);
    let mut rsa_alone = provider().as_ref().clone();
    let schemes = rsa_alone.signature_verification_algorithms;
    let rsa: Vec<_> = schemes
        .mapping
        .iter()
        .copied()
        .filter(|(scheme, _)| format!("{scheme:?}").starts_with("RSA"))
        .collect();
    rsa_alone.signature_verification_algorithms.mapping = Box::leak(rsa.into_boxed_slice());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let old = ClientConfig::builder_with_provider(Arc::new(rsa_alone))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // The authority's own signature is of the other kind, so the client ends the handshake; what counts is what it was shown.
    let mut old = ClientConnection::new(Arc::new(old), "wiki.example".try_into().unwrap()).unwrap();
    let (mut acceptor, mut wire) = (Acceptor::default(), Vec::new());
    old.write_tls(&mut wire).unwrap();
    acceptor.read_tls(&mut wire.as_slice()).unwrap();
    let accepted = acceptor.accept().unwrap().unwrap();
    let shown = Choice::new(&all).resolve(accepted.client_hello()).unwrap();
    assert_eq!(shown.cert, all[1].key.cert);
}

#[test]
fn tickets_outlive_a_reload_and_carry_no_early_data() {
    let authority = authority();
    let all = [certified(&authority, &["wiki.example"])];
    let first = Tls::of(Choice::new(&all), &[], None).unwrap();
    let client = Arc::new(client(&authority, None));
    assert_eq!(meet(&first, &client, "wiki.example").unwrap().kind, HandshakeKind::Full);
    let second = Tls::of(Choice::new(&all), &[], Some(&first)).unwrap();
    let again = meet(&second, &client, "wiki.example").unwrap();
    assert_eq!(again.kind, HandshakeKind::Resumed);
    assert!(!again.early_data, "t23: what could be replayed is not accepted");
    let stranger = Tls::of(Choice::new(&all), &[], None).unwrap();
    assert_eq!(meet(&stranger, &client, "wiki.example").unwrap().kind, HandshakeKind::Full);
}

#[test]
fn a_required_certificate_is_of_the_authority_and_in_time() {
    let (ours, theirs) = (authority(), authority());
    let folder = Folder::new("required");
    let accepted = Accepted::read(&folder.authority(&theirs), None, Mode::Required).unwrap();
    let all = [certified(&ours, &["wiki.example", "ledger.example"])];
    let asked = [guarded(&["ledger.example"], accepted)];
    let tls = Tls::of(Choice::new(&all), &asked, None).unwrap();
    let kind = &PKCS_ECDSA_P256_SHA256;
    let nobody = Arc::new(client(&ours, None));
    assert!(meet(&tls, &nobody, "ledger.example").is_err());
    assert!(meet(&tls, &nobody, "wiki.example").unwrap().handshake.presented.is_none());
    let forger = Arc::new(client(&ours, Some(leaf(&ours, &["erika@corp.example"], 7, kind))));
    assert!(meet(&tls, &forger, "ledger.example").is_err());
    let own = leaf(&theirs, &["device-7.corp.example"], 7, kind);
    let erika = Arc::new(client(&ours, Some(own)));
    for _ in 0..2 {
        let met = meet(&tls, &erika, "LEDGER.example").unwrap();
        assert_eq!(met.kind, HandshakeKind::Full, "a resumed session would not be judged again");
        assert_eq!(met.handshake.policy, tls.policy(&"ledger.example".parse().unwrap()));
        assert_ne!(met.handshake.policy, TlsPolicy::OPEN);
        let presented = met.handshake.presented.unwrap();
        assert_eq!(presented.subject.as_deref(), Some("Erika Muster"));
        assert_eq!(presented.names, ["device-7.corp.example"]);
        assert_eq!(presented.fingerprint.len(), 64);
    }
    assert_eq!(tls.policy(&"wiki.example".parse().unwrap()), TlsPolicy::OPEN);
}

#[test]
fn a_revoked_certificate_and_a_stale_list_let_nobody_pass() {
    let (ours, theirs) = (authority(), authority());
    let folder = Folder::new("revoked");
    let file = folder.authority(&theirs);
    let all = [certified(&ours, &["ledger.example"])];
    let met = |list: &PathBuf, serial: u64, mode: Mode| {
        let accepted = Accepted::read(&file, Some(list), mode).unwrap();
        let tls = Tls::of(Choice::new(&all), &[guarded(&["*.example"], accepted)], None).unwrap();
        let own = leaf(&theirs, &["device.example"], serial, &PKCS_ECDSA_P256_SHA256);
        meet(&tls, &Arc::new(client(&ours, Some(own))), "ledger.example").map(|met| met.handshake.policy)
    };
    let fresh = folder.list(&theirs, &[7], 4000);
    let policy = met(&fresh, 8, Mode::Required).unwrap();
    assert!(met(&fresh, 7, Mode::Required).is_err());
    assert!(met(&fresh, 7, Mode::Optional).is_err(), "a certificate that is shown must be good");
    assert_ne!(met(&fresh, 8, Mode::Optional).unwrap(), policy, "another mode is another rule");
    let longer = folder.list(&theirs, &[7, 9], 4000);
    assert_ne!(met(&longer, 8, Mode::Required).unwrap(), policy, "another list is another rule");
    let stale = folder.list(&theirs, &[7], 2025);
    assert!(met(&stale, 8, Mode::Required).is_err());
    let foreign = folder.list(&ours, &[], 4000);
    assert!(met(&foreign, 8, Mode::Required).is_err(), "nothing is known of this authority's certificates");
}

#[test]
fn an_optional_certificate_may_be_absent() {
    let ours = authority();
    let folder = Folder::new("optional");
    let accepted = Accepted::read(&folder.authority(&ours), None, Mode::Optional).unwrap();
    let all = [certified(&ours, &["ledger.example"])];
    let tls = Tls::of(Choice::new(&all), &[guarded(&["ledger.example"], accepted)], None).unwrap();
    let nobody = Arc::new(client(&ours, None));
    assert!(meet(&tls, &nobody, "ledger.example").unwrap().handshake.presented.is_none());
    let own = leaf(&ours, &["device.example"], 7, &PKCS_ECDSA_P256_SHA256);
    let erika = Arc::new(client(&ours, Some(own)));
    assert!(meet(&tls, &erika, "ledger.example").unwrap().handshake.presented.is_some());
}

#[test]
fn t54_a_file_that_holds_nothing_is_no_authority_and_no_list() {
    let folder = Folder::new("nothing");
    let authority = authority();
    let good = folder.authority(&authority);
    let empty = folder.write("empty.pem", "");
    let absent = folder.0.join("absent.pem");
    let garbage =
        folder.write("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for wrong in [&empty, &absent, &garbage] {
        assert!(Accepted::read(wrong, None, Mode::Required).is_err(), "{wrong:?}");
        assert!(Accepted::read(&good, Some(wrong), Mode::Required).is_err(), "{wrong:?}");
    }
    let list = folder.write("list.pem", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    assert!(Accepted::read(&good, Some(&list), Mode::Required).is_err());
}

#[test]
fn what_is_read_belongs_together_and_is_valid_now() {
    let (folder, authority) = (Folder::new("pairs"), authority());
    let write = |name: &str, not_before: i32, not_after: i32, names: Vec<String>| {
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(not_before, 1, 1);
        params.not_after = date_time_ymd(not_after, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let chain = folder.write(&format!("{name}.pem"), &certificate.pem());
        (chain, folder.write(&format!("{name}.key"), &key.serialize_pem()))
    };
    let now = crate::gateway::now();
    let named = || vec!["wiki.example".to_owned()];
    let good = write("good", 2020, 4000, named());
    assert!(Certified::read(&good.0, &good.1, now).unwrap().covers(&"wiki.example".parse().unwrap()));
    let other = write("other", 2020, 4000, named());
    assert!(matches!(Certified::read(&good.0, &other.1, now), Err(CertificateError::Key(_))));
    let old = write("old", 2020, 2021, named());
    assert!(matches!(Certified::read(&old.0, &old.1, now), Err(CertificateError::Expired)));
    let early = write("early", 3000, 4000, named());
    assert!(matches!(Certified::read(&early.0, &early.1, now), Err(CertificateError::NotYet)));
    let nameless = write("nameless", 2020, 4000, Vec::new());
    assert!(matches!(Certified::read(&nameless.0, &nameless.1, now), Err(CertificateError::NoName)));
    assert!(matches!(Certified::read(&good.1, &good.1, now), Err(CertificateError::Pem { .. })));
    assert!(matches!(Certified::read(&good.0, &good.0, now), Err(CertificateError::Pem { .. })));
}
