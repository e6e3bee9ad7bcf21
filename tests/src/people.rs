//! A directory of a million people, measured in the gateway as it is shipped: start, memory, look-ups, import, changes of much at once. It
//! measures and prints; it asserts nothing beyond the status of each answer, and no test depends on it.

mod figures;
mod import;
mod line;
mod process;
mod seed;
mod steps;

use std::path::PathBuf;

pub use figures::Figures;

use crate::harness::{World, WorldConfig};
use line::Outcome;

/// The load of this machine opens all connections from one address, which the defaults forbid. The counting stays on; lines about
/// writes would fill the memory of whoever reads them here.
const SETTINGS: &str = "[limits]\nconnections_per_address = 20000\nrequests_per_address = 100000000\n\
                        [log]\nlevel = \"warn\"\n";

/// How much is built.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// People of the directory.
    pub people: usize,
    /// Groups, each with [`Size::members`] people.
    pub groups: usize,
    /// Members of one group.
    pub members: usize,
    /// Members of the one group that is large.
    pub large: usize,
    /// Groups of the one person who is in many.
    pub many: usize,
}

impl Size {
    /// So many people, everything else in the proportions of a million.
    #[must_use]
    pub fn of(people: usize) -> Self {
        Self {
            people,
            groups: (people / 10).max(1),
            members: 100.min(people),
            large: (people / 10).max(1),
            many: (people / 200).max(1),
        }
    }
}

/// Builds the directory and measures.
///
/// # Errors
/// When an answer is not what it should be.
pub async fn run(size: Size, folder: PathBuf) -> Outcome<Figures> {
    let config =
        WorldConfig { change: |settings| settings.extra = SETTINGS.to_owned(), ..WorldConfig::default() };
    let mut world = World::with(config).await;
    let mut figures = Figures::new(size, folder);
    let scim = line::Scim::of(&world)?;
    world.gateway.stop().await;
    let directory = seed::seed(&world.gateway.folder().join("portcullis.db"), size)?;
    figures.bytes("the store on the disk", process::folder_bytes(world.gateway.folder()));
    steps::start(&mut world, &mut figures).await?;
    steps::look_up(&scim, &directory, &mut figures).await?;
    steps::page_to_the_end(&scim, size, &mut figures).await?;
    figures.bytes("resident after all were read, at its highest", process::resident_peak(world.gateway.id()));
    import::measure(&scim, &directory, &mut figures).await?;
    figures.bytes("resident after the import, at its highest", process::resident_peak(world.gateway.id()));
    steps::change(&scim, &directory, &mut figures).await?;
    steps::deactivate(&world, &scim, &directory, &mut figures).await?;
    figures.bytes("resident at the end, at its highest", process::resident_peak(world.gateway.id()));
    Ok(figures)
}
