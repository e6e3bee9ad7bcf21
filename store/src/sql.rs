//! How statements are run: cached, with numbered parameters that mean the same in every database. The statements
//! themselves stand where they are used.

use crate::model::{DirectoryName, EndReason, GroupId, PersonId, Seq, SessionId};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Result, Row};

/// Runs a statement that returns rows.
pub(crate) fn rows<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    prepare(connection, sql)?.query_map(params, read)?.collect()
}

/// Runs a statement and reads its first row, if there is one.
pub(crate) fn row<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    prepare(connection, sql)?.query_row(params, read).optional()
}

/// Runs a statement that returns nothing; how many rows it touched.
pub(crate) fn run(connection: &Connection, sql: &str, params: impl Params) -> Result<usize> {
    prepare(connection, sql)?.execute(params)
}

/// SQLite gives `$1`, `$2` numbers in order of first appearance, PostgreSQL by the digit: only texts where both agree
/// are run.
fn prepare<'c>(connection: &'c Connection, sql: &str) -> Result<CachedStatement<'c>> {
    let statement = connection.prepare_cached(sql)?;
    debug_assert!(
        (1..=statement.parameter_count())
            .all(|index| statement.parameter_name(index) == Some(format!("${index}").as_str())),
        "parameters out of order in: {sql}"
    );
    Ok(statement)
}

macro_rules! number {
    ($($name:ident),*) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
                self.0.to_sql()
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                i64::column_result(value).map(Self)
            }
        }
    )*};
}
number!(PersonId, GroupId, Seq);

impl ToSql for SessionId {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
    }
}

impl FromSql for SessionId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        let digest = bytes
            .try_into()
            .map_err(|_| FromSqlError::InvalidBlobSize { expected_size: 32, blob_size: bytes.len() })?;
        Ok(Self::new(digest))
    }
}

impl FromSql for DirectoryName {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::from)
    }
}

impl ToSql for EndReason {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        self.as_str().to_sql()
    }
}

impl FromSql for EndReason {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::from_stored)
    }
}
