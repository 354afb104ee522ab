//! Hides secrets in text from a file.

use crate::text::visible;

/// Returns whether the value of a key or header with this name is usually a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    [
        "bearer",
        "password",
        "passwd",
        "token",
        "secret",
        "authorization",
        "cookie",
        "apikey",
        "accesskey",
        "authkey",
        "credential",
        "credentials",
    ]
    .iter()
    .any(|ending| name.ends_with(ending))
}

/// Replaces secrets by as many bytes of `*`, so that offsets into the text stay valid.
pub fn secrets(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        url_passwords(line, offset, &mut bytes);
        keyed(line, offset, &mut bytes);
        offset += line.len();
    }
    // Only whole characters were replaced, each with ASCII.
    String::from_utf8(bytes).unwrap_or_default()
}

fn star(bytes: &mut [u8], from: usize, to: usize) {
    if let Some(part) = bytes.get_mut(from..to) {
        part.fill(b'*');
    }
}

/// Hides the password of `scheme://user:PASSWORD@host`.
fn url_passwords(line: &str, offset: usize, bytes: &mut [u8]) {
    for (at, sign) in line.match_indices("://") {
        let start = at + sign.len();
        let rest = line.get(start..).unwrap_or_default();
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '`'))
            .unwrap_or(rest.len());
        let authority = rest.get(..end).unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@')
            && let Some((name, password)) = user.split_once(':')
            && !password.starts_with("${")
        {
            let from = offset + start + name.len() + 1;
            star(bytes, from, from + password.len());
        }
    }
}

/// Hides the value of `bearer: VALUE` and `X-Api-Key: "VALUE"`. A value that begins with `{`, `[` or a variable is no
/// secret itself.
fn keyed(line: &str, offset: usize, bytes: &mut [u8]) {
    for (at, _) in line.match_indices(':') {
        let before = line.get(..at).unwrap_or_default();
        let key = before.trim_end_matches(['"', '\'']);
        let from = key
            .rfind(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'))
            .map_or(0, |n| n + 1);
        if !is_secret_name(key.get(from..).unwrap_or_default()) {
            continue;
        }
        let after = line.get(at + 1..).unwrap_or_default();
        let value = after.trim_start();
        let start = at + 1 + (after.len() - value.len());
        let length = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value
                .get(1..)
                .and_then(|rest| rest.find(quote))
                .map_or(value.trim_end().len(), |n| n + 2),
            // `…` stands for a value in our own messages.
            Some('{' | '[' | '|' | '>' | '*' | '&' | '~' | '…') | None => 0,
            Some(_) if value.starts_with("${") => 0,
            Some(_) => value.find([',', '}', ']']).unwrap_or(value.len()),
        };
        let value = value.get(..length).unwrap_or_default().trim_end();
        let (skip, keep) = match value.chars().next() {
            Some('"' | '\'') if value.get(1..).is_some_and(|v| v.starts_with("${")) => continue,
            Some('"' | '\'') if value.len() > 1 => (1, value.len() - 1),
            _ => (0, value.len()),
        };
        star(bytes, offset + start + skip, offset + start + keep);
    }
}

/// Returns text from a file as one line that is safe for a terminal.
pub(super) fn safe(text: &str) -> String {
    visible(&secrets(text)).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::{is_secret_name, secrets};

    #[test]
    fn secrets_are_starred_in_place() {
        let check = |text: &str, expected: &str| {
            let found = secrets(text);
            assert_eq!(found, expected);
            assert_eq!(found.len(), text.len());
        };
        for (text, expected) in [
            ("auth: {bearer: abc}", "auth: {bearer: ***}"),
            ("auth: {bearer: {env: X}}", "auth: {bearer: {env: X}}"),
            ("  password: \"a, b\"  # x", "  password: \"****\"  # x"),
            ("X-Api-Key: 'abc'", "X-Api-Key: '***'"),
            ("\"X-Auth-Token\": abc, b: 1", "\"X-Auth-Token\": ***, b: 1"),
            ("password: ${PW}", "password: ${PW}"),
            ("Authorization: Bearer abc", "Authorization: **********"),
            ("url: http://me:pw@host/x", "url: http://me:**@host/x"),
            ("url: http://me:p@w@host:1/x", "url: http://me:***@host:1/x"),
            ("url: http://host:80/a@b:c", "url: http://host:80/a@b:c"),
            ("password: ü", "password: **"),
            ("password:", "password:"),
            ("password: \"", "password: *"),
            ("env: API_TOKEN", "env: API_TOKEN"),
            (
                "name: x\npassword: y\nz: 1\n",
                "name: x\npassword: *\nz: 1\n",
            ),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn names_of_secrets() {
        assert!(is_secret_name("X-Vault-Token"));
        assert!(is_secret_name("Cookie"));
        assert!(!is_secret_name("X-Team"));
        assert!(!is_secret_name("tokens-per-second"));
    }
}
