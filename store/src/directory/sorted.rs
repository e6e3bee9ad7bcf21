//! Pages in an order that an index has, however many there are: people by userName, groups by displayName, both by id. Other orders are
//! left to whoever asks for them.

use super::lookup::{self, GROUP, PERSON};
use super::stretches::{self, Kind};
use super::{StoredGroup, StoredPerson};
use crate::error::StoreError;
use crate::limits::{PAGE_LIMIT, sql_count};
use crate::sql;
use crate::store::Store;
use rusqlite::{Connection, Result, Row};

/// What people are sorted by. Nobody shares it with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonOrder {
    /// The folded userName.
    UserName,
    /// The SCIM id.
    ScimId,
}

/// What groups are sorted by. None shares it with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupOrder {
    /// The folded displayName.
    DisplayName,
    /// The SCIM id.
    ScimId,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Behind so many.
    At(usize),
    /// Behind this one of what they are sorted by, whether it is still there or not.
    Behind(String),
}

/// A page with what each is sorted by.
#[derive(Clone, Debug, PartialEq)]
pub struct SortedPage<T> {
    /// How many there are on all pages.
    pub total: usize,
    /// Those of this page.
    pub items: Vec<(String, T)>,
}

impl Store {
    /// A page of the people of a directory in this order.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn sorted_persons(
        &self,
        directory: &str,
        (order, direction): (PersonOrder, Direction),
        begin: &Begin,
        limit: usize,
    ) -> std::result::Result<SortedPage<StoredPerson>, StoreError> {
        let column = match order {
            PersonOrder::UserName => "p.user_name_folded",
            PersonOrder::ScimId => "p.scim_id",
        };
        let what = format!("{PERSON}, {column} FROM persons p WHERE p.directory");
        self.read(|connection| {
            let read = |row: &Row<'_>| Ok((row.get(10)?, lookup::read_person(row, directory)?));
            let mut items: Vec<(String, StoredPerson)> =
                page(connection, directory, (&what, column, direction), begin, limit, read)?;
            items.iter_mut().try_for_each(|(_, person)| lookup::complete(connection, person))?;
            Ok(SortedPage { total: total(connection, directory, Kind::Person)?, items })
        })
    }

    /// A page of the groups of a directory in this order.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be read.
    pub fn sorted_groups(
        &self,
        directory: &str,
        (order, direction): (GroupOrder, Direction),
        begin: &Begin,
        limit: usize,
    ) -> std::result::Result<SortedPage<StoredGroup>, StoreError> {
        let column = match order {
            GroupOrder::DisplayName => "g.display_name_folded",
            GroupOrder::ScimId => "g.scim_id",
        };
        let what = format!("{GROUP}, {column} FROM groups g WHERE g.directory");
        self.read(|connection| {
            let read = |row: &Row<'_>| Ok((row.get(8)?, lookup::read_group(row, directory)?));
            let items = page(connection, directory, (&what, column, direction), begin, limit, read)?;
            Ok(SortedPage { total: total(connection, directory, Kind::Group)?, items })
        })
    }
}

fn total(connection: &Connection, directory: &str, kind: Kind) -> Result<usize> {
    Ok(stretches::find(connection, directory, kind, 0)?.total)
}

fn page<T>(
    connection: &Connection,
    directory: &str,
    (what, column, direction): (&str, &str, Direction),
    begin: &Begin,
    limit: usize,
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let (way, behind) = match direction {
        Direction::Ascending => ("ASC", ">"),
        Direction::Descending => ("DESC", "<"),
    };
    let ours = "(SELECT id FROM directories WHERE name = $1 AND served = 1)";
    let limit = sql_count(limit.min(PAGE_LIMIT));
    match begin {
        // Those that are stepped over are never read: the index alone is walked.
        Begin::At(offset) => sql::rows(
            connection,
            &format!("SELECT {what} = {ours} ORDER BY {column} {way} LIMIT $2 OFFSET $3"),
            (directory, limit, sql_count(*offset)),
            read,
        ),
        Begin::Behind(last) => sql::rows(
            connection,
            &format!("SELECT {what} = {ours} AND {column} {behind} $2 ORDER BY {column} {way} LIMIT $3"),
            (directory, last, limit),
            read,
        ),
    }
}

#[cfg(test)]
mod tests;
