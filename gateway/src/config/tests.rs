use super::*;

pub(super) const WHOLE: &str = r#"
[server]
listen = ["127.0.0.1:8443"]
auth_host = "auth.localhost"
inner_listen = "127.0.0.1:9443"
[tls]
self_signed = true
[store]
url = "sqlite:portcullis.db"
[[identity_provider]]
name = "okta"
type = "okta"
issuer = "http://127.0.0.1:8090"
client_id = "portcullis"
[[directory]]
name = "corp"
identity_provider = "okta"
[[application]]
name = "wiki"
hosts = ["wiki.localhost"]
upstreams = ["http://127.0.0.1:8081"]
policies = ["engineering"]
[[policy]]
name = "engineering"
action = "allow"
include = [{ group = "Engineering" }]
exclude = [{ group = ["Contractors", "Vendors"] }]
"#;

fn faults(source: &str) -> Vec<String> {
    match Config::parse(source, Path::new("/etc/portcullis")) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// The fault that replacing `from` by `to` in a whole configuration must bring.
fn fault_of(from: &str, to: &str) -> String {
    assert!(WHOLE.contains(from), "{from}");
    let found = faults(&WHOLE.replacen(from, to, 1));
    assert_eq!(found.len(), 1, "{found:#?}");
    found.concat()
}

#[test]
fn the_smallest_whole_configuration_is_read() {
    let config = Config::parse(WHOLE, Path::new("/etc/portcullis")).unwrap();
    assert_eq!(config.store_file, Path::new("/etc/portcullis/portcullis.db"));
    assert_eq!(config.store_key_file, Path::new("/etc/portcullis/portcullis.db.key"));
    assert_eq!(config.origin(&config.server.auth_host), "https://auth.localhost:8443");
    assert_eq!(config.scim_base_url("corp"), "https://auth.localhost:8443/scim/v2/corp");
    let provider = config.identity_provider("okta").unwrap();
    assert!(provider.pkce && provider.client_authentication == ClientAuthentication::Public);
    assert!(config.policies.application("wiki").is_some());
}

#[test]
fn every_fault_is_found_at_once_with_its_line() {
    let source = WHOLE
        .replace("auth_host = \"auth.localhost\"", "auth_host = \"auth_localhost\"\nlisen = 1")
        .replace("include = [{ group = \"Engineering\" }]", "include = [{ ip = \"10.0.0.0/33\" }]")
        .replace("policies = [\"engineering\"]", "policies = [\"enginering\"]");
    let found = faults(&source);
    assert!(found.iter().any(|fault| fault.starts_with("line 4: `server.auth_host`:")), "{found:#?}");
    assert!(found.contains(&"line 5: `server.lisen`: unknown key; did you mean `listen`?".to_owned()));
    assert!(found.iter().any(|fault| fault.starts_with("line 27: `policy.include.ip`: `10.0.0.0/33`")));
}

#[test]
fn t54_names_that_nothing_bears_are_faults() {
    let unknown = fault_of("policies = [\"engineering\"]", "policies = [\"enginering\"]");
    assert!(unknown.contains("no policy is named `enginering`"), "{unknown}");
    let unknown = fault_of("identity_provider = \"okta\"", "identity_provider = \"octa\"");
    assert!(unknown.contains("no `[[identity_provider]]` is named `octa`"), "{unknown}");
    let unknown =
        fault_of("include = [{ group = \"Engineering\" }]", "include = [{ login_method = \"octa\" }]");
    assert!(unknown.contains("octa"), "{unknown}");
}

#[test]
fn an_issuer_is_an_https_url_of_the_organisation() {
    let issuer = "issuer = \"http://127.0.0.1:8090\"";
    assert!(fault_of(issuer, "issuer = \"http://corp.okta.com\"").contains("must be https"));
    let admin = fault_of(issuer, "issuer = \"https://corp-admin.okta.com\"");
    assert!(admin.contains("https://corp.okta.com"), "{admin}");
    assert!(fault_of(issuer, "issuer = \"https://corp.okta.com/?a=b\"").contains("no query"));
}

#[test]
fn an_issuer_is_kept_as_written() {
    for issuer in ["https://corp.okta.com", "https://corp.okta.com/", "https://Corp.okta.com/oauth2/default/"]
    {
        let source = WHOLE.replace("http://127.0.0.1:8090", issuer);
        let config = Config::parse(&source, Path::new("/etc/portcullis")).unwrap();
        let provider = config.identity_provider("okta").unwrap();
        assert_eq!(provider.issuer, issuer);
        assert_eq!(provider.groups_api.as_ref().unwrap().base_url.as_str(), "https://corp.okta.com/");
    }
}

#[test]
fn a_public_client_cannot_turn_pkce_off() {
    let fault = fault_of("client_id = \"portcullis\"", "client_id = \"portcullis\"\npkce = false");
    assert!(fault.contains("cannot turn PKCE off"), "{fault}");
}

#[test]
fn a_secret_does_not_stand_in_the_file() {
    let fault =
        fault_of("client_id = \"portcullis\"", "client_id = \"portcullis\"\nclient_secret = \"s3cret\"");
    assert!(fault.contains("{ env = \"NAME\" }"), "{fault}");
    assert!(!fault.contains("s3cret"), "{fault}");
    let unset = fault_of(
        "client_id = \"portcullis\"",
        "client_id = \"portcullis\"\nclient_secret = { env = \"PORTCULLIS_NO_SUCH_VARIABLE\" }",
    );
    assert!(unset.contains("is not set"), "{unset}");
}

/// What a provider with these lines more is read as, or its faults.
fn provider_with(lines: &str) -> Result<IdentityProvider, Vec<String>> {
    let source =
        WHOLE.replacen("client_id = \"portcullis\"", &format!("client_id = \"portcullis\"\n{lines}"), 1);
    let config = Config::parse(&source, Path::new(env!("CARGO_MANIFEST_DIR")));
    let config = config.map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    Ok(Arc::into_inner(config.identity_providers.into_iter().next().unwrap()).unwrap())
}

#[test]
fn one_proof_of_the_client_is_sent_and_never_two() {
    // A file that is surely there stands for a secret.
    let secret = "client_secret = { file = \"Cargo.toml\" }";
    let of = |lines: &str| provider_with(lines).unwrap().client_authentication;
    assert!(matches!(of(secret), ClientAuthentication::SecretBasic(_)));
    let post = format!("{secret}\nclient_auth = \"client_secret_post\"");
    assert!(matches!(of(&post), ClientAuthentication::SecretPost(_)));
    assert_eq!(of("client_auth = \"none\""), ClientAuthentication::Public);
    let key = "client_key = { file = \"Cargo.toml\", kid = \"k\" }";
    for (lines, words) in [
        (format!("{secret}\n{key}"), vec!["never two", "no private key for RS256"]),
        (format!("{secret}\nclient_auth = \"none\""), vec!["no use for a secret"]),
        (
            format!("{secret}\nclient_auth = \"private_key_jwt\""),
            vec!["needs `client_key`", "no use for a secret"],
        ),
        ("client_auth = \"client_secret_post\"".to_owned(), vec!["needs `client_secret`"]),
        ("client_auth = \"client_secret_jwt\"".to_owned(), vec!["is unknown"]),
        (key.to_owned(), vec!["no private key for RS256"]),
        (key.replace("kid", "algorithm"), vec!["`k` is unknown"]),
        ("client_key = { kid = \"k\" }".to_owned(), vec!["{ file = \"path\" }"]),
        ("client_secret = {}".to_owned(), vec!["{ file = \"path\" }"]),
    ] {
        let faults = provider_with(&lines).unwrap_err();
        assert_eq!(faults.len(), words.len(), "{lines}: {faults:#?}");
        for word in words {
            assert!(faults.iter().any(|fault| fault.contains(word)), "{lines}: {faults:#?}");
        }
    }
}

#[test]
fn t62_an_algorithm_that_cannot_be_verified_is_a_fault() {
    assert_eq!(provider_with("").unwrap().signing_algorithm, SigningAlgorithm::Rs256);
    for algorithm in SigningAlgorithm::ALL {
        let read = provider_with(&format!("signing_algorithm = \"{}\"", algorithm.name()));
        assert_eq!(read.unwrap().signing_algorithm, algorithm);
    }
    for (name, words) in [
        ("none", "anybody could write"),
        ("HS256", "a secret that we have too"),
        ("ES512", "cannot be verified"),
        ("rs256", "cannot be verified"),
    ] {
        let faults = provider_with(&format!("signing_algorithm = \"{name}\"")).unwrap_err();
        assert!(faults.len() == 1 && faults[0].contains(words), "{faults:#?}");
    }
}

#[test]
fn what_a_provider_is_asked_for_is_checked() {
    let keys =
        provider_with("jwks_uri = \"https://corp.okta.com/oauth2/v1/keys?client_id=a\"").unwrap().jwks_uri;
    assert_eq!(keys.unwrap().query(), Some("client_id=a"));
    let token = "api_token = { file = \"Cargo.toml\" }";
    let union = provider_with(&format!("{token}\ngroups = {{ source = \"union\" }}")).unwrap();
    assert_eq!(union.groups_source, GroupsSource::Union);
    assert_eq!(
        provider_with("pushed_authorization_requests = \"required\"").unwrap().pushed_requests,
        PushedRequests::Required
    );
    let app = "service_app = { client_id = \"a\", key = { file = \"Cargo.toml\" } }";
    for (lines, words) in [
        ("jwks_uri = \"http://corp.okta.com/keys\"".to_owned(), "must be https"),
        ("pushed_authorization_requests = true".to_owned(), "must be a string"),
        ("pushed_authorization_requests = \"on\"".to_owned(), "`on` is unknown"),
        ("groups = { source = \"api\" }".to_owned(), "needs `api_token` or `service_app`"),
        ("groups = { source = \"ldap\" }".to_owned(), "`ldap` is unknown"),
        (format!("{token}\ngroups = {{ {app} }}"), "one of the two"),
        (format!("groups = {{ {app} }}"), "no private key"),
        ("groups = { service_app = { client_id = \"a\" } }".to_owned(), "`key` is missing"),
    ] {
        let faults = provider_with(&lines).unwrap_err();
        assert!(faults.iter().any(|fault| fault.contains(words)), "{lines}: {faults:#?}");
    }
    let alone = "client_id = \"portcullis\"\ngroups = { source = \"scim\" }\n[[directory]]";
    let nobody = WHOLE.replace("client_id = \"portcullis\"\n[[directory]]", alone);
    assert!(nobody != WHOLE && faults(&nobody).is_empty(), "{:#?}", faults(&nobody));
    let nobody = nobody.replace("[[directory]]\nname = \"corp\"\nidentity_provider = \"okta\"\n", "");
    assert!(faults(&nobody).concat().contains("no `[[directory]]` belongs to it"), "{:#?}", faults(&nobody));
    let foreign = WHOLE.replace("type = \"okta\"", &format!("type = \"oidc\"\ngroups = {{ {app} }}"));
    let foreign = faults(&foreign);
    assert!(foreign.iter().any(|fault| fault.contains("only `type = \"okta\"`")), "{foreign:#?}");
}

#[test]
fn hosts_and_upstreams_are_checked() {
    let hosts = "hosts = [\"wiki.localhost\"]";
    assert!(fault_of(hosts, "hosts = [\"auth.localhost\"]").contains("is `server.auth_host`"));
    let upstreams = "upstreams = [\"http://127.0.0.1:8081\"]";
    assert!(fault_of(upstreams, "upstreams = [\"http://127.0.0.1:8081/path\"]").contains("without path"));
    assert!(fault_of(upstreams, "upstreams = []").contains("from 1 to 64 upstreams"));
    let many = format!("upstreams = [{}]", "\"http://a\", ".repeat(65));
    assert!(fault_of(upstreams, &many).contains("from 1 to 64 upstreams"));
    for (wrong, words) in [
        ("\"ftp://a\"", "must be http://, https:// or h2c://"),
        ("\"http://user@a\"", "must be http://"),
        ("\"unix:run/a.sock\"", "absolute path"),
        ("{ url = \"http://a\", weight = 0 }", "must be from 1 to 1000"),
        ("{ url = \"http://a\", wieght = 2 }", "did you mean `weight`"),
        ("{ weight = 2 }", "`url` is missing"),
    ] {
        let fault = fault_of(upstreams, &format!("upstreams = [{wrong}]"));
        assert!(fault.contains("line 21:") && fault.contains(words), "{fault}");
    }
}

#[test]
fn upstreams_are_read_in_every_form() {
    let list =
        "upstreams = [\"http://10.0.0.1:8081\", { url = \"h2c://[::1]\", weight = 3 }, \"unix:/run/a.sock\"]";
    let source = WHOLE.replacen("upstreams = [\"http://127.0.0.1:8081\"]", list, 1);
    let how = "[application.upstream]\nhost = \"rewrite\"\nstrip_prefix = \"/wiki\"\nmax_request_body = 10\n\
               health = { path = \"/healthz\", status = [200, 204] }\noutlier = { failures = 2 }\n[[policy]]";
    let source = source.replacen("[[policy]]", how, 1);
    let source = format!("{source}\n[limits]\nupstream_retries = 3\nupstream_total_timeout = \"9s\"\n");
    let config = Config::parse(&source, Path::new("/")).unwrap();
    let upstream = &config.applications[0].upstream;
    let [tcp, h2c, unix] = upstream.endpoints.as_slice() else { panic!("{upstream:?}") };
    assert_eq!((&tcp.address, tcp.protocol), (&Address::Tcp("10.0.0.1".to_owned(), 8081), Protocol::Http1));
    assert_eq!((&h2c.address, h2c.protocol), (&Address::Tcp("::1".to_owned(), 80), Protocol::Http2));
    assert!(!upstream.speaks_http2(), "one of them does not");
    assert_eq!((h2c.authority.to_str().unwrap(), h2c.weight), ("[::1]", 3));
    assert_eq!(unix.address, Address::Unix("/run/a.sock".into()));
    assert_eq!(
        (upstream.host.clone(), upstream.strip_prefix.as_deref()),
        (UpstreamHost::Rewrite, Some("/wiki"))
    );
    assert_eq!((upstream.max_request_body, upstream.retries), (Some(10), 3));
    assert_eq!(upstream.total_timeout, Some(Duration::from_secs(9)));
    assert_eq!(upstream.health.as_ref().unwrap().status.len(), 2);
    assert_eq!((upstream.outlier.failures, upstream.outlier.max_ejected_percent), (2, 50));
}

#[test]
fn every_fault_of_the_way_to_an_upstream_is_found() {
    for (wrong, words) in [
        ("protocol = \"h3\"", "must be \"http1\" or \"http2\""),
        ("protocol = \"http2\"", "write h2c:// for HTTP/2 without TLS"),
        ("host = \"a b\"", "must be \"keep\", \"rewrite\" or a host"),
        ("strip_prefix = \"/a/\"", "without a slash at its end"),
        ("strip_prefix = \"/a/../b\"", "must be a path"),
        ("server_name = \"wiki.corp.example\"", "is for https upstreams"),
        ("ca_file = \"/etc/hostname\"", "is for https upstreams"),
        ("retries = 11", "must be from 0 to 10"),
        ("retry_budget = 101", "must be from 0 to 100"),
        ("idle_timeout = \"soon\"", "is no duration"),
        ("health = { path = \"healthz\" }", "must be a path"),
        ("health = { path = \"/\", status = [99] }", "must be from 100 to 599"),
        ("outlier = { failures = 2, ejekt_for = \"1s\" }", "did you mean `eject_for`"),
        ("timeout = \"1s\"", "unknown key"),
    ] {
        let fault = fault_of("[[policy]]", &format!("[application.upstream]\n{wrong}\n[[policy]]"));
        assert!(fault.contains("`application.upstream") && fault.contains(words), "{wrong}: {fault}");
    }
}

#[test]
fn headers_of_the_gateways_own_are_not_to_be_configured() {
    let policies = "policies = [\"engineering\"]";
    let fault = |lines: &str| fault_of(policies, &format!("{policies}\n{lines}"));
    for (line, words) in [
        ("\"Host\" = \"a\"", "written by the gateway"),
        ("\"X-Forwarded-For\" = \"a\"", "written by the gateway"),
        ("\"Cf-Access-Jwt-Assertion\" = { claim = \"sub\" }", "written by the gateway"),
        ("\"X_Groups\" = { groups = \",\" }", "letters, digits and hyphens"),
        ("\"X-Groups\" = { groups = \"-\" }", "must be \",\""),
        ("\"X-Groups\" = { groups = \",\", claim = \"sub\" }", "write a text"),
        ("\"X-Groups\" = { groups = \",\", encoding = \"utf-8\" }", "must be \"rfc8187\""),
        ("\"X-Groups\" = { group = \",\" }", "unknown key"),
        ("\"X-Stage\" = \"a\\nb\"", "printable ASCII"),
        ("\"X-Stage\" = 1", "write a text"),
    ] {
        let found = fault(&format!("[application.headers]\n{line}"));
        assert!(found.starts_with("line 24: `application.headers."), "{found}");
        assert!(found.contains(words), "{line}: {found}");
    }
    let removed = fault("[application.response_headers]\n\"Server\" = true");
    assert!(removed.contains("false to take the field out"), "{removed}");
    assert!(fault("[application.response_headers]\n\"Set-Cookie\" = false").contains("by the gateway"));
}

#[test]
fn health_is_never_on_the_public_listener() {
    let fault = fault_of("inner_listen = \"127.0.0.1:9443\"", "inner_listen = \"127.0.0.1:8443\"");
    assert!(fault.contains("never on the public listener"), "{fault}");
}

#[test]
fn what_is_not_toml_is_named_by_line() {
    let found = faults(&format!("{WHOLE}\n[server\n"));
    assert!(found.iter().any(|fault| fault.starts_with("line 29:")), "{found:#?}");
}

#[test]
fn t54_certificates_are_whole_or_faults() {
    let tls = "self_signed = true";
    assert!(fault_of(tls, "").contains("self_signed = true"));
    assert!(fault_of(tls, "self_signed = true\ncertificate = \"a.pem\"").contains("give `certificate`"));
    assert!(fault_of(tls, "certificate = \"a.pem\"").contains("give `certificate`"));
    assert!(fault_of(tls, "certificate = []").contains("give `certificate`"));
    let absent = fault_of(tls, "[[tls.certificate]]\ncertificate = \"/absent.pem\"\nkey = \"/dev/null\"");
    assert!(absent.starts_with("line 8: `tls.certificate.certificate`: no certificate"), "{absent}");
    let keyless = fault_of(tls, "[[tls.certificate]]\ncertificate = \"/absent.pem\"");
    assert!(keyless.contains("`key` is missing"), "{keyless}");
}

#[test]
fn t54_what_is_ordered_is_whole_or_faults() {
    const GOOD: &str = "[tls.acme]\ndirectory = \"https://ca.example/dir\"\nagree_to_terms = true\n\
                        contact = [\"operator@corp.example\"]\nhosts = [\"wiki.localhost\"]\n";
    let tls = "[tls]\nself_signed = true";
    let config = Config::parse(&WHOLE.replacen(tls, GOOD, 1), Path::new("/")).unwrap();
    let acme = config.tls.acme.unwrap();
    assert_eq!((acme.contact.concat(), acme.hosts.len()), ("mailto:operator@corp.example".to_owned(), 1));
    let changed = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        fault_of(tls, &GOOD.replacen(from, to, 1))
    };
    let wildcard = changed("wiki.localhost", "*.localhost");
    assert!(
        wildcard.starts_with("line 10: `tls.acme.hosts`: `*.localhost`: a wildcard is proved"),
        "{wildcard}"
    );
    assert!(changed("wiki.localhost", "wikki.localhost").contains("neither an application nor"));
    assert!(changed("\"wiki.localhost\"", "\"wiki.localhost\", \"WIKI.localhost\"").contains("twice"));
    assert!(changed("\"wiki.localhost\"", "").contains("at least one host"));
    assert!(changed("agree_to_terms = true", "agree_to_terms = false").contains("makes no account"));
    assert!(changed("agree_to_terms = true\n", "").contains("`agree_to_terms` is missing"));
    assert!(changed("https://", "http://").contains("must be https"));
    assert!(changed("https://", "https://me@").contains("no user"));
    assert!(changed("operator@corp.example", "operator").contains("no e-mail address"));
    assert!(changed("operator@corp.example", "a@corp.example,b@corp.example").contains("no e-mail address"));
    let eleven = ["\"operator@corp.example\""; 11].join(",");
    assert!(changed("\"operator@corp.example\"", &eleven).contains("more than 10"));
    let absent = fault_of(tls, &format!("{GOOD}ca_file = \"/absent.pem\"\n"));
    assert!(absent.contains("`tls.acme.ca_file`: no certificate can be read"), "{absent}");
    let binding = |key: &str| {
        let file = std::env::temp_dir().join(format!("portcullis-binding-{}", std::process::id()));
        std::fs::write(&file, key).unwrap();
        let line = format!("external_account = {{ key_id = \"k\", hmac_key = {{ file = {file:?} }} }}\n");
        faults(&WHOLE.replacen(tls, &format!("{GOOD}{line}"), 1)).concat()
    };
    assert_eq!(binding("zWNDZM6eQGHWpSRTPal5eA"), "");
    assert!(binding("not base64!").contains("base64url"));
    let both = faults(&WHOLE.replacen(tls, &format!("{tls}\n{GOOD}"), 1)).concat();
    assert!(both.contains("give `certificate`"), "{both}");
    let crowd: Vec<String> = (0..101).map(|number| format!("h{number}.localhost")).collect();
    let crowded = WHOLE.replacen("\"wiki.localhost\"", &format!("\"{}\"", crowd.join("\", \"")), 1);
    let crowded = crowded.replacen(tls, &GOOD.replacen("[\"wiki.localhost\"]", &format!("{crowd:?}"), 1), 1);
    assert!(faults(&crowded).concat().contains("more than 100 hosts"), "{:?}", faults(&crowded));
}

#[test]
fn t54_client_certificates_are_asked_for_where_something_lives() {
    let asked = |lines: &str| {
        faults(&format!("{WHOLE}[[client_certificate]]\nca_file = \"/absent.pem\"\n{lines}\n")).join("\n")
    };
    let absent = asked("hosts = [\"wiki.localhost\"]");
    assert!(absent.contains("`client_certificate.ca_file`: no certificate can be read"), "{absent}");
    let slip = asked("hosts = [\"wikki.localhost\"]");
    assert!(slip.contains("`wikki.localhost`: neither an application nor"), "{slip}");
    assert!(asked("hosts = [\"*.localhost\"]").lines().count() == 1);
    assert!(asked("hosts = []").contains("needs at least one host"));
    assert!(asked("hosts = [\"wiki.localhost\"]\nmode = \"never\"").contains("\"required\" or \"optional\""));
    assert!(asked("").contains("`hosts` is missing"));
}

#[test]
fn telemetry_is_for_a_program_that_has_it_and_leaves_the_machine_by_https() {
    let read = |lines: &str| faults(&format!("{WHOLE}\n[telemetry]\n{lines}")).join("\n");
    let whole = read("endpoint = \"https://collector.corp.example/v1/traces\"\nsample_one_in = 100");
    if cfg!(feature = "otel") {
        assert_eq!(whole, "");
        assert!(read("endpoint = \"http://collector.corp.example/v1/traces\"").contains("must be https"));
        assert!(
            read("endpoint = \"http://127.0.0.1:4318/v1/traces\"\nsample_one_in = 0").contains("from 1 to")
        );
        assert!(read("").contains("`endpoint` is missing"));
    } else {
        assert!(whole.contains("built without telemetry"), "{whole}");
    }
}

#[test]
fn the_log_goes_where_it_is_told() {
    let read = |log: &str| Config::parse(&format!("{WHOLE}\n[log]\n{log}"), Path::new("/etc/portcullis"));
    assert_eq!(read("").unwrap().log, Log::default());
    let log = read("format = \"text\"\noutput = \"log/events.log\"\nlevel = \"debug\"").unwrap().log;
    let file = LogOutput::File("/etc/portcullis/log/events.log".into());
    assert_eq!(log, Log { format: LogFormat::Text, output: file, level: LogLevel::Debug, decisions: None });
    let decisions =
        read("[log.decisions]\nfolder = \"decisions\"\nrequired = true\nkeep_for = \"30d\"").unwrap();
    let decisions = decisions.log.decisions.unwrap();
    assert_eq!(decisions.folder, Path::new("/etc/portcullis/decisions"));
    assert_eq!((decisions.unrecorded, decisions.keep_for.as_secs()), (Unrecorded::Denied, 30 * 86_400));
    let wrong = "[log.decisions]\nrotate_bytes = 4095\nkeep_files = 0\nkept_for = \"1d\"";
    let keys: Vec<String> = read(wrong).unwrap_err().into_iter().map(|fault| fault.key).collect();
    for key in
        ["log.decisions", "log.decisions.rotate_bytes", "log.decisions.keep_files", "log.decisions.kept_for"]
    {
        assert!(keys.iter().any(|found| found == key), "{key} of {keys:?}");
    }
    let faults = read("format = \"xml\"\noutput = \"\"\nlevel = \"loud\"").unwrap_err();
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["log.format", "log.output", "log.level"], "{faults:?}");
}

#[test]
fn t26b_nobody_can_let_everybody_tell_their_address() {
    let listen = "auth_host = \"auth.localhost\"";
    for everybody in ["0.0.0.0/0", "::/0"] {
        let fault =
            fault_of(listen, &format!("{listen}\nproxy_protocol_from = [\"10.0.0.1\", \"{everybody}\"]"));
        assert!(fault.contains("name the balancers"), "{fault}");
    }
    let config = Config::parse(WHOLE, Path::new("/etc/portcullis")).unwrap();
    assert!(config.server.proxy_protocol_from.is_empty());
}

#[test]
fn a_domain_that_two_providers_claim_is_a_fault_that_names_both() {
    let second = |domains: &str| {
        let entrance = "client_id = \"portcullis\"\ndomains = [\"corp.example\", \"corp.test\"]";
        let partners = "[[identity_provider]]\nname = \"partners\"\ntype = \"oidc\"\nissuer = \"https://p.example\"\n\
                        client_id = \"p\"\n";
        WHOLE.replacen("client_id = \"portcullis\"", entrance, 1).replacen(
            "[[directory]]",
            &format!("{partners}domains = [{domains}]\n[[directory]]"),
            1,
        )
    };
    assert_eq!(faults(&second("\"mail.corp.example\", \"partner.example\"")), [""; 0]);
    let found = faults(&second("\"partner.example\", \"CORP.Example\"")).concat();
    assert!(
        found.contains("`corp.example` is claimed by two identity providers, `okta` and `partners`"),
        "{found}"
    );
    for (wrong, words) in [
        ("\"corp..example\"", "a label of the domain"),
        ("\"b\u{fc}cher.example\"", "xn--"),
        ("\"*.corp.example\"", "a label of the domain"),
        ("", "at least one domain"),
        ("\"p.example\", \"P.example\"", "holds `p.example` twice"),
    ] {
        let found = faults(&second(wrong)).concat();
        assert!(found.contains(words), "{wrong}: {found}");
    }
}

#[test]
fn an_application_accepts_providers_that_there_are() {
    let policies = "policies = [\"engineering\"]";
    let with = |listed: &str| format!("{policies}\nidentity_providers = {listed}");
    let config = Config::parse(&WHOLE.replacen(policies, &with("[\"okta\"]"), 1), Path::new("")).unwrap();
    assert!(config.applications[0].accepts("okta") && !config.applications[0].accepts("partners"));
    assert!(Config::parse(WHOLE, Path::new("")).unwrap().applications[0].accepts("partners"));
    let unknown = fault_of(policies, &with("[\"octa\"]"));
    assert!(unknown.contains("no identity provider is named `octa`"), "{unknown}");
    assert!(fault_of(policies, &with("[]")).contains("at least one identity provider"));
}

#[test]
fn assertions_are_configured_within_bounds() {
    let config = Config::parse(WHOLE, Path::new("/")).unwrap();
    assert_eq!(config.assertion, Assertion::default());
    let asserted = &config.applications[0].asserted;
    assert_eq!((asserted.audience.as_str(), asserted.life_s), ("wiki", 120));
    let own = "assertion_audience = \"4714c135\"\nassertion_claims = [\"department\"]\nhosts = [\"wiki.localhost\"]";
    let source = WHOLE.replacen("hosts = [\"wiki.localhost\"]", own, 1);
    let whole = "[assertion]\nalgorithm = \"EdDSA\"\nrotate_every = \"7d\"\nlife = \"5m\"\n";
    let config = Config::parse(&format!("{source}\n{whole}"), Path::new("/")).unwrap();
    assert_eq!(config.assertion.algorithm, crate::assertion::Algorithm::EdDsa);
    let asserted = &config.applications[0].asserted;
    assert_eq!((asserted.audience.as_str(), asserted.life_s), ("4714c135", 300));
    assert_eq!(asserted.claims, ["department"]);
    for (wrong, words) in [
        ("algorithm = \"HS256\"", "must be \"RS256\", \"ES256\" or \"EdDSA\""),
        ("rotate_every = \"23h\"", "must be from 1d to 400d"),
        ("rotate_every = \"401d\"", "must be from 1d to 400d"),
        ("life = \"29s\"", "must be from 30s to 1h"),
        ("life = \"3601s\"", "must be from 30s to 1h"),
        ("rotate_evry = \"42d\"", "did you mean `rotate_every`"),
    ] {
        let found = faults(&format!("{WHOLE}\n[assertion]\n{wrong}\n")).concat();
        assert!(found.contains(words), "{wrong}: {found}");
    }
    let hosts = "hosts = [\"wiki.localhost\"]";
    let with = |line: &str| fault_of(hosts, &format!("{line}\n{hosts}"));
    assert!(with("assertion_audience = \"\"").contains("from 1 to 256 bytes"));
    assert!(with(&format!("assertion_audience = \"{}\"", "a".repeat(257))).contains("from 1 to 256 bytes"));
    assert!(with(&format!("assertion_claims = [{}]", "\"a\",".repeat(33))).contains("more than 32 claims"));
    assert!(with("assertion_claims = [\"\"]").contains("from 1 to 256 bytes"));
}

#[test]
fn the_times_of_a_session_are_read_and_bounded() {
    let with = |lines: &str| format!("{WHOLE}[session]\n{lines}\n");
    let config = Config::parse(WHOLE, Path::new("/")).unwrap();
    assert_eq!(config.session, Session::default());
    let lines = "duration = \"8h\"\nidle_timeout = \"1h\"\nrenew_every = \"5m\"\nrenewal_grace = \"10m\"";
    let seconds = Duration::from_secs;
    let wanted = Session {
        duration: seconds(28_800),
        idle_timeout: Some(seconds(3_600)),
        renew_every: seconds(300),
        renewal_grace: seconds(600),
    };
    assert_eq!(Config::parse(&with(lines), Path::new("/")).unwrap().session, wanted);
    for key in ["duration", "idle_timeout", "renew_every", "renewal_grace"] {
        assert_eq!(faults(&with(&format!("{key} = \"30d\""))), Vec::<String>::new(), "{key}");
        let found = faults(&with(&format!("{key} = \"31d\"")));
        assert!(found.len() == 1 && found[0].contains("at most 30d"), "{key}: {found:?}");
    }
}

#[test]
fn a_provider_with_renewals_is_asked_for_refresh_tokens() {
    let scopes = |extra: &str| {
        let whole =
            WHOLE.replacen("client_id = \"portcullis\"", &format!("client_id = \"portcullis\"\n{extra}"), 1);
        let config = Config::parse(&whole, Path::new("/")).unwrap();
        config.identity_provider("okta").unwrap().scopes.join(" ")
    };
    assert_eq!(scopes(""), "openid profile email groups");
    assert_eq!(scopes("refresh = true"), "openid profile email groups offline_access");
    assert_eq!(scopes("refresh = true\nscopes = [\"openid\", \"offline_access\"]"), "openid offline_access");
}

#[test]
fn a_tile_leads_to_a_page_of_an_application() {
    let client = "client_id = \"portcullis\"";
    let with = |address: &str| format!("{client}\ninitiate_to = \"{address}\"");
    let good = "https://wiki.localhost:8443/home?tab=1";
    let config = Config::parse(&WHOLE.replacen(client, &with(good), 1), Path::new("")).unwrap();
    assert_eq!(config.identity_providers[0].entrance.initiate_to.as_deref(), Some(good));
    for (address, words) in [
        ("http://wiki.localhost:8443/", "must begin with `https://`"),
        ("https://wiki.localhost/", "names another port than browsers use, 8443"),
        ("https://evil.example:8443/", "is no page of an `[[application]]`"),
        ("https://auth.localhost:8443/", "is no page of an `[[application]]`"),
        ("https://wiki.localhost:8443/../x", "has no single meaning"),
    ] {
        let fault = fault_of(client, &with(address));
        assert!(fault.contains(words), "{address}: {fault}");
    }
    let narrow = WHOLE.replacen("[\"wiki.localhost\"]", "[\"wiki.localhost\"]\npaths = [\"/teams\"]", 1);
    let found = faults(&narrow.replacen(client, &with("https://wiki.localhost:8443/home"), 1)).concat();
    assert!(found.contains("is no page of an `[[application]]`"), "{found}");
}

#[test]
fn what_a_provider_is_called_and_how_many_domains_it_has_is_bounded() {
    let client = "client_id = \"portcullis\"";
    let named = |name: &str| format!("{client}\ndisplay_name = \"{name}\"");
    assert_eq!(faults(&WHOLE.replacen(client, &named(&"\u{fc}".repeat(64)), 1)), [""; 0]);
    for wrong in ["".to_owned(), " ".to_owned(), "a".repeat(65), "a\\nb".to_owned()] {
        assert!(fault_of(client, &named(&wrong)).contains("1 to 64 characters"), "{wrong}");
    }
    let domains = |count: usize| {
        let list: Vec<String> = (0..count).map(|number| format!("\"d{number}.example\"")).collect();
        format!("{client}\ndomains = [{}]", list.join(", "))
    };
    assert_eq!(faults(&WHOLE.replacen(client, &domains(1_000), 1)), [""; 0]);
    assert!(fault_of(client, &domains(1_001)).contains("at most 1000 domains"));
}
