//! What the guides of Okta integrations ask of whoever follows them, on the real program: each test of a guide is named after it.
//! Their SCIM parts are for `scim-sink` and `okta_sim`, SAML is not served.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "test code"
)]

mod rig;

mod idp;
mod okta_apps;
mod several_providers;
mod sign_in_domains;
mod tile;
