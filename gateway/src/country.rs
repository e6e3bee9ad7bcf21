//! In which country an address is, by a file in MaxMind's format that the operator names and keeps up to date. What a policy makes of that,
//! and of an address without a country, is left to the policies.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use maxminddb::{MaxMindDbError, PathElement, Reader, WithinOptions};
use portcullis_policy::CountryCode;

/// Several times the largest of the databases that name cities too.
const MAX_FILE_BYTES: u64 = 512 * 1024 * 1024;
/// How many records are looked at for one that names a country: a database of something else would make every address unknown.
const RECORDS_TRIED: usize = 1_000;
/// Where a record has the country, in the databases of MaxMind and in those made in their image.
const CODE: [PathElement<'static>; 2] = [PathElement::Key("country"), PathElement::Key("iso_code")];

/// A database of countries, in memory as a whole.
pub struct Countries {
    reader: Reader<Vec<u8>>,
}

/// Why a file is no such database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CountriesError {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is larger than {MAX_FILE_BYTES} bytes")]
    TooLarge,
    #[error("is no database in MaxMind's format: {0}")]
    Format(#[from] MaxMindDbError),
    #[error("tells no countries: it is a database of the kind `{0}`")]
    NoCountries(String),
}

impl Countries {
    pub(crate) fn read(file: &Path) -> Result<Self, CountriesError> {
        if std::fs::metadata(file)?.len() > MAX_FILE_BYTES {
            return Err(CountriesError::TooLarge);
        }
        Self::of_bytes(std::fs::read(file)?)
    }

    fn of_bytes(bytes: Vec<u8>) -> Result<Self, CountriesError> {
        let reader = Reader::from_source(bytes)?;
        let mut tells = false;
        for record in reader.networks(WithinOptions::default())?.take(RECORDS_TRIED) {
            tells = record?.decode_path::<&str>(&CODE)?.is_some();
            if tells {
                break;
            }
        }
        if !tells {
            return Err(CountriesError::NoCountries(reader.metadata().database_type.clone()));
        }
        Ok(Self { reader })
    }

    /// The country of an address; none where the file does not say, or not in a way that can be read.
    pub(crate) fn of(&self, address: IpAddr) -> Option<CountryCode> {
        let found = self.reader.lookup(address.to_canonical()).ok()?;
        found.decode_path::<&str>(&CODE).ok()??.parse().ok()
    }
}

impl fmt::Debug for Countries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Countries")
            .field("kind", &self.reader.metadata().database_type)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod made;
#[cfg(test)]
mod tests;
