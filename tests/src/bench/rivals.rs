//! The other proxies: the bare floor, nginx with and without `auth_request`, HAProxy. Each has one worker, keeps its connections to the
//! upstream, writes no access log, and streams bodies as the gateway does.

use std::net::SocketAddr;
use std::path::Path;

use super::contestant::{Address, Contestant};
use super::stage::Papers;
use crate::harness::ports;

const NGINX: &str = r#"
daemon off;
worker_processes 1;
error_log stderr crit;
pid PID;
worker_rlimit_nofile FILES;
events { worker_connections 16384; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_max_body_size 0;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
    upstream origin { server ORIGIN; keepalive 512; keepalive_requests 1000000000; }
    server {
        listen 127.0.0.1:PORT ssl http2;
        ssl_certificate CERTIFICATE;
        ssl_certificate_key KEY;
        ssl_protocols TLSv1.3;
        ssl_ecdh_curve X25519;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        ssl_session_tickets on;
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        proxy_set_header Host $http_host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        location / {
            AUTH
            proxy_pass http://origin;
        }
        location = /allowed {
            internal;
            proxy_pass http://origin/allow;
            proxy_pass_request_body off;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
        }
    }
}
"#;

const HAPROXY: &str = r"
global
    nbthread 1
    maxconn MAXCONN
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
    ssl-default-bind-curves X25519
defaults
    mode http
    timeout client 600s
    timeout server 600s
    timeout connect 5s
    timeout tunnel 600s
    http-reuse always
frontend in
    bind 127.0.0.1:PORT ssl crt BUNDLE alpn h2,http/1.1
    default_backend origin
backend origin
    server origin ORIGIN
";

/// Where a rival is asked: under the host of the gateway's application, with a cookie that means nothing to it.
fn address(like: &Address) -> Address {
    Address { port: ports::free(), ..like.clone() }
}

/// The floor; `program` is `floor`, built beside this one.
pub(super) fn floor(
    program: &Path,
    like: &Address,
    origin: SocketAddr,
    papers: &Papers,
) -> Result<Contestant, String> {
    let address = address(like);
    let (listen, upstream) = (format!("127.0.0.1:{}", address.port), origin.to_string());
    let (certificate, key) = (papers.certificate.to_string_lossy(), papers.key.to_string_lossy());
    let words = [&*program.to_string_lossy(), &listen, &upstream, &*certificate, &*key];
    Contestant::start("floor", address, &papers.folder, &words)
}

/// nginx, which checks nothing, or asks an endpoint that says yes to all.
pub(super) fn nginx(
    name: &'static str,
    auth: &str,
    like: &Address,
    origin: SocketAddr,
    papers: &Papers,
) -> Result<Contestant, String> {
    let address = address(like);
    let folder = papers.folder.join(name.replace(' ', "-"));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let config = NGINX
        .replace("PID", &folder.join("pid").to_string_lossy())
        .replace("FILES", &super::machine::descriptors().to_string())
        .replace("ORIGIN", &origin.to_string())
        .replace("PORT", &address.port.to_string())
        .replace("CERTIFICATE", &papers.certificate.to_string_lossy())
        .replace("KEY", &papers.key.to_string_lossy())
        .replace("AUTH", auth);
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config).map_err(|error| error.to_string())?;
    let prefix = folder.to_string_lossy();
    Contestant::start(name, address, &folder, &["nginx", "-p", &*prefix, "-c", &*file.to_string_lossy()])
}

/// HAProxy, which checks nothing.
pub(super) fn haproxy(like: &Address, origin: SocketAddr, papers: &Papers) -> Result<Contestant, String> {
    let address = address(like);
    let bundle = papers.folder.join("bundle.pem");
    let read = |file: &Path| std::fs::read_to_string(file).map_err(|error| error.to_string());
    let both = read(&papers.certificate)? + &read(&papers.key)?;
    std::fs::write(&bundle, both).map_err(|error| error.to_string())?;
    // HAProxy counts two descriptors for each connection and refuses to start when they are not to be had.
    let connections = (super::machine::descriptors() / 2).saturating_sub(200).min(16_384);
    let config = HAPROXY
        .replace("MAXCONN", &connections.to_string())
        .replace("ORIGIN", &origin.to_string())
        .replace("PORT", &address.port.to_string())
        .replace("BUNDLE", &bundle.to_string_lossy());
    let file = papers.folder.join("haproxy.cfg");
    std::fs::write(&file, config).map_err(|error| error.to_string())?;
    let words = ["haproxy", "-f", &*file.to_string_lossy()];
    let mut started = Contestant::start("haproxy", address, &papers.folder, &words)?;
    started.bears = connections - 100;
    Ok(started)
}
