//! Times as people read them, in the time zone of the environment.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

/// `2026-11-21 07:33:10`, or with a `T` between where columns must stay single words; `-` for never.
pub(crate) fn stamp(seconds: i64, separator: char) -> String {
    if seconds == 0 {
        return "-".to_owned();
    }
    match Timestamp::from_second(seconds) {
        Ok(time) => {
            let zoned = time.to_zoned(TimeZone::system());
            zoned
                .strftime(if separator == 'T' { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" })
                .to_string()
        }
        Err(_) => seconds.to_string(),
    }
}

/// `2026-11-21 07:33:10 (3 minutes ago)`, or `never`.
pub(crate) fn with_age(seconds: i64) -> String {
    if seconds == 0 {
        return "never".to_owned();
    }
    format!("{} ({})", stamp(seconds, ' '), ago(now() - seconds))
}

pub(crate) fn now() -> i64 {
    Timestamp::now().as_second()
}

/// The same in nanoseconds.
pub(crate) fn now_ns() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0)
}

/// Whole seconds of a moment that a region has in nanoseconds.
pub(crate) fn seconds_of(unix_ns: u64) -> i64 {
    i64::try_from(unix_ns / 1_000_000_000).unwrap_or(i64::MAX)
}

/// How long it is since a moment, in one short word: `250ms`, `3s`, `5m`, `2h`, `4d`.
pub(crate) fn short_since(unix_ns: u64) -> String {
    short(now_ns().saturating_sub(unix_ns) / 1_000_000)
}

/// The same of what is known to the second only.
pub(crate) fn short_s(seconds: u64) -> String {
    if seconds == 0 { "0s".to_owned() } else { short(seconds.saturating_mul(1000)) }
}

/// A span of time in one short word.
pub(crate) fn short(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{}s", ms / 1_000),
        60_000..3_600_000 => format!("{}m", ms / 60_000),
        3_600_000..86_400_000 => format!("{}h", ms / 3_600_000),
        _ => format!("{}d", ms / 86_400_000),
    }
}

/// A time between two looks.
pub(crate) fn parse_interval(text: &str, least: Duration) -> Result<Duration, String> {
    match parse_duration(text)? {
        every if every < least => Err(format!("{least:?} is the shortest time between two looks")),
        every => Ok(every),
    }
}

/// `5s`, `500ms`, `1m 30s`, `2d`; a number alone is seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: write 5s, 500ms, 1m or 2d");
    let duration = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?,
        Err(_) => {
            let span = text.parse::<Span>().map_err(|_| wrong())?;
            let days_are_equal = SpanRelativeTo::days_are_24_hours();
            span.to_duration(days_are_equal).map_err(|_| wrong())?.try_into().map_err(|_| wrong())?
        }
    };
    Ok(duration)
}

/// `just now`, `3 minutes ago`, `in the future` for clocks that were set back.
pub(crate) fn ago(seconds: i64) -> String {
    match seconds {
        ..-1 => "in the future".to_owned(),
        -1..2 => "just now".to_owned(),
        _ => format!("{} ago", span(seconds)),
    }
}

/// `1 second`, `3 minutes`, `2 days`: the largest unit that fits, rounded down.
pub(crate) fn span(seconds: i64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds >= *unit).unwrap_or((1, "second"));
    let number = seconds / unit;
    format!("{number} {name}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_use_the_largest_unit() {
        assert_eq!(span(0), "0 seconds");
        assert_eq!(span(61), "1 minute");
        assert_eq!(span(7_200), "2 hours");
        assert_eq!(span(86_400 * 3 + 5), "3 days");
        assert_eq!(ago(0), "just now");
        assert_eq!(ago(-100), "in the future");
    }

    #[test]
    fn durations_as_people_write_them() {
        for (text, ms) in [
            ("5s", 5_000),
            ("500ms", 500),
            ("2", 2_000),
            ("0.5", 500),
            ("1m 30s", 90_000),
            ("2d 1h", 176_400_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "-1", "-5s", "x", "5 parsecs", "1 month", "NaN", "inf"] {
            assert!(parse_duration(text).unwrap_err().contains("500ms"), "{text}");
        }
    }

    #[test]
    fn short_spans_are_one_word() {
        let ago = |seconds: u64| now_ns() - seconds * 1_000_000_000;
        assert_eq!(short_since(ago(3)), "3s");
        assert_eq!(short_since(ago(7_200)), "2h");
        assert_eq!(short_since(u64::MAX), "0ms");
    }

    #[test]
    fn never_is_a_dash() {
        assert_eq!(stamp(0, ' '), "-");
        assert_eq!(stamp(1_700_000_000, 'T').len(), 19);
    }
}
