//! SQLite as an engine of the lease protocol: the table of members, each call in a transaction of its own. The protocol is left to `lease`,
//! driving it to the writer thread.

use crate::random;
use crate::sql;
use portcullis_lease::{Engine, Epoch, Joined, MemberId, Position, Renewed, Row};
use rusqlite::types::Type;
use rusqlite::{Connection, Error, Result, Transaction, TransactionBehavior};

/// One connection to the database, between transactions.
pub(crate) struct Sqlite<'c>(pub(crate) &'c Connection);

impl Sqlite<'_> {
    fn transaction(&self) -> Result<Transaction<'_>> {
        Transaction::new_unchecked(self.0, TransactionBehavior::Immediate)
    }
}

impl Engine for Sqlite<'_> {
    type Error = Error;

    fn join(&mut self, id: MemberId, replaces: Option<MemberId>) -> Result<Joined> {
        let transaction = self.transaction()?;
        if let Some(former) = replaces {
            delete(&transaction, former)?;
        }
        let watermark = watermark(&transaction)?;
        let version = env!("CARGO_PKG_VERSION");
        sql::run(
            &transaction,
            "INSERT INTO members (id, renew, acked, version, joined_at) VALUES ($1, 0, $2, $3, unixepoch())",
            (id.to_string(), watermark.0, version),
        )?;
        let joined = Joined { epoch: epoch(&transaction)?, watermark };
        transaction.commit()?;
        Ok(joined)
    }

    fn renew(&mut self, id: MemberId, acked: Position, epoch: &Epoch) -> Result<Renewed> {
        let transaction = self.transaction()?;
        let watermark = watermark(&transaction)?;
        let renewed = if *epoch != self::epoch(&transaction)? || acked > watermark {
            Renewed::HistoryLost
        } else if count_up(&transaction, id, acked)? {
            Renewed::Held { watermark }
        } else {
            Renewed::Fenced
        };
        transaction.commit()?;
        Ok(renewed)
    }

    fn members(&mut self) -> Result<Vec<Row>> {
        rows(self.0)
    }

    fn fence(&mut self, id: MemberId, renew: i64) -> Result<()> {
        let transaction = self.transaction()?;
        sql::run(&transaction, "DELETE FROM members WHERE id = $1 AND renew = $2", (id.to_string(), renew))?;
        transaction.commit()
    }

    fn leave(&mut self, id: MemberId) -> Result<()> {
        let transaction = self.transaction()?;
        delete(&transaction, id)?;
        transaction.commit()
    }
}

/// All members, inside whatever transaction the connection is in.
pub(crate) fn rows(connection: &Connection) -> Result<Vec<Row>> {
    sql::rows(connection, "SELECT id, renew, acked FROM members", [], |row| {
        let text: String = row.get(0)?;
        let id = u128::from_str_radix(&text, 16);
        let id = id.map_err(|cause| Error::FromSqlConversionFailure(0, Type::Text, Box::new(cause)))?;
        Ok(Row { id: MemberId(id), renew: row.get(1)?, acked: Position(row.get(2)?) })
    })
}

/// The name of the history that the connection sees.
pub(crate) fn epoch(connection: &Connection) -> Result<Epoch> {
    sql::row(connection, "SELECT uuid FROM store_epoch", [], |row| row.get(0).map(Epoch))?
        .ok_or(Error::QueryReturnedNoRows)
}

/// A new name for one life of this process.
pub(crate) fn new_id() -> Option<MemberId> {
    random::bytes::<16>().ok().map(|bytes| MemberId(u128::from_be_bytes(bytes)))
}

fn watermark(connection: &Connection) -> Result<Position> {
    crate::snapshot::watermark(connection).map(|seq| Position(seq.0))
}

fn count_up(connection: &Connection, id: MemberId, acked: Position) -> Result<bool> {
    let touched = sql::run(
        connection,
        "UPDATE members SET renew = renew + 1, acked = CASE WHEN acked < $1 THEN $1 ELSE acked END WHERE id = $2",
        (acked.0, id.to_string()),
    )?;
    Ok(touched > 0)
}

fn delete(connection: &Connection, id: MemberId) -> Result<()> {
    sql::run(connection, "DELETE FROM members WHERE id = $1", [id.to_string()]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use crate::testing::Folder;
    use portcullis_lease::conformance::{self, Movable};

    impl Movable for Sqlite<'_> {
        fn commit(&mut self) -> Position {
            self.0
                .query_row("UPDATE watermark SET seq = seq + 1 RETURNING seq", [], |row| {
                    row.get(0).map(Position)
                })
                .unwrap()
        }

        fn replace_history(&mut self) {
            self.0.execute("UPDATE store_epoch SET uuid = 'another'", []).unwrap();
        }
    }

    #[test]
    fn sqlite_is_an_engine() {
        let folder = Folder::new();
        drop(Store::open(&folder.database()).unwrap());
        conformance::walk(&mut Sqlite(&Connection::open(folder.database()).unwrap()));
    }
}
