//! The benchmarks: an authenticated, policy-checked request through the gateway beside the bare floor and beside proxies that
//! check nothing, on one core each, in turns. It measures and prints; it asserts nothing, and no test depends on it.

mod aims;
mod client;
mod contestant;
mod load;
mod machine;
mod origin;
mod ours;
mod report;
mod rivals;
mod row;
mod stage;

pub use report::Report;
pub use row::{Extent, Row};
pub use stage::{Plan, run};
