//! Sizes in bytes as people write them.

const UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Reads `512B`, `64KiB`, `10MB`.
///
/// # Errors
///
/// Why it is none, to stand behind the text (`has no unit`), and what was probably meant.
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
        // Written `KB` as often as `kB`, and it cannot mean anything else.
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

#[cfg(test)]
mod tests {
    use super::parse_size;

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
}
