//! Times of events as text, in UTC: `2026-01-31T23:59:59.000001Z`. The date is written once a second, not once an event.

use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::DateTime;

const DATE_AND_TIME: &str = "%Y-%m-%dT%H:%M:%S";

/// Turns moments of the monotonic clock, which requests are timed by, into dates.
#[derive(Debug)]
pub(crate) struct Stamps {
    now: Instant,
    now_since_epoch: Duration,
    second: u64,
    text: String,
}

impl Stamps {
    pub(crate) fn new() -> Self {
        let mut stamps = Self {
            now: Instant::now(),
            now_since_epoch: Duration::ZERO,
            second: u64::MAX,
            text: String::new(),
        };
        stamps.compare_clocks();
        stamps
    }

    /// Sets one clock beside the other. Done for each batch, so that a clock that was put right counts at once.
    pub(crate) fn compare_clocks(&mut self) {
        self.now = Instant::now();
        self.now_since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    }

    /// The time since 1970 of a moment.
    pub(crate) fn since_epoch(&self, at: Instant) -> Duration {
        let before = self.now.saturating_duration_since(at);
        (self.now_since_epoch + at.saturating_duration_since(self.now)).saturating_sub(before)
    }

    /// The moment as text.
    pub(crate) fn text(&mut self, at: Instant) -> &str {
        let since = self.since_epoch(at);
        self.write(since);
        &self.text
    }

    fn write(&mut self, since_epoch: Duration) {
        let second = since_epoch.as_secs();
        if second != self.second {
            self.second = second;
            let date = i64::try_from(second).ok().and_then(|second| DateTime::from_timestamp(second, 0));
            self.text.clear();
            self.text.push_str(&date.unwrap_or_default().format(DATE_AND_TIME).to_string());
        }
        self.text.truncate(DATE_BYTES);
        let mut micros = [0; FRACTION_BYTES];
        // Seven digits and two signs fill the array.
        let _ = write!(&mut micros.as_mut_slice(), ".{:06}Z", since_epoch.subsec_micros());
        self.text.push_str(std::str::from_utf8(&micros).unwrap_or_default());
    }
}

/// `2026-01-31T23:59:59`
const DATE_BYTES: usize = 19;
/// `.000001Z`
const FRACTION_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(stamps: &mut Stamps, micros: u64) -> String {
        stamps.write(Duration::from_micros(micros));
        stamps.text.clone()
    }

    #[test]
    fn moments_are_written_as_dates() {
        let mut stamps = Stamps::new();
        assert_eq!(text(&mut stamps, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(text(&mut stamps, 951_868_799_999_999), "2000-02-29T23:59:59.999999Z");
        assert_eq!(text(&mut stamps, 951_868_800_000_001), "2000-03-01T00:00:00.000001Z");
        assert_eq!(text(&mut stamps, 951_868_800_000_002), "2000-03-01T00:00:00.000002Z");
        assert_eq!(text(&mut stamps, 951_868_799_000_000), "2000-02-29T23:59:59.000000Z");
    }

    #[test]
    fn an_earlier_moment_has_an_earlier_date() {
        let mut stamps = Stamps::new();
        let now = stamps.now;
        let earlier = stamps.since_epoch(now - Duration::from_millis(1_500));
        assert_eq!(stamps.now_since_epoch - earlier, Duration::from_millis(1_500));
        assert!(stamps.text(now).ends_with('Z'));
    }
}
