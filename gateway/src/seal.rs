//! Authenticated encryption of what leaves our hands and comes back: login attempts in cookies, secrets at rest. One key file,
//! one derived key for each purpose. What is sealed, and for how long it is good, is left to the callers.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hkdf, hmac, rand};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_store::Secret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const KEY_BYTES: usize = 32;
const VERSION: u8 = 1;
const DECISIONS_LABEL: &[u8] = b"portcullis recorded decisions v1";

/// The longest sealed text that is opened, in characters: what fits into one cookie.
pub(crate) const MAX_SEALED_BYTES: usize = 4_096;

/// What a sealed value is for. A value sealed for one purpose opens for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The address to return to, carried from an application's host to the auth host.
    LoginRequest,
    /// State, nonce, verifier and request of one attempt, in a cookie on the auth host.
    LoginAttempt,
    /// Provider and person that a dashboard has named, in a cookie on the auth host.
    Wish,
    /// A login carried from the auth host to an application's host.
    HandOver,
    /// What a page asks somebody about a program at a terminal.
    Terminal,
    /// What they answered, on its way to the program.
    TerminalCode,
    /// What somebody has to do on a page of the auth host, carried there from an application's host.
    Errand,
    /// Which request for access an approver is shown.
    AccessAnswer,
    /// Which provider's session a sign-out has ended, carried through the provider back to the auth host.
    SignedOut,
    /// Private keys and tokens in the store.
    AtRest,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::LoginRequest => b"portcullis login request v1",
            Self::LoginAttempt => b"portcullis login attempt v1",
            Self::Wish => b"portcullis wish v1",
            Self::HandOver => b"portcullis hand-over v1",
            Self::Terminal => b"portcullis terminal v1",
            Self::TerminalCode => b"portcullis terminal code v1",
            Self::Errand => b"portcullis errand v1",
            Self::AccessAnswer => b"portcullis access answer v1",
            Self::SignedOut => b"portcullis signed out v1",
            Self::AtRest => b"portcullis at rest v1",
        }
    }
}

/// Why the key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Reading or making the file failed.
    #[error("cannot use the key file `{}`", file.display())]
    File {
        /// The key file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("the key file `{}` does not hold 64 hexadecimal digits; restore it from a backup: without it stored secrets cannot be read", .0.display())]
    Content(PathBuf),
    /// Others may read it.
    #[error("the key file `{}` may be read by others; run chmod 600 on it", .0.display())]
    Permissions(PathBuf),
    /// No random bytes could be had.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

/// A sealed text was refused. Why is nobody's business who could have forged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("was not sealed by us, or for another purpose or host")]
    Forged,
    #[error("has expired")]
    Expired,
}

/// Seals and opens. Cheap to share, never shown.
pub(crate) struct Sealer {
    login_request: RandomizedNonceKey,
    login_attempt: RandomizedNonceKey,
    wish: RandomizedNonceKey,
    hand_over: RandomizedNonceKey,
    terminal: RandomizedNonceKey,
    terminal_code: RandomizedNonceKey,
    errand: RandomizedNonceKey,
    access_answer: RandomizedNonceKey,
    signed_out: RandomizedNonceKey,
    at_rest: RandomizedNonceKey,
    decisions: hmac::Key,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    #[serde(rename = "e")]
    expires_at: i64,
    #[serde(rename = "v")]
    value: T,
}

impl Sealer {
    /// Reads the key file, or makes it (mode 0600) when there is none.
    pub(crate) fn from_file(file: &Path) -> Result<Self, KeyFileError> {
        let key = match fs::read_to_string(file) {
            Ok(text) => parse_key(file, &text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(file)?,
            Err(source) => return Err(KeyFileError::File { file: file.to_owned(), source }),
        };
        Self::from_key(&key).ok_or(KeyFileError::NoRandomness)
    }

    fn from_key(key: &Secret<Vec<u8>>) -> Option<Self> {
        let bytes = |label: &[u8]| {
            let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"portcullis").extract(key.expose());
            let mut bytes = [0; KEY_BYTES];
            extracted.expand(&[label], hkdf::HKDF_SHA256).ok()?.fill(&mut bytes).ok()?;
            Some(bytes)
        };
        let derive =
            |purpose: Purpose| RandomizedNonceKey::new(&AES_256_GCM_SIV, &bytes(purpose.label())?).ok();
        Some(Self {
            login_request: derive(Purpose::LoginRequest)?,
            login_attempt: derive(Purpose::LoginAttempt)?,
            wish: derive(Purpose::Wish)?,
            hand_over: derive(Purpose::HandOver)?,
            terminal: derive(Purpose::Terminal)?,
            terminal_code: derive(Purpose::TerminalCode)?,
            errand: derive(Purpose::Errand)?,
            access_answer: derive(Purpose::AccessAnswer)?,
            signed_out: derive(Purpose::SignedOut)?,
            at_rest: derive(Purpose::AtRest)?,
            decisions: hmac::Key::new(hmac::HMAC_SHA256, &bytes(DECISIONS_LABEL)?),
        })
    }

    /// The key that chains recorded decisions. It seals nothing.
    pub(crate) fn decisions_key(&self) -> hmac::Key {
        self.decisions.clone()
    }

    fn key(&self, purpose: Purpose) -> &RandomizedNonceKey {
        match purpose {
            Purpose::LoginRequest => &self.login_request,
            Purpose::LoginAttempt => &self.login_attempt,
            Purpose::Wish => &self.wish,
            Purpose::HandOver => &self.hand_over,
            Purpose::Terminal => &self.terminal,
            Purpose::TerminalCode => &self.terminal_code,
            Purpose::Errand => &self.errand,
            Purpose::AccessAnswer => &self.access_answer,
            Purpose::SignedOut => &self.signed_out,
            Purpose::AtRest => &self.at_rest,
        }
    }

    /// Seals a value for a host until a time. None when the system has no random bytes.
    pub(crate) fn seal<T: Serialize>(
        &self,
        purpose: Purpose,
        host: &str,
        expires_at: i64,
        value: T,
    ) -> Option<String> {
        let plain = serde_json::to_vec(&Envelope { expires_at, value }).ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode(self.seal_bytes(purpose, host, plain)?))
    }

    /// Opens what [`Self::seal`] made for the same purpose and host, unless it has expired.
    pub(crate) fn open<T: DeserializeOwned>(
        &self,
        purpose: Purpose,
        host: &str,
        now: i64,
        text: &str,
    ) -> Result<T, OpenError> {
        if text.len() > MAX_SEALED_BYTES {
            return Err(OpenError::Forged);
        }
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| OpenError::Forged)?;
        let plain = self.open_bytes(purpose, host, &sealed).ok_or(OpenError::Forged)?;
        let envelope: Envelope<T> = serde_json::from_slice(&plain).map_err(|_| OpenError::Forged)?;
        if now >= envelope.expires_at { Err(OpenError::Expired) } else { Ok(envelope.value) }
    }

    /// Seals bytes for the store; `context` says what they are, so that rows cannot be exchanged.
    pub(crate) fn seal_bytes(&self, purpose: Purpose, context: &str, mut plain: Vec<u8>) -> Option<Vec<u8>> {
        let nonce =
            self.key(purpose).seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut plain).ok()?;
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut plain);
        Some(sealed)
    }

    /// Opens what [`Self::seal_bytes`] made.
    pub(crate) fn open_bytes(&self, purpose: Purpose, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN)?;
        if *version != VERSION {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let opened = self.key(purpose).open_in_place(nonce, Aad::from(context.as_bytes()), &mut body).ok()?;
        Some(opened.to_vec())
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

fn parse_key(file: &Path, text: &str) -> Result<Secret<Vec<u8>>, KeyFileError> {
    let mode = fs::metadata(file)
        .map_err(|source| KeyFileError::File { file: file.to_owned(), source })?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Permissions(file.to_owned()));
    }
    let digits: Option<Vec<u8>> = text
        .trim()
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    let key = digits.filter(|key| key.len() == KEY_BYTES && text.trim().len() == 2 * KEY_BYTES);
    key.map(Secret::new).ok_or_else(|| KeyFileError::Content(file.to_owned()))
}

fn make_key(file: &Path) -> Result<Secret<Vec<u8>>, KeyFileError> {
    let key = Secret::new(random::<KEY_BYTES>().ok_or(KeyFileError::NoRandomness)?.to_vec());
    let text: String = key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    let write = || {
        let mut created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        writeln!(created, "{text}")?;
        created.sync_all()
    };
    write().map_err(|source| KeyFileError::File { file: file.to_owned(), source })?;
    Ok(key)
}

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// Random bytes as text for URLs and cookies.
pub(crate) fn random_text<const N: usize>() -> Option<String> {
    random::<N>().map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// SHA-256 as text for URLs and cookies.
pub(crate) fn digest_text(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer() -> Sealer {
        Sealer::from_key(&Secret::new(vec![7; KEY_BYTES])).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_for_the_same_purpose_host_and_time_only() {
        let sealer = sealer();
        let text = sealer.seal(Purpose::LoginAttempt, "auth.localhost", 100, "value").unwrap();
        let open = |purpose, host, now| sealer.open::<String>(purpose, host, now, &text);
        assert_eq!(open(Purpose::LoginAttempt, "auth.localhost", 99).as_deref(), Ok("value"));
        assert_eq!(open(Purpose::LoginAttempt, "auth.localhost", 100), Err(OpenError::Expired));
        assert_eq!(open(Purpose::LoginAttempt, "wiki.localhost", 99), Err(OpenError::Forged));
        assert_eq!(open(Purpose::HandOver, "auth.localhost", 99), Err(OpenError::Forged));
    }

    #[test]
    fn t74_no_byte_can_be_changed() {
        let sealer = sealer();
        let text = sealer.seal(Purpose::HandOver, "a", 100, "value").unwrap();
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(&text).unwrap();
        for position in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[position] ^= 1;
            let forged = BASE64_URL_SAFE_NO_PAD.encode(forged);
            assert_eq!(sealer.open::<String>(Purpose::HandOver, "a", 1, &forged), Err(OpenError::Forged));
        }
        for length in 0..text.len() {
            let cut = text.get(..length).unwrap();
            assert!(sealer.open::<String>(Purpose::HandOver, "a", 1, cut).is_err());
        }
    }

    #[test]
    fn a_text_over_the_limit_is_not_opened() {
        let sealer = sealer();
        let long = sealer.seal(Purpose::HandOver, "a", 100, "v".repeat(MAX_SEALED_BYTES)).unwrap();
        assert_eq!(sealer.open::<String>(Purpose::HandOver, "a", 1, &long), Err(OpenError::Forged));
    }

    #[test]
    fn the_key_file_is_made_once_and_kept_private() {
        let folder = std::env::temp_dir().join(format!("portcullis-key-{}", random_text::<8>().unwrap()));
        fs::create_dir(&folder).unwrap();
        let file = folder.join("key");
        let text = Sealer::from_file(&file).unwrap().seal(Purpose::HandOver, "a", 9, 1).unwrap();
        let again = Sealer::from_file(&file).unwrap();
        assert_eq!(again.open::<i32>(Purpose::HandOver, "a", 1, &text), Ok(1));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Sealer::from_file(&file), Err(KeyFileError::Permissions(_))));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "not a key").unwrap();
        assert!(matches!(Sealer::from_file(&file), Err(KeyFileError::Content(_))));
        fs::remove_dir_all(&folder).unwrap();
    }
}
