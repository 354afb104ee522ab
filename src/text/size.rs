//! Sizes in bytes and large counts as people write and read them.

/// The units of a size. The binary ones are in ascending order, for [`format_size`].
const UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Reads a size such as `512B`, `64KiB` or `10MB`.
///
/// # Errors
///
/// Returns the reason, to be written after the text (`has no unit`), and a hint with what was probably meant.
pub fn parse_size(text: &str) -> Result<u64, (String, Option<String>)> {
    let trimmed = text.trim();
    let end = trimmed
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(end);
    let unit = unit.trim_start();
    let fail = |reason: &str, hint: &str| Err((reason.to_owned(), Some(hint.to_owned())));
    if digits.is_empty() {
        let hint = "a whole number and a unit, as in `64KiB` or `10MB`";
        return if trimmed.starts_with('-') {
            fail("is negative", hint)
        } else {
            fail("is not a size", hint)
        };
    }
    if unit.is_empty() {
        return fail(
            "has no unit",
            &format!("did you mean `{digits}B` or `{digits}KiB`?"),
        );
    }
    let known = UNITS.iter().find(|(name, _)| *name == unit).or_else(|| {
        // `KB` is as common as `kB`, and it cannot mean anything else.
        UNITS.iter().find(|(name, _)| *name == "kB" && unit == "KB")
    });
    if let Some((_, factor)) = known {
        return match digits
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(*factor))
        {
            Some(bytes) => Ok(bytes),
            None => fail("is larger than anything", "a size such as `1MiB`"),
        };
    }
    let meant = match unit.to_ascii_lowercase().as_str() {
        "b" => "B",
        "k" | "kib" | "ki" => "KiB",
        "m" | "mib" | "mi" => "MiB",
        "g" | "gib" | "gi" => "GiB",
        "kb" => "kB",
        "mb" => "MB",
        "gb" => "GB",
        _ => {
            return fail(
                "is not a size",
                "units are `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB` and `GB`, after a whole number",
            );
        }
    };
    fail(
        "has an unknown unit",
        &format!("did you mean `{digits}{meant}`?"),
    )
}

/// Formats a size in the largest binary unit that divides it, as an inventory writes it: `64KiB`.
pub fn format_size(bytes: u64) -> String {
    let (number, unit) = in_largest_unit(bytes);
    format!("{number}{unit}")
}

/// Formats a size in the largest binary unit that divides it, for a sentence: `64 KiB`, `1000 bytes`.
pub fn long_size(bytes: u64) -> String {
    match in_largest_unit(bytes) {
        (number, "B") => format!("{number} bytes"),
        (number, unit) => format!("{number} {unit}"),
    }
}

fn in_largest_unit(bytes: u64) -> (u64, &'static str) {
    let [binary @ .., _, _, _] = UNITS;
    let (name, unit) = binary
        .into_iter()
        .rfind(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .unwrap_or(("B", 1));
    (bytes / unit, name)
}

/// Formats a count in at most six cells: `1204`, `880123`, `1.2M`.
pub fn short_count(number: u64) -> String {
    const UNITS: [(u64, &str); 5] = [
        (1_000_000_000_000_000_000, "E"),
        (1_000_000_000_000_000, "P"),
        (1_000_000_000_000, "T"),
        (1_000_000_000, "G"),
        (1_000_000, "M"),
    ];
    for (unit, letter) in UNITS {
        if number >= unit {
            let tenths = number / (unit / 10);
            return if tenths < 1_000 {
                format!("{}.{}{letter}", tenths / 10, tenths % 10)
            } else {
                format!("{}{letter}", tenths / 10)
            };
        }
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_carry_a_unit() {
        let check = |text: &str, expected: &str| {
            let found = match parse_size(text) {
                Ok(bytes) => bytes.to_string(),
                Err((reason, hint)) => format!("{reason} | {}", hint.unwrap_or_default()),
            };
            assert_eq!(found, expected, "{text:?}");
        };
        for (text, expected) in [
            ("1MiB", "1048576"),
            ("64KiB", "65536"),
            ("10MB", "10000000"),
            ("10 MB", "10000000"),
            ("512B", "512"),
            ("8kB", "8000"),
            ("8KB", "8000"),
            ("1024", "has no unit | did you mean `1024B` or `1024KiB`?"),
            ("1M", "has an unknown unit | did you mean `1MiB`?"),
            ("1mib", "has an unknown unit | did you mean `1MiB`?"),
            (
                "-1MiB",
                "is negative | a whole number and a unit, as in `64KiB` or `10MB`",
            ),
            (
                "big",
                "is not a size | a whole number and a unit, as in `64KiB` or `10MB`",
            ),
            (
                "1.5MiB",
                "is not a size | units are `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB` and `GB`, after a whole number",
            ),
            (
                "99999999999999999999GiB",
                "is larger than anything | a size such as `1MiB`",
            ),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn sizes_are_shown_in_the_unit_that_divides_them() {
        for (bytes, expected) in [
            (0, "0B"),
            (512, "512B"),
            (1 << 16, "64KiB"),
            (1_000, "1000B"),
            (3 << 30, "3GiB"),
            ((1 << 20) + 1024, "1025KiB"),
        ] {
            assert_eq!(format_size(bytes), expected);
        }
        assert_eq!(long_size(1 << 16), "64 KiB");
        assert_eq!(long_size(500_001), "500001 bytes");
    }

    #[test]
    fn counts_never_outgrow_their_column() {
        let cases = [
            (0, "0"),
            (999_999, "999999"),
            (1_000_000, "1.0M"),
            (99_990_000, "99.9M"),
            (880_000_000, "880M"),
            (1_234_567_890, "1.2G"),
            (u64::MAX, "18.4E"),
        ];
        for (number, expected) in cases {
            assert_eq!(short_count(number), expected);
        }
    }
}
