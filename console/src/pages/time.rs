//! Moments as texts, in UTC.

/// RFC 3339, to the millisecond.
pub(crate) fn iso(ms: u64) -> String {
    let (year, month, day) = date(ms / 86_400_000);
    let rest = ms % 86_400_000;
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, ms) = (rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// For people.
pub(crate) fn words(ms: u64) -> String {
    let text = iso(ms);
    format!("{} {} UTC", &text[..10], &text[11..19])
}

/// A length of time, short.
pub(crate) fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => {
            let tenths = ms / 100;
            if tenths.is_multiple_of(10) {
                format!("{} s", tenths / 10)
            } else {
                format!("{}.{} s", tenths / 10, tenths % 10)
            }
        }
        60_000..3_600_000 if ms.is_multiple_of(60_000) => format!("{} min", ms / 60_000),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        _ if ms % 3_600_000 < 60_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// A time of the settings' kind in its greatest unit: `900000ms` is `15min`. Anything else as it is.
pub(crate) fn setting(text: &str) -> String {
    let one = |text: &str| {
        let ms = text.strip_suffix("ms")?.parse::<u64>().ok().filter(|ms| *ms > 0)?;
        let units = [(3_600_000, "h"), (60_000, "min"), (1_000, "s")];
        let fits = units.into_iter().find(|(unit, _)| ms.is_multiple_of(*unit));
        Some(fits.map_or_else(|| text.to_owned(), |(unit, word)| format!("{}{word}", ms / unit)))
    };
    let all = text.split(',').map(|text| one(text).unwrap_or_else(|| text.to_owned()));
    all.collect::<Vec<_>>().join(",")
}

/// Year, month and day of a day since 1970, in the proleptic Gregorian calendar: Howard Hinnant's
/// `civil_from_days`, for days that are not negative.
const fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_as_others_tell_them() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(iso(ms), text);
        }
        assert_eq!(words(1_700_000_000_123), "2023-11-14 22:13:20 UTC");
        for (text, short) in
            [("900000ms", "15min"), ("5000ms,90000ms", "5s,90s"), ("15s", "15s"), ("7ms", "7ms")]
        {
            assert_eq!(setting(text), short);
        }
        for (ms, text) in [(9, "9 ms"), (1_500, "1.5 s"), (15_000, "15 s"), (900_000, "15 min")] {
            assert_eq!(span(ms), text);
        }
    }
}
