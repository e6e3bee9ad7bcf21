//! Which keys sign: rotated as planned or in an emergency, and of another algorithm for providers that are not Okta. The keys themselves
//! are for `keys`.

use jsonwebtoken::Algorithm;

use super::discovery::AuthServer;
use super::keys::KeyRing;
use super::{Okta, lock};

impl Okta {
    /// The planned rotation of both servers' keys: the next key takes over.
    pub fn rotate_keys(&self) {
        for server in [AuthServer::Org, AuthServer::Default] {
            self.ring_mut(server, KeyRing::rotate);
        }
    }

    /// The emergency rotation: all published keys are replaced at once.
    pub fn rotate_keys_in_emergency(&self) {
        for server in [AuthServer::Org, AuthServer::Default] {
            self.ring_mut(server, KeyRing::replace_all);
        }
    }

    /// Signs with RS256, ES256 or EdDSA from now on, with new keys: Okta itself knows RS256 alone, other providers do not.
    pub fn sign_with(&self, algorithm: Algorithm) {
        *lock(&self.signs_with) = algorithm;
        for ring in &self.rings {
            *lock(ring) = None;
        }
    }

    pub(super) fn signs_with(&self) -> Algorithm {
        *lock(&self.signs_with)
    }

    /// The `kid` that new tokens carry.
    #[must_use]
    pub fn current_kid(&self, server: AuthServer) -> String {
        self.ring(server, |ring| ring.current_kid().to_owned())
    }

    pub(super) fn ring<T>(&self, server: AuthServer, read: impl FnOnce(&KeyRing) -> T) -> T {
        self.ring_mut(server, |ring| read(ring))
    }

    /// Keys are made when a server is first used: RSA keys take their time.
    fn ring_mut<T>(&self, server: AuthServer, change: impl FnOnce(&mut KeyRing) -> T) -> T {
        let [org, default] = &self.rings;
        let ring = match server {
            AuthServer::Org => org,
            AuthServer::Default => default,
        };
        let algorithm = self.signs_with();
        change(lock(ring).get_or_insert_with(|| KeyRing::generate(algorithm)))
    }
}
