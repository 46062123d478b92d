//! The calendar dates of metadata (`YYYY-MM-DD`, UTC), without a calendar library.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i64);

/// Text that is no date of the form `YYYY-MM-DD`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no date")]
pub struct DateError(String);

impl Date {
    /// The day of a time in Unix seconds.
    pub const fn of_unix(seconds: u64) -> Self {
        Self((seconds / 86_400) as i64)
    }

    /// The first second of the day, in Unix seconds; 0 for days before 1970.
    pub const fn unix(self) -> u64 {
        if self.0 < 0 {
            0
        } else {
            (self.0 as u64).saturating_mul(86_400)
        }
    }

    /// The day this many days later.
    #[must_use]
    pub const fn plus_days(self, days: u32) -> Self {
        Self(self.0.saturating_add(days as i64))
    }

    /// Days in the proleptic Gregorian calendar, counted with years that begin in March.
    const fn from_civil(year: i64, month: i64, day: i64) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        Self(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
    }

    const fn civil(self) -> (i64, i64, i64) {
        let days = self.0 + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let year = year + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month, day)
    }
}

impl core::str::FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let error = || DateError(text.to_owned());
        let bytes = text.as_bytes();
        let digits = |range: core::ops::Range<usize>| {
            bytes[range].iter().try_fold(0_i64, |value, byte| {
                byte.is_ascii_digit()
                    .then(|| value * 10 + i64::from(byte - b'0'))
            })
        };
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return Err(error());
        }
        let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(5..7), digits(8..10))
        else {
            return Err(error());
        };
        let date = Self::from_civil(year, month, day);
        // A day that does not exist comes back as another one.
        if (1..=12).contains(&month) && date.civil() == (year, month, day) {
            Ok(date)
        } else {
            Err(error())
        }
    }
}

impl core::fmt::Display for Date {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_comes_back() {
        let first: Date = "1600-01-01".parse().unwrap();
        let last: Date = "2400-12-31".parse().unwrap();
        assert_eq!(last.0 - first.0, 292_559);
        let mut previous = String::new();
        for day in first.0..=last.0 {
            let text = Date(day).to_string();
            assert_eq!(text.parse(), Ok(Date(day)));
            assert!(text > previous, "{text}");
            previous = text;
        }
    }

    #[test]
    fn known_days() {
        for (text, unix) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400),
            ("2023-10-01", 1_696_118_400),
        ] {
            let date: Date = text.parse().unwrap();
            assert_eq!(date.unix(), unix);
            assert_eq!(Date::of_unix(unix + 86_399), date);
        }
        assert_eq!("1969-12-31".parse::<Date>().unwrap().unix(), 0);
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2023-1-01",
            "2023-13-01",
            "2023-00-10",
            "2023-02-29",
            "2023-04-31",
            "2023-01-00",
            "2023/01/01",
            "2023-01-01T00",
            "+023-01-01",
            "2023-01-0x",
            "2023-01-é",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }
}
