//! Rates, sizes, times and shares as `tc` takes them.
//!
//! As there, a bare rate is bits per second, a bare size bytes, a bare time microseconds and a bare share a percentage; case does
//! not matter; `k`, `m`, `g` and `t` are powers of 1,000 in rates and of 1,024 in sizes; `ki`, `mi`, `gi` and `ti` are powers of
//! 1,024 in rates too; `bps` is bytes per second.

use std::time::Duration;

const THOUSAND: f64 = 1_000.0;
const KIBI: f64 = 1_024.0;

/// Bits per second: `20mbit`, `1.5gbit`, `100kbps` (bytes), `1mibit`.
///
/// # Errors
///
/// What to write instead.
pub fn rate(text: &str) -> Result<u64, String> {
    const HOW: &str = "a rate is a number with bit, kbit, mbit, gbit or tbit (bits per second, the default), \
                       or bps, kbps, mbps, gbps or tbps (bytes per second): 20mbit";
    let (number, unit) = split(text, HOW)?;
    let (prefix, per_unit) = match unit.strip_suffix("bps") {
        Some(prefix) => (prefix, 8.0),
        None => (unit.strip_suffix("bit").unwrap_or(&unit), 1.0),
    };
    let bits = number * per_unit * power(prefix).ok_or_else(|| wrong(text, HOW))?;
    whole(bits).filter(|&bits| bits > 0).ok_or_else(|| wrong(text, HOW))
}

/// Bytes: `10mb`, `64k`, `1gbit` (bits).
///
/// # Errors
///
/// What to write instead.
pub fn size(text: &str) -> Result<u64, String> {
    const HOW: &str = "a size is a number with b, kb, mb or gb (bytes in powers of 1024, the default is b), \
                       or kbit, mbit or gbit (bits): 10MB";
    let (number, unit) = split(text, HOW)?;
    let (prefix, bytes) = match unit.strip_suffix("bit") {
        Some(prefix) => (prefix, 0.125),
        None => (unit.strip_suffix('b').unwrap_or(&unit), 1.0),
    };
    let factor = match prefix {
        "" => 1.0,
        "k" => KIBI,
        "m" => KIBI * KIBI,
        "g" => KIBI * KIBI * KIBI,
        _ => return Err(wrong(text, HOW)),
    };
    whole(number * bytes * factor).ok_or_else(|| wrong(text, HOW))
}

/// A time: `25ms`, `1.5s`, `300us`; a bare number is microseconds.
///
/// # Errors
///
/// What to write instead.
pub fn time(text: &str) -> Result<Duration, String> {
    const HOW: &str = "a time is a number with s, ms, us or ns; a bare number is microseconds: 25ms";
    let (number, unit) = split(text, HOW)?;
    let nanos = match unit.as_str() {
        "s" | "sec" | "secs" => 1e9,
        "ms" | "msec" | "msecs" => 1e6,
        "" | "us" | "usec" | "usecs" => 1e3,
        "ns" | "nsec" | "nsecs" => 1.0,
        _ => return Err(wrong(text, HOW)),
    };
    whole(number * nanos).map(Duration::from_nanos).ok_or_else(|| wrong(text, HOW))
}

/// A share between 0 and 1, written as a percentage: `1%`, `0.1`.
///
/// # Errors
///
/// What to write instead.
pub fn percent(text: &str) -> Result<f64, String> {
    const HOW: &str = "a share is a percentage between 0 and 100, with or without %: 1%";
    let (number, unit) = split(text, HOW)?;
    if !matches!(unit.as_str(), "" | "%") || number > 100.0 {
        return Err(wrong(text, HOW));
    }
    Ok(number / 100.0)
}

/// The number in front, and the unit in small letters.
fn split(text: &str, how: &str) -> Result<(f64, String), String> {
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let number = number.parse::<f64>().map_err(|_| wrong(text, how))?;
    Ok((number, unit.trim().to_ascii_lowercase()))
}

fn power(prefix: &str) -> Option<f64> {
    let (base, letter) = match prefix.strip_suffix('i') {
        Some(letter) => (KIBI, letter),
        None => (THOUSAND, prefix),
    };
    let power = match letter {
        "" if base == THOUSAND => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    Some(base.powi(power))
}

fn whole(value: f64) -> Option<u64> {
    // 2^53: beyond it a double is no exact count any more.
    (0.0..=9_007_199_254_740_992.0).contains(&value).then_some(value.round() as u64)
}

fn wrong(text: &str, how: &str) -> String {
    format!("{text:?} cannot be read: {how}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_tc() {
        let cases = [
            ("20mbit", 20_000_000),
            ("20Mbit", 20_000_000),
            ("1.5gbit", 1_500_000_000),
            ("1000", 1_000),
            ("8bps", 64),
            ("100kbps", 800_000),
            ("1mibit", 1_048_576),
            ("1tbit", 1_000_000_000_000),
            ("10m", 10_000_000),
        ];
        for (text, bits) in cases {
            assert_eq!(rate(text), Ok(bits), "{text}");
        }
        for text in ["", "fast", "0mbit", "-1mbit", "10xbit", "10 mbit s", "1e400", "ibit"] {
            assert!(rate(text).unwrap_err().contains("20mbit"), "{text}");
        }
    }

    #[test]
    fn sizes_are_those_of_tc() {
        let cases = [
            ("10MB", 10 << 20),
            ("64k", 64 << 10),
            ("1500", 1500),
            ("7b", 7),
            ("8kbit", 1 << 10),
            ("1gb", 1 << 30),
        ];
        for (text, bytes) in cases {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "10 apples", "mb", "10pb"] {
            assert!(size(text).unwrap_err().contains("10MB"), "{text}");
        }
    }

    #[test]
    fn times_are_those_of_tc() {
        let cases =
            [("25ms", 25_000_000), ("1.5s", 1_500_000_000), ("300", 300_000), ("2secs", 2_000_000_000)];
        for (text, nanos) in cases {
            assert_eq!(time(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        for text in ["", "soon", "25m", "-1ms"] {
            assert!(time(text).unwrap_err().contains("25ms"), "{text}");
        }
    }

    #[test]
    fn shares_are_percentages() {
        assert_eq!(percent("1%"), Ok(0.01));
        assert_eq!(percent("0.5"), Ok(0.005));
        assert_eq!(percent("100%"), Ok(1.0));
        for text in ["", "101%", "1/2", "5 per cent"] {
            assert!(percent(text).unwrap_err().contains("1%"), "{text}");
        }
    }
}
