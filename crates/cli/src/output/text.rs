//! Amounts, ages and lists as people read them, and the way back from what they type.

use jiff::Timestamp;
use plenum_client::v1::amounts::Amounts;
use std::time::Duration;

const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/// `0.5`, `4`: cores.
pub(crate) fn cpu(millis: u64) -> String {
    let (cores, rest) = (millis / 1_000, millis % 1_000);
    if rest == 0 {
        cores.to_string()
    } else {
        format!("{cores}.{rest:03}").trim_end_matches('0').to_owned()
    }
}

/// `512 B`, `128 MiB`, `1.5 GiB`.
pub(crate) fn bytes(n: u64) -> String {
    let mut unit = 0;
    let mut tenths = u128::from(n) * 10 / 1024;
    if tenths < 10 {
        return format!("{n} B");
    }
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    match tenths % 10 {
        0 => format!("{} {}", tenths / 10, UNITS[unit]),
        rest => format!("{}.{rest} {}", tenths / 10, UNITS[unit]),
    }
}

/// So much of one resource, in the unit that people use for it.
pub(crate) fn quantity(resource: &str, n: u64) -> String {
    match resource {
        "cpu" => cpu(n),
        "memory" | "disk" => bytes(n),
        _ => n.to_string(),
    }
}

/// `4 cpu, 8 GiB`: what is not zero; slots, of which every task has one, only beyond that one.
pub(crate) fn amounts(a: &Amounts) -> String {
    let mut parts = Vec::new();
    if a.cpu_millis > 0 {
        parts.push(format!("{} cpu", cpu(a.cpu_millis)));
    }
    if a.memory_bytes > 0 {
        parts.push(bytes(a.memory_bytes));
    }
    if a.disk_bytes > 0 {
        parts.push(format!("{} disk", bytes(a.disk_bytes)));
    }
    if a.slots > 1 {
        parts.push(format!("{} slots", a.slots));
    }
    parts.extend(a.extended.iter().map(|(name, n)| format!("{n} {name}")));
    if parts.is_empty() {
        "-".to_owned()
    } else {
        parts.join(", ")
    }
}

/// `14s`, `5m`, `3h`, `41d`: since then.
pub(crate) fn age(since: Timestamp) -> String {
    seconds(age_seconds(since))
}

/// Seconds since then; none below zero.
pub(crate) fn age_seconds(since: Timestamp) -> u64 {
    u64::try_from(Timestamp::now().as_second() - since.as_second()).unwrap_or(0)
}

fn seconds(s: u64) -> String {
    match s {
        0..120 => format!("{s}s"),
        120..7_200 => format!("{}m", s / 60),
        7_200..172_800 => format!("{}h", s / 3_600),
        _ => format!("{}d", s / 86_400),
    }
}

/// `10s`, `5m`, `2h`, `1d`, or seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a time: it is written 30s, 5m, 2h or 1d");
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "ms" => return Ok(Duration::from_millis(number)),
        _ => return Err(bad()),
    };
    number
        .checked_mul(factor)
        .map(Duration::from_secs)
        .ok_or_else(bad)
}

/// `0.5`, `4`: cores, as thousandths.
pub(crate) fn parse_cpu(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is not an amount of cpu: it is written 0.5 or 4");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    let part: u64 = format!("{part:0<3}").parse().map_err(|_| bad())?;
    whole
        .checked_mul(1_000)
        .and_then(|m| m.checked_add(part))
        .ok_or_else(bad)
}

/// `64M`, `1.5GiB`, or bytes when there is no unit and `unit` is 1.
pub(crate) fn parse_bytes(text: &str, unit: u64) -> Result<u64, String> {
    let bad = || format!("`{text}` is not a size: it is written 64M, 1.5G, 128MiB");
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let factor = match suffix.trim().to_ascii_lowercase().as_str() {
        "" => unit,
        "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err(bad()),
    };
    // Thousandths of the unit: exact for what people write.
    let thousandths = parse_cpu(number).map_err(|_| bad())?;
    let bytes = u128::from(thousandths) * u128::from(factor) / 1_000;
    u64::try_from(bytes).map_err(|_| bad())
}

/// `cpu=2,memory=4GiB,slots=10,gpu=1`.
pub(crate) fn parse_amounts(text: &str) -> Result<Amounts, String> {
    let mut amounts = Amounts::default();
    for part in text.split(',').filter(|p| !p.trim().is_empty()) {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| format!("`{part}` has no `=`: amounts are written cpu=2,memory=4GiB"))?;
        let value = value.trim();
        match name.trim() {
            "cpu" => amounts.cpu_millis = parse_cpu(value)?,
            "memory" | "mem" => amounts.memory_bytes = parse_bytes(value, 1)?,
            "disk" => amounts.disk_bytes = parse_bytes(value, 1)?,
            "slots" | "slot" => amounts.slots = count(value)?,
            other => {
                amounts.extended.insert(other.to_owned(), count(value)?);
            }
        }
    }
    Ok(amounts)
}

fn count(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        assert_eq!(
            [cpu(0), cpu(500), cpu(4_000), cpu(1_050)],
            ["0", "0.5", "4", "1.05"]
        );
        assert_eq!(
            [
                bytes(0),
                bytes(1_023),
                bytes(1_024),
                bytes(128 << 20),
                bytes(3 << 29),
                bytes(u64::MAX)
            ],
            ["0 B", "1023 B", "1 KiB", "128 MiB", "1.5 GiB", "16383.9 PiB"]
        );
        let a = parse_amounts("cpu=1.5,memory=4GiB,gpu=2").unwrap();
        assert_eq!(amounts(&a), "1.5 cpu, 4 GiB, 2 gpu");
        assert_eq!(
            [seconds(14), seconds(300), seconds(7_300), seconds(41 * 86_400)],
            ["14s", "5m", "2h", "41d"]
        );
    }

    #[test]
    fn what_people_type_is_read_or_refused() {
        assert_eq!(parse_bytes("64", 1 << 20), Ok(64 << 20));
        assert_eq!(parse_bytes("1.5G", 1), Ok(3 << 29));
        assert_eq!(parse_cpu("0.25"), Ok(250));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        for bad in ["", "x", "1.2345", "-1", "99999999999999999999"] {
            assert!(
                parse_cpu(bad).is_err() && parse_bytes(bad, 1).is_err() && parse_duration(bad).is_err(),
                "{bad}"
            );
        }
        assert!(parse_bytes("5parsec", 1).is_err());
        assert!(parse_amounts("cpu").is_err());
    }
}
