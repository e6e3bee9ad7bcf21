//! The walk of a request: who asks, what it names, which operation does it, what is answered.
//!
//! Each step stands in the file of its name; only this file knows their order.

use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderMap, Method, Request, Response};
use portcullis_store::{KeyRecord, Provisioner, Store};

use crate::answer::{Answer, refuse};
use crate::authenticate::{Client, authenticate};
use crate::list_query::ListQuery;
use crate::provisioning_log::{self, Changed};
use crate::rejection::Rejection;
use crate::route::{Target, split_directory, target};
use crate::rules::UserRules;
use crate::{bulk, discovery, groups, search, users};

/// A directory that is served, and where clients find it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectorySettings {
    /// The name in the address, and in the store.
    pub name: String,
    /// Such as `https://auth.corp.example/scim/v2/corp`: what stands before `/Users` in every `location`.
    pub base_url: String,
    /// A field in which a client may show its key in place of `Authorization`.
    pub key_header: Option<HeaderName>,
    /// What is asked of its people.
    pub rules: Arc<UserRules>,
}

/// The SCIM service provider over a store.
#[derive(Debug, Clone)]
pub struct ScimSink {
    store: Store,
    directories: Arc<[DirectorySettings]>,
}

/// A request whose key was verified.
pub(crate) struct Visit<'r> {
    pub(crate) store: &'r Store,
    pub(crate) directory: &'r DirectorySettings,
    pub(crate) key: KeyRecord,
    pub(crate) request: &'r Request<Bytes>,
    pub(crate) clock: Clock<'r>,
    /// When what is asked for was begun.
    pub(crate) now: i64,
}

/// Tells the present, in unix seconds.
pub(crate) type Clock<'c> = &'c (dyn Fn() -> i64 + Send + Sync);

impl Visit<'_> {
    /// The store, for one write that goes into the provisioning log.
    pub(crate) fn writer(&self, operation: &str, changed: &Changed) -> Store {
        self.store.provisioned_by(Provisioner {
            key_id: self.key.key_id.clone(),
            key_name: self.key.name.clone(),
            operation: operation.to_owned(),
            changed: changed.shared(),
            seen: changed.seen(),
        })
    }

    pub(crate) fn query(&self) -> &str {
        self.request.uri().query().unwrap_or_default()
    }
}

impl ScimSink {
    /// A sink that serves these directories and no others.
    pub fn new(store: Store, directories: Vec<DirectorySettings>) -> ScimSink {
        ScimSink { store, directories: directories.into() }
    }

    /// Answers a request below `/scim/v2/`: authenticates, decides, writes. A 2xx to a write means that it is durable and applied.
    ///
    /// The clock tells the present, in unix seconds: a request of many operations asks it for each.
    ///
    /// It must run on a Tokio runtime: listings are read on its blocking threads.
    pub async fn respond(
        &self,
        mut request: Request<Bytes>,
        clock: impl Fn() -> i64 + Send + Sync,
    ) -> Response<Bytes> {
        // What is answered without its body is answered alike; whoever sends the answer leaves the body out.
        if *request.method() == Method::HEAD {
            *request.method_mut() = Method::GET;
        }
        let (named, rest) = split_directory(request.uri().path());
        let (mut key, now) = (None, clock());
        match self.answer(&request, (named, rest), (&clock, now), &mut key).await {
            Ok(answer) => answer.into_response(),
            Err(rejection) => {
                let method = request.method().as_str();
                match &key {
                    Some(key) => {
                        provisioning_log::refused(&self.store, (named, key), method, rest, &rejection, now);
                    }
                    None => provisioning_log::rejected(named, None, method, rest, &rejection),
                }
                refuse(&rejection)
            }
        }
    }

    /// Looks at the key of a request before its body is read: the same answer and log line as [`respond`](Self::respond) would give to
    /// a request without a valid key. `respond` looks again, for a key may be revoked meanwhile.
    ///
    /// # Errors
    /// The answer to a request whose body need not be read.
    #[expect(
        clippy::result_large_err,
        reason = "the answer is made once and sent; boxing it would serve nobody"
    )]
    pub fn admit(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        now: i64,
    ) -> Result<(), Response<Bytes>> {
        let (named, rest) = split_directory(path);
        match authenticate(&self.store, &self.directories, named, headers, now) {
            Ok(_) => Ok(()),
            Err(rejection) => {
                provisioning_log::rejected(named, None, method.as_str(), rest, &rejection);
                Err(refuse(&rejection))
            }
        }
    }

    /// What is answered to a body larger than [`MAX_BODY_BYTES`](crate::limits::MAX_BODY_BYTES), which the caller stopped reading.
    pub fn too_large() -> Response<Bytes> {
        refuse(&Rejection::BodyTooLarge)
    }

    async fn answer(
        &self,
        request: &Request<Bytes>,
        (named, rest): (&str, &str),
        (clock, now): (Clock<'_>, i64),
        key: &mut Option<KeyRecord>,
    ) -> Result<Answer, Rejection> {
        // Before anything else is told: not even which addresses exist.
        let client = authenticate(&self.store, &self.directories, named, request.headers(), now)?;
        *key = Some(client.key.clone());
        let target = target(rest)?;
        target.admit(request.method())?;
        let Client { directory, key } = client;
        let visit = Visit { store: &self.store, directory, key, request, clock, now };
        let path = request.uri().path();
        match (target, request.method()) {
            (Target::Bulk, _) => bulk::run(&visit).await,
            (Target::Users, &Method::GET) => {
                users::list(&visit, ListQuery::parse(visit.query(), path)?).await
            }
            (Target::SearchUsers, _) => users::list(&visit, ListQuery::from_body(request, path)?).await,
            (Target::User(id), &Method::GET) => users::read(&visit, id),
            (Target::Groups, &Method::GET) => {
                groups::list(&visit, ListQuery::parse(visit.query(), path)?).await
            }
            (Target::SearchGroups, _) => groups::list(&visit, ListQuery::from_body(request, path)?).await,
            (Target::Group(id), &Method::GET) => groups::read(&visit, id),
            (Target::Search, _) => search::everything(&visit, ListQuery::from_body(request, path)?).await,
            (Target::Users | Target::User(_) | Target::Groups | Target::Group(_), _) => {
                write(&visit, target).await
            }
            (discovered, _) => discovery::answer(discovered, &visit),
        }
    }
}

/// Does what a request with a body of its own, or one operation of many in a Bulk request, asks to be written.
pub(crate) async fn write(visit: &Visit<'_>, target: Target<'_>) -> Result<Answer, Rejection> {
    match (target, visit.request.method()) {
        (Target::Users, &Method::POST) => users::create(visit).await,
        (Target::User(id), &Method::PUT) => users::replace(visit, id).await,
        (Target::User(id), &Method::PATCH) => users::patch(visit, id).await,
        (Target::User(id), &Method::DELETE) => users::delete(visit, id).await,
        (Target::Groups, &Method::POST) => groups::create(visit).await,
        (Target::Group(id), &Method::PUT) => groups::replace(visit, id).await,
        (Target::Group(id), &Method::PATCH) => groups::patch(visit, id).await,
        (Target::Group(id), &Method::DELETE) => groups::delete(visit, id).await,
        _ => Err(Rejection::UnknownPath),
    }
}
