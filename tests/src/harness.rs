//! Starts the real gateway, as a process with a configuration file and a folder of its own, between a simulated Okta and
//! a recording upstream. It checks nothing; the tests do.

pub mod binary;
mod folder;
mod front;
mod gateway;
mod log;
pub mod ports;
mod settings;
mod world;

pub use folder::Folder;
pub use front::Front;
pub use gateway::{Gateway, Launch, StartFailure};
pub use log::Log;
pub use settings::{ApplicationSettings, Settings};
pub use world::{Scene, World, WorldConfig};
