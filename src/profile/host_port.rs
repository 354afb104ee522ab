//! TCP addresses: `HOST:PORT` as people write it.

use std::fmt;
use std::net::Ipv6Addr;

use super::BadAddress;
use super::target::{bad, check_spaces};

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// The name or address; an IPv6 address has no brackets.
    pub host: String,
    /// The port, from 1 to 65535.
    pub port: u16,
}

const EXAMPLE: &str = "for example `localhost:6379` or `[::1]:6379`";

impl HostPort {
    /// Reads `HOST:PORT` or `[IPV6]:PORT`.
    ///
    /// # Errors
    ///
    /// Returns the mistake in the text.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        check_spaces(text, EXAMPLE)?;
        if let Some((scheme, rest)) = text.split_once("://") {
            let rest = rest.trim_end_matches('/');
            let hint = match scheme.to_ascii_lowercase().as_str() {
                "http" | "https" => format!("ask it by HTTP (`http: {text}`), or write `{rest}`"),
                _ => format!("did you mean `{rest}`?"),
            };
            return bad("has a scheme, which a connection has no use for", hint);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return bad(
                "is a port without its host",
                format!("did you mean `localhost:{text}`?"),
            );
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return bad("is an IPv6 address without a port", bracketed(text));
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => Self::bracketed(text, rest)?,
            None => Self::named(text)?,
        };
        let port = match port.parse::<u16>() {
            Ok(0) => {
                return bad("has port 0, where nothing listens", "ports are 1 to 65535");
            }
            // Rust would also accept `+80`.
            Ok(value) if port.bytes().all(|byte| byte.is_ascii_digit()) => value,
            _ => return bad("has an impossible port", "ports are 1 to 65535"),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }

    /// Reads the text after the opening bracket.
    fn bracketed<'a>(text: &str, rest: &'a str) -> Result<(&'a str, &'a str), BadAddress> {
        let Some((host, port)) = rest.split_once(']') else {
            return bad(
                "has a `[` without its `]`",
                format!("did you mean `{text}]:PORT`?"),
            );
        };
        if host.parse::<Ipv6Addr>().is_err() {
            return bad(
                "has no IPv6 address between its brackets",
                "brackets stand around an IPv6 address alone: `[::1]:6379`",
            );
        }
        match port.strip_prefix(':') {
            Some(port) if !port.is_empty() => Ok((host, port)),
            _ => bad("has no port", format!("did you mean `[{host}]:PORT`?")),
        }
    }

    fn named(text: &str) -> Result<(&str, &str), BadAddress> {
        let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| !port.is_empty()) else {
            let host = text.trim_end_matches(':');
            return bad("has no port", format!("did you mean `{host}:PORT`?"));
        };
        if host.is_empty() {
            return bad("has no host", format!("did you mean `localhost:{port}`?"));
        }
        if host.parse::<Ipv6Addr>().is_ok() {
            return bad(
                "has an IPv6 address without brackets",
                format!("did you mean `[{host}]:{port}`?"),
            );
        }
        if let Some(wrong) = host
            .chars()
            .find(|c| !c.is_alphanumeric() && !matches!(c, '.' | '-' | '_'))
        {
            let shown = wrong.escape_debug();
            return bad(format!("has a `{shown}` in it, which no host has"), EXAMPLE);
        }
        Ok((host, port))
    }
}

fn bracketed(text: &str) -> String {
    match text.rsplit_once(':') {
        Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() && port.parse::<u16>().is_ok() => {
            format!("did you mean `[{host}]:{port}` or `[{text}]:PORT`?")
        }
        _ => format!("did you mean `[{text}]:PORT`?"),
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HostPort;

    #[test]
    fn hosts_with_ports() {
        let check = |text: &str, expected: &str| {
            let found = match HostPort::parse(text) {
                Ok(parsed) => parsed.to_string(),
                Err(bad) => format!("{} | {}", bad.reason, bad.hint),
            };
            assert_eq!(found, expected, "{text}");
        };
        for (text, expected) in [
            ("localhost:6379", "localhost:6379"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("db_1.internal:65535", "db_1.internal:65535"),
            ("[::1]:6379", "[::1]:6379"),
            (
                "",
                "is empty | for example `localhost:6379` or `[::1]:6379`",
            ),
            ("localhost", "has no port | did you mean `localhost:PORT`?"),
            ("localhost:", "has no port | did you mean `localhost:PORT`?"),
            (
                "6379",
                "is a port without its host | did you mean `localhost:6379`?",
            ),
            (":6379", "has no host | did you mean `localhost:6379`?"),
            (
                "localhost:0",
                "has port 0, where nothing listens | ports are 1 to 65535",
            ),
            (
                "localhost:70000",
                "has an impossible port | ports are 1 to 65535",
            ),
            (
                "localhost:+80",
                "has an impossible port | ports are 1 to 65535",
            ),
            (
                "localhost:http",
                "has an impossible port | ports are 1 to 65535",
            ),
            (
                "local host:80",
                "has a space in it | did you mean `localhost:80`?",
            ),
            (
                "local/host:80",
                "has a `/` in it, which no host has | for example `localhost:6379` or `[::1]:6379`",
            ),
            (
                "tcp://localhost:6379/",
                "has a scheme, which a connection has no use for | did you mean `localhost:6379`?",
            ),
            (
                "http://localhost:80",
                "has a scheme, which a connection has no use for | ask it by HTTP (`http: http://localhost:80`), or write `localhost:80`",
            ),
            (
                "::1:6379",
                "is an IPv6 address without a port | did you mean `[::1]:6379` or `[::1:6379]:PORT`?",
            ),
            (
                "::1",
                "is an IPv6 address without a port | did you mean `[::1]:PORT`?",
            ),
            (
                "::1:70000",
                "has an IPv6 address without brackets | did you mean `[::1]:70000`?",
            ),
            ("[::1]", "has no port | did you mean `[::1]:PORT`?"),
            (
                "[::1",
                "has a `[` without its `]` | did you mean `[::1]:PORT`?",
            ),
            (
                "[localhost]:80",
                "has no IPv6 address between its brackets | brackets stand around an IPv6 address alone: `[::1]:6379`",
            ),
        ] {
            check(text, expected);
        }
    }
}
