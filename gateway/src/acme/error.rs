//! Why there is no certificate, what an operator can do about it, and how soon it is worth another try. Logging it is left to
//! `acme`, the times to `plan`.

use instant_acme::{Error, Problem};
use portcullis_store::{SealedItemError, StoreError};

use super::plan::Patience;
use crate::tls::{CertificateError, TlsError};
use crate::web_client::WebClientError;

/// How much of an authority's own words goes into the log, in characters.
pub(super) const MAX_TOLD_CHARS: usize = 500;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum AcmeError {
    #[error("the authority cannot be reached: {0}")]
    Unreachable(String),
    #[error("the authority did not come to an end in time")]
    Slow,
    #[error("the authority is not in order for now: {0}")]
    OutOfOrder(String),
    #[error("the authority's answer cannot be understood: {0}")]
    Answer(String),
    #[error("the authority does not know our account: {0}")]
    NoAccount(String),
    #[error("the authority makes no account for us: {0}")]
    AccountRefused(String),
    #[error("the authority has had enough orders for now: {0}")]
    RateLimited(String),
    #[error("the authority could not verify that the host is ours: {0}")]
    NotVerified(String),
    #[error("the authority refuses the order: {0}")]
    Refused(String),
    #[error("the authority asks for another proof than tls-alpn-01")]
    NoChallenge,
    #[error("the authority asks about another host, or about several")]
    OtherHost,
    #[error("the certificate cannot be used: {0}")]
    Certificate(#[from] CertificateError),
    #[error("the certificate is not made out to the host")]
    OtherName,
    #[error(
        "the certificate chain is longer than {} certificates or {} bytes",
        super::order::MAX_CHAIN,
        super::order::MAX_CHAIN_BYTES
    )]
    Chain,
    #[error("the question of the authority cannot be answered: {0}")]
    Tls(#[from] TlsError),
    #[error("a key cannot be made: {0}")]
    Key(#[from] rcgen::Error),
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    #[error("the store refuses it: {0}")]
    Keep(#[from] SealedItemError),
    #[error("it cannot be sealed")]
    Seal,
}

impl AcmeError {
    /// Whether it would meet every other host too.
    pub(super) fn concerns_all(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::AccountRefused(_) | Self::NoAccount(_))
    }

    /// An authority counts what it has refused, not what it was never asked.
    pub(super) fn patience(&self) -> Patience {
        match self {
            Self::Unreachable(_) | Self::Slow | Self::OutOfOrder(_) | Self::Store(_) => Patience::Unasked,
            _ => Patience::Refused,
        }
    }

    /// What an operator can do.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::OutOfOrder(_) => "wait; if it goes on, ask who runs the authority",
            Self::Unreachable(_) | Self::Slow => {
                "look whether this machine reaches `tls.acme.directory`; an authority of your own needs `tls.acme.ca_file`"
            }
            Self::Answer(_) | Self::OtherHost | Self::Chain | Self::OtherName | Self::Certificate(_) => {
                "look whether `tls.acme.directory` is the directory of an ACME server"
            }
            Self::NoAccount(_) | Self::AccountRefused(_) => {
                "look at `tls.acme.contact`; some authorities want `tls.acme.external_account`"
            }
            Self::RateLimited(_) => "wait; do not restart, and name no host that does not lead here",
            Self::NotVerified(_) => {
                "the host's name must lead to port 443 of this gateway, with nothing in between that ends TLS"
            }
            Self::Refused(_) => "the authority's words say what it wants; a CAA record may forbid it",
            Self::NoChallenge => "this authority cannot be used: give a certificate instead",
            Self::Tls(_) | Self::Key(_) | Self::Seal => "this machine may lack randomness or memory",
            Self::Store(_) | Self::Keep(_) => "look at the store's file and the space on its disk",
        }
    }

    /// A refusal that came of asking for an account.
    pub(super) fn of_account(self) -> Self {
        match self {
            Self::Refused(told) | Self::NotVerified(told) | Self::NoAccount(told) => {
                Self::AccountRefused(told)
            }
            other => other,
        }
    }
}

impl From<Error> for AcmeError {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(problem) => of_problem(&problem),
            Error::Timeout(_) => Self::Slow,
            Error::Other(cause) if cause.is::<WebClientError>() => {
                Self::Unreachable(with_sources(cause.as_ref()))
            }
            other => Self::Answer(shortened(&other.to_string())),
        }
    }
}

/// By its type (RFC 8555 section 6.7).
fn of_problem(problem: &Problem) -> AcmeError {
    let told = shortened(&problem.to_string());
    let kind = problem.r#type.as_deref().and_then(|kind| kind.strip_prefix("urn:ietf:params:acme:error:"));
    match kind {
        Some("rateLimited") => AcmeError::RateLimited(told),
        Some("badNonce" | "serverInternal") => AcmeError::OutOfOrder(told),
        Some("accountDoesNotExist") => AcmeError::NoAccount(told),
        Some("connection" | "dns" | "incorrectResponse" | "tls" | "unauthorized") => {
            AcmeError::NotVerified(told)
        }
        _ => AcmeError::Refused(told),
    }
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().take(MAX_TOLD_CHARS).collect()
}

fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    shortened(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: &str, detail: &str) -> AcmeError {
        let text = format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}","detail":"{detail}"}}"#);
        Error::Api(serde_json::from_str(&text).unwrap()).into()
    }

    #[test]
    fn a_problem_is_told_by_its_type() {
        assert!(matches!(problem("rateLimited", ""), AcmeError::RateLimited(_)));
        assert!(matches!(problem("accountDoesNotExist", ""), AcmeError::NoAccount(_)));
        assert!(matches!(problem("connection", ""), AcmeError::NotVerified(_)));
        assert!(matches!(problem("rejectedIdentifier", ""), AcmeError::Refused(_)));
        assert!(matches!(problem("unauthorized", "").of_account(), AcmeError::AccountRefused(_)));
    }

    #[test]
    fn an_authority_cannot_fill_the_log() {
        let AcmeError::Refused(told) = problem("malformed", &"x".repeat(2 * MAX_TOLD_CHARS)) else {
            panic!("refused");
        };
        assert_eq!(told.chars().count(), MAX_TOLD_CHARS);
    }

    #[test]
    fn what_was_never_asked_is_tried_again_soon() {
        let unreachable: AcmeError = Error::Other(Box::new(WebClientError::Slow)).into();
        assert_eq!(unreachable.patience(), Patience::Unasked);
        assert!(unreachable.concerns_all());
        assert_eq!(problem("connection", "").patience(), Patience::Refused);
        assert!(!problem("connection", "").concerns_all());
    }
}
