//! The listening side: accepts connections on loopback, reads each request whole, finds its endpoint, and has the answer
//! delivered, well or badly. The answers are made in the files named after the endpoints.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::discovery::AuthServer;
use super::exchange::{Answer, Ask, MAX_REQUEST_BODY};
use super::keys::random_id;
use super::misbehave::{self, Endpoint, Fault, SimBody};
use super::{Okta, admin, admin_api, authorize, discovery, id_token, login, logout, token, users_api};

/// Serves until it is dropped, and then cuts every connection.
pub(super) async fn accept(okta: Arc<Okta>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            // Out of descriptors, most likely: a pause instead of a spin.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = socket.set_nodelay(true);
        while connections.try_join_next().is_some() {}
        let okta = Arc::clone(&okta);
        connections.spawn(async move {
            let service = service_fn(move |request| respond(Arc::clone(&okta), request));
            // A peer that goes away in the middle is its own affair.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn respond(okta: Arc<Okta>, request: Request<Incoming>) -> Result<Response<SimBody>, Infallible> {
    let (parts, body) = request.into_parts();
    let answer = match Limited::new(body, MAX_REQUEST_BODY).collect().await {
        Ok(body) => {
            let ask = Ask::new(&parts, body.to_bytes());
            let endpoint = endpoint_of(&ask);
            okta.count(endpoint);
            if let Some(fault) = okta.next_fault(endpoint) {
                let answer = answer(&okta, &ask).await;
                okta.confide(&ask, &answer);
                let answer = if fault == Fault::Echo { misbehave::echo(&ask) } else { answer };
                return Ok(misbehave::deliver(answer, Some(fault), okta.now()).await);
            }
            let answer = answer(&okta, &ask).await;
            okta.confide(&ask, &answer);
            answer
        }
        Err(_) => Answer::empty(StatusCode::PAYLOAD_TOO_LARGE),
    };
    let answer = answer.with(HeaderName::from_static("x-okta-request-id"), &random_id(20));
    Ok(misbehave::deliver(answer, None, okta.now()).await)
}

fn endpoint_of(ask: &Ask) -> Endpoint {
    let path = ask.segments.iter().map(String::as_str).collect::<Vec<_>>();
    match path.as_slice() {
        [".well-known", ..] | ["oauth2", _, ".well-known", _] => Endpoint::Discovery,
        ["oauth2", "v1", leaf] | ["oauth2", _, "v1", leaf] => match *leaf {
            "authorize" => Endpoint::Authorize,
            "token" => Endpoint::Token,
            "userinfo" => Endpoint::Userinfo,
            "keys" => Endpoint::Keys,
            "logout" => Endpoint::Logout,
            "par" => Endpoint::Par,
            "revoke" => Endpoint::Revoke,
            _ => Endpoint::Elsewhere,
        },
        ["login"] => Endpoint::Login,
        ["api", "v1", "users", _, "groups"] => Endpoint::UserGroups,
        ["api", "v1", "users", ..] => Endpoint::Users,
        ["api", "v1", "groups", ..] => Endpoint::Groups,
        ["admin", ..] => Endpoint::Admin,
        _ => Endpoint::Elsewhere,
    }
}

async fn answer(okta: &Okta, ask: &Ask) -> Answer {
    let path = ask.segments.iter().map(String::as_str).collect::<Vec<_>>();
    match path.as_slice() {
        ["admin", "api", rest @ ..] => admin_api::answer(okta, ask, rest).await,
        ["admin", ..] => admin::answer(okta, ask).await,
        ["api", "v1", ..] => users_api::answer(okta, ask),
        ["login"] if ask.method == Method::POST => login::submit(okta, ask),
        ["login"] => logout::signed_out(),
        [".well-known", "openid-configuration"] => discovery::openid_configuration(okta, AuthServer::Org),
        [".well-known", "oauth-authorization-server"] => discovery::oauth_metadata(okta, AuthServer::Org),
        ["oauth2", "v1", leaf] => oauth(okta, AuthServer::Org, leaf, ask),
        [".well-known", "oauth-authorization-server", "oauth2", id]
        | ["oauth2", id, ".well-known", "openid-configuration" | "oauth-authorization-server"]
        | ["oauth2", id, "v1", _] => match AuthServer::named(id) {
            Some(server) => match path.as_slice() {
                ["oauth2", _, "v1", leaf] => oauth(okta, server, leaf, ask),
                [.., "openid-configuration"] => discovery::openid_configuration(okta, server),
                _ => discovery::oauth_metadata(okta, server),
            },
            None => users_api::not_found(id, "AuthorizationServer"),
        },
        _ => users_api::not_found("page", "Path"),
    }
}

fn oauth(okta: &Okta, server: AuthServer, leaf: &str, ask: &Ask) -> Answer {
    let posted = ask.method == Method::POST;
    match leaf {
        "authorize" => authorize::authorize(okta, server, ask),
        "logout" => logout::logout(okta, server, ask),
        "userinfo" => id_token::userinfo(okta, ask),
        "keys" => discovery::keys(okta, server),
        "token" if posted => token::token(okta, server, ask),
        "par" if posted => authorize::pushed(okta, ask),
        "revoke" if posted => token::revoke(okta, ask),
        "token" | "par" | "revoke" => Answer::empty(StatusCode::METHOD_NOT_ALLOWED),
        _ => users_api::not_found(leaf, "Endpoint"),
    }
}
