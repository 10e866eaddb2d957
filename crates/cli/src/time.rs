//! Times as people read them, in the time zone of the environment.

use jiff::Timestamp;
use jiff::tz::TimeZone;

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
    fn never_is_a_dash() {
        assert_eq!(stamp(0, ' '), "-");
        assert_eq!(stamp(1_700_000_000, 'T').len(), 19);
    }
}
