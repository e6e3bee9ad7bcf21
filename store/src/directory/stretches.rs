//! Where a page of a listing begins, however far behind it lies: people and groups are counted by stretches of their ids, so that neither a
//! page nor the total needs a walk over everybody before it. What stands on the page is read by `lookup`.

use crate::sql;
use rusqlite::{Connection, Result};

/// How many ids a stretch has. A step that has been shipped counted by it too, so it never changes.
const IDS: i64 = 4096;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Person,
    Group,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Group => "group",
        }
    }
}

/// Where to begin to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// How many there are in all.
    pub(super) total: usize,
    /// The first id that is looked at.
    pub(super) first_id: i64,
    /// How many are stepped over from there.
    pub(super) skipped: usize,
}

/// One was created.
pub(super) fn joined(connection: &Connection, directory: i64, kind: Kind, id: i64) -> Result<usize> {
    sql::run(
        connection,
        "INSERT INTO listing_stretches (directory, kind, stretch, present) VALUES ($1, $2, $3, 1) \
         ON CONFLICT (directory, kind, stretch) DO UPDATE SET present = listing_stretches.present + 1",
        (directory, kind.as_str(), id / IDS),
    )
}

/// One was deleted. A stretch without anybody goes, since its ids are never given again.
pub(super) fn left(connection: &Connection, directory: i64, kind: Kind, id: i64) -> Result<usize> {
    let of_it = (directory, kind.as_str(), id / IDS);
    sql::run(
        connection,
        "UPDATE listing_stretches SET present = present - 1 WHERE directory = $1 AND kind = $2 AND stretch = $3",
        of_it,
    )?;
    sql::run(
        connection,
        "DELETE FROM listing_stretches WHERE directory = $1 AND kind = $2 AND stretch = $3 AND present <= 0",
        of_it,
    )
}

/// Finds the one that stands behind `offset` others of a served directory.
pub(super) fn find(connection: &Connection, directory: &str, kind: Kind, offset: usize) -> Result<Spot> {
    let stretches: Vec<(i64, usize)> = sql::rows(
        connection,
        "SELECT s.stretch, s.present FROM listing_stretches s JOIN directories d ON d.id = s.directory \
         WHERE d.name = $1 AND d.served = 1 AND s.kind = $2 ORDER BY s.stretch",
        (directory, kind.as_str()),
        |row| Ok((row.get(0)?, usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0))),
    )?;
    let total = stretches.iter().map(|(_, present)| present).sum();
    let mut skipped = offset;
    for (stretch, present) in stretches {
        if skipped < present {
            return Ok(Spot { total, first_id: stretch * IDS, skipped });
        }
        skipped -= present;
    }
    // Behind everybody: nobody has this id.
    Ok(Spot { total, first_id: i64::MAX, skipped: 0 })
}

#[cfg(test)]
mod tests {
    use super::{IDS, Kind, Spot, find, joined, left};
    use crate::StoreError;
    use crate::testing::new_store;

    #[tokio::test]
    async fn a_place_is_found_by_stretches_alone() {
        let (_folder, store) = new_store().await;
        let spots = store.write(|transaction| {
            let connection = transaction.connection;
            // Five in the first stretch, none in the second, two in the third, and somebody of another directory between.
            let ids = [1, 2, 3, 9, IDS - 1, 2 * IDS, 2 * IDS + 5];
            for id in ids {
                joined(connection, 1, Kind::Person, id)?;
            }
            joined(connection, 2, Kind::Person, IDS + 1)?;
            joined(connection, 1, Kind::Person, IDS + 2)?;
            left(connection, 1, Kind::Person, IDS + 2)?;
            let found = |offset| find(connection, "corp", Kind::Person, offset);
            let spots = [found(0)?, found(4)?, found(5)?, found(6)?, found(7)?, found(usize::MAX)?];
            let others =
                [find(connection, "corp", Kind::Group, 0)?, find(connection, "absent", Kind::Person, 0)?];
            Ok::<_, StoreError>((spots, others))
        });
        let (spots, others) = spots.await.unwrap();
        let spot = |first_id, skipped| Spot { total: 7, first_id, skipped };
        let behind = spot(i64::MAX, 0);
        assert_eq!(spots, [spot(0, 0), spot(0, 4), spot(2 * IDS, 0), spot(2 * IDS, 1), behind, behind]);
        assert_eq!(others, [Spot { total: 0, ..behind }; 2]);
    }
}
