//! Moments as people write them, in UTC.

/// `2026-11-24T10:30`, with seconds and `Z` or without, as milliseconds since 1970.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let (date, time) = text.strip_suffix('Z').unwrap_or(text).split_once(['T', ' '])?;
    let [year, month, day] = numbers(date, '-')?[..] else { return None };
    let (hour, minute, second) = match numbers(time, ':')?[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let sane = (1970..=9999).contains(&year) && hour < 24 && minute < 60 && second < 60;
    if !sane || !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    let seconds = (days(year, month, day) * 24 + hour) * 3_600 + minute * 60 + second;
    Some(seconds * 1_000)
}

/// Nothing but digits between the marks.
fn numbers(text: &str, between: char) -> Option<Vec<u64>> {
    let one = |part: &str| {
        let plain = (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| part.parse().ok())?
    };
    text.split(between).map(one).collect()
}

const fn days_of(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970: Howard Hinnant's `days_from_civil`, for years from 1970 on.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let shifted = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (shifted / 400, shifted % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn moments_are_read_as_people_write_them() {
        for (text, ms) in [
            ("1970-01-01T00:00", 0),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            (" 2023-11-14 22:13:20Z ", 1_700_000_000_000),
            ("2099-12-31T23:59", 4_102_444_740_000),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
        }
        for wrong in [
            "",
            "yesterday",
            "2023-11-14",
            "2023-02-29T00:00",
            "2023-13-01T00:00",
            "2023-01-01T24:00",
            "2023-01-01T00:60",
            "1969-12-31T23:59",
            "2023-01-01T+1:00",
            "2023-01-01T00:00:00+01:00",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
