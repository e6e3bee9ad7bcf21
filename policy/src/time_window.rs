//! Hours of the week, as a policy names them: the days on which they begin, from when to when, and by which clock.
//!
//! What time it is, is left to whoever asks; the rules of a time zone are data within the program, so that a decision is the same on
//! every machine.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::zone::Zone;

const DAY_S: i64 = 86_400;
/// 1 January 1970 was a Thursday, the fourth day of a week that begins on Monday.
const FIRST_DAY: i64 = 3;

/// A span of time on some days of each week. One that ends before it begins goes on past midnight, and belongs to the day on which it
/// began.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TimeWindow {
    /// Bit 0 is Monday.
    days: u8,
    from_s: u32,
    to_s: u32,
    zone: Zone,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// A time of day to the minute: `08:30`; `24:00` is the end of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    seconds: u32,
}

/// Why something is no time window, or no part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeWindowError {
    /// Not the name of a day.
    Weekday(String),
    /// Not a time of day.
    Time(String),
    /// No day is named.
    NoDay,
    /// It begins when it ends.
    Empty,
}

impl TimeWindow {
    /// The span from `from` to `to` on each of these days.
    ///
    /// # Errors
    /// When it would never hold.
    pub fn new(
        days: &[Weekday],
        from: TimeOfDay,
        to: TimeOfDay,
        zone: Zone,
    ) -> Result<Self, TimeWindowError> {
        let days = days.iter().fold(0, |bits, day| bits | 1 << day.number());
        if days == 0 {
            return Err(TimeWindowError::NoDay);
        }
        let (from_s, to_s) = (from.seconds, to.seconds);
        if from_s == to_s || i64::from(from_s) == DAY_S {
            return Err(TimeWindowError::Empty);
        }
        Ok(Self { days, from_s, to_s, zone })
    }

    /// Whether a moment lies within, in unix seconds, and when that can next be otherwise.
    pub(crate) fn holds_at(&self, now: i64) -> (bool, i64) {
        let (day, second) = self.local(now);
        let (from, to) = (i64::from(self.from_s), i64::from(self.to_s));
        let holds = if from < to {
            self.is_on(day) && from <= second && second < to
        } else {
            self.is_on(day) && from <= second || self.is_on(day - 1) && second < to
        };
        let edge = [from, to, DAY_S].into_iter().filter(|edge| *edge > second).min().unwrap_or(DAY_S);
        // Where the clocks are changed before that, who knows what they say then asks again.
        (holds, self.zone.same_until(now, now.saturating_add(edge - second)))
    }

    /// The day since 1970 and the second of it, by the window's own clock.
    fn local(&self, now: i64) -> (i64, i64) {
        let local = now.saturating_add(self.zone.offset_s(now));
        (local.div_euclid(DAY_S), local.rem_euclid(DAY_S))
    }

    /// A moment by the window's own clock, as in `mon 08:15:30`.
    pub(crate) fn told(&self, now: i64) -> String {
        let (day, second) = self.local(now);
        let number = (day + FIRST_DAY).rem_euclid(7);
        let name = Weekday::ALL.into_iter().find(|day| i64::from(day.number()) == number);
        let name = name.map(Weekday::as_str).unwrap_or_default();
        format!("{name} {:02}:{:02}:{:02} {}", second / 3_600, second / 60 % 60, second % 60, self.zone)
    }

    /// Whether the span of this day counts; days since 1970.
    fn is_on(&self, day: i64) -> bool {
        self.days >> (day + FIRST_DAY).rem_euclid(7) & 1 == 1
    }

    /// The days on which it begins.
    pub fn days(&self) -> impl Iterator<Item = Weekday> + '_ {
        Weekday::ALL.into_iter().filter(|day| self.days >> day.number() & 1 == 1)
    }
}

impl Weekday {
    /// All of them, Monday first.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    fn number(self) -> u8 {
        self as u8
    }

    /// The word in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monday => "mon",
            Self::Tuesday => "tue",
            Self::Wednesday => "wed",
            Self::Thursday => "thu",
            Self::Friday => "fri",
            Self::Saturday => "sat",
            Self::Sunday => "sun",
        }
    }
}

impl FromStr for Weekday {
    type Err = TimeWindowError;

    fn from_str(text: &str) -> Result<Self, TimeWindowError> {
        let found = Self::ALL.into_iter().find(|day| day.as_str() == text);
        found.ok_or_else(|| TimeWindowError::Weekday(text.to_owned()))
    }
}

impl FromStr for TimeOfDay {
    type Err = TimeWindowError;

    fn from_str(text: &str) -> Result<Self, TimeWindowError> {
        let seconds = clock(text).filter(|seconds| i64::from(*seconds) <= DAY_S);
        seconds.map(|seconds| Self { seconds }).ok_or_else(|| TimeWindowError::Time(text.to_owned()))
    }
}

/// `hh:mm` in seconds.
pub(crate) fn clock(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let is_sound = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| is_sound)
    };
    let minutes = number(minutes).filter(|minutes| *minutes < 60)?;
    Some(number(hours)? * 3_600 + minutes * 60)
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> = self.days().map(Weekday::as_str).collect();
        let (from, to) = (TimeOfDay { seconds: self.from_s }, TimeOfDay { seconds: self.to_s });
        write!(f, "{} {from}-{to} {}", days.join(","), self.zone)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.seconds / 3_600, self.seconds / 60 % 60)
    }
}

impl Error for TimeWindowError {}

impl fmt::Display for TimeWindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weekday(text) => {
                write!(
                    f,
                    "`{text}` is no day: \"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\" or \"sun\""
                )
            }
            Self::Time(text) => write!(f, "`{text}` is no time of day, such as \"08:30\""),
            Self::NoDay => f.write_str("no day is named"),
            Self::Empty => f.write_str("it ends when it begins, so it never holds"),
        }
    }
}

#[cfg(test)]
mod tests;
