//! Files that say in which country an address is, as a gateway under test reads them. How one is made stands beside the reader.
#![allow(unreachable_pub, reason = "the file is shared with the gateway's own tests")]

#[path = "../../gateway/src/country/made.rs"]
mod made;

pub use made::database;
