//! The clock on somebody's wall: UTC, a fixed offset, or a place, whose clocks are changed in spring and autumn.
//!
//! The rules of places are those of the IANA time zone database as it was when this program was built: no file of the machine is read,
//! so that every node decides alike.

use std::error::Error;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::time_window::clock;

/// No place on earth is further from UTC.
const MAX_OFFSET_S: i64 = 14 * 3_600;

/// `UTC`, an offset such as `+02:00`, or a place such as `Europe/Berlin`.
#[derive(Clone, Debug)]
pub struct Zone {
    name: Box<str>,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Fixed(i64),
    Place(TimeZone),
}

/// A text that is no clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneError(String);

impl Zone {
    /// How far it is ahead of UTC at a moment.
    pub(crate) fn offset_s(&self, now: i64) -> i64 {
        match &self.rule {
            Rule::Fixed(offset) => *offset,
            Rule::Place(place) => {
                Timestamp::from_second(now).map_or(0, |moment| i64::from(place.to_offset(moment).seconds()))
            }
        }
    }

    /// Until when the clock is the same as now, `end` at the latest.
    pub(crate) fn same_until(&self, now: i64, end: i64) -> i64 {
        let Rule::Place(_) = self.rule else { return end };
        let offset = self.offset_s(now);
        if self.offset_s(end) == offset {
            return end;
        }
        let (mut same, mut other) = (now, end);
        while other - same > 1 {
            let middle = same + (other - same) / 2;
            if self.offset_s(middle) == offset {
                same = middle;
            } else {
                other = middle;
            }
        }
        other
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self { name: "UTC".into(), rule: Rule::Fixed(0) }
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        let wrong = || ZoneError(text.to_owned());
        let sign = match text.split_at_checked(1) {
            _ if text == "UTC" => return Ok(Self::default()),
            Some(("+", rest)) => Some((1, rest)),
            Some(("-", rest)) => Some((-1, rest)),
            _ => None,
        };
        let Some((sign, rest)) = sign else {
            let place = TimeZoneDatabase::bundled().get(text).map_err(|_| wrong())?;
            // The database finds names in any case of letters; one place has one name here.
            let is_named_so = place.iana_name() == Some(text);
            return if is_named_so {
                Ok(Self { name: text.into(), rule: Rule::Place(place) })
            } else {
                Err(wrong())
            };
        };
        let offset = clock(rest).map(|seconds| sign * i64::from(seconds)).ok_or_else(wrong)?;
        if offset.abs() > MAX_OFFSET_S {
            return Err(wrong());
        }
        Ok(Self { name: text.into(), rule: Rule::Fixed(offset) })
    }
}

/// The name says all: the database is the same for all.
impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Error for ZoneError {}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no clock: \"UTC\", an offset such as \"+02:00\", or a place such as \"Europe/Berlin\"",
            self.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_places_and_nothing_else() {
        for (text, offset) in [
            ("UTC", 0),
            ("+02:00", 7_200),
            ("-03:30", -12_600),
            ("Europe/Berlin", 7_200),
            ("Asia/Kolkata", 19_800),
        ] {
            let zone: Zone = text.parse().unwrap();
            // 1 July 2023.
            assert_eq!((zone.offset_s(1_688_169_600), zone.to_string().as_str()), (offset, text));
        }
        for text in
            ["", "utc", "Z", "+15:00", "02:00", "+2", "é", "europe/berlin", "Mars/Base", "../etc/localtime"]
        {
            assert_eq!(text.parse::<Zone>(), Err(ZoneError(text.to_owned())), "{text}");
        }
    }
}
