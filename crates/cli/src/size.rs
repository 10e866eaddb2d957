//! Sizes as people write them and read them.

use crate::output;

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// `4096`, `4K`, `1M`, `1GiB`: powers of 1024; `1MB` is a power of 1000, as in dd(1).
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size: write 4096, 4K, 1M or 1GiB");
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.trim_start().to_ascii_uppercase();
    let (letter, base) = match unit.as_bytes() {
        [] | [b'B'] => return Ok(number),
        [letter] | [letter, b'I', b'B'] => (*letter, 1024_u64),
        [letter, b'B'] => (*letter, 1000),
        _ => return Err(wrong()),
    };
    let power = b"KMGTPE".iter().position(|&known| known == letter).ok_or_else(wrong)?;
    let power = u32::try_from(power + 1).map_err(|_| wrong())?;
    base.checked_pow(power)
        .and_then(|factor| number.checked_mul(factor))
        .ok_or_else(|| format!("`{text}` is more than 64 bits can hold"))
}

pub(crate) fn parse_usize(text: &str) -> Result<usize, String> {
    usize::try_from(parse(text)?).map_err(|_| format!("`{text}` is more than this machine can address"))
}

/// A place in a segment or a number of its bytes: a size, or hexadecimal as `coseg hex` writes offsets.
pub(crate) fn parse_place(text: &str) -> Result<usize, String> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            usize::from_str_radix(digits, 16).map_err(|_| format!("`{text}` is no number of 64 bits"))
        }
        Some(_) => Err(format!("`{text}` is no number: write 4096, 4K or 0x1000")),
        None => parse_usize(text),
    }
}

/// `512B`, `1KiB`, `1.5MiB`; in one word, so that columns stay columns.
pub(crate) fn human(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let power = (bytes.ilog2() / 10).min(6) as usize;
    let unit = 1_u64 << (10 * power);
    // Tenths, rounded to nearest, in integers: no float rounds 1023.96 to 1024.0.
    let tenths = (u128::from(bytes) * 10 + u128::from(unit) / 2) / u128::from(unit);
    match (tenths / 10, tenths % 10) {
        (1024, _) if power < 6 => format!("1{}", UNITS[power]),
        (whole, 0) => format!("{whole}{}", UNITS[power - 1]),
        (whole, tenth) => format!("{whole}.{tenth}{}", UNITS[power - 1]),
    }
}

/// As asked for: a bare number with `--bytes`.
pub(crate) fn show(bytes: u64, plain: bool) -> String {
    if plain { bytes.to_string() } else { human(bytes) }
}

/// For sentences: `1.5KiB (1,536 bytes)`, `27 bytes`.
pub(crate) fn sentence(bytes: u64) -> String {
    let exact = output::count(bytes, "byte", "bytes");
    if bytes < 1024 { exact } else { format!("{} ({exact})", human(bytes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write() {
        for (text, bytes) in [
            ("0", 0),
            ("1024", 1024),
            ("512B", 512),
            ("4K", 4096),
            ("4k", 4096),
            ("1M", 1 << 20),
            ("1MiB", 1 << 20),
            ("1GiB", 1 << 30),
            ("2MB", 2_000_000),
            ("1E", 1 << 60),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "1X", "-1", "1.5M", "99E", "1KiBs", "1é", "0x10"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places_are_hexadecimal_too() {
        assert_eq!(
            [parse_place("0x10"), parse_place("0XfF"), parse_place("4K")],
            [Ok(16), Ok(255), Ok(4096)]
        );
        for text in ["0x", "0x+1", "0xg", "0x1ffffffffffffffff", "-1", "10h"] {
            assert!(parse_place(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_people_read() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1KiB"),
            (1536, "1.5KiB"),
            ((1 << 20) - 1, "1MiB"),
            (10 << 20, "10MiB"),
            (u64::MAX, "16EiB"),
        ] {
            assert_eq!(human(bytes), text, "{bytes}");
        }
        assert_eq!(sentence(1536), "1.5KiB (1,536 bytes)");
        assert_eq!(sentence(1), "1 byte");
    }
}
