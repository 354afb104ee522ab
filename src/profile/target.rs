//! HTTP addresses: URLs and socket files as people write them.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use crate::text::nearest;
use crate::yaml::is_secret_name;

/// The address of an HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The URL; for a unix socket `http://localhost/…` with the path of the request.
    pub url: Url,
    /// The socket file, for `unix://`.
    pub socket: Option<PathBuf>,
}

/// A mistake in an address: the reason, to be written after its text, and a hint with what was probably meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadAddress {
    /// The reason, such as `has no scheme`.
    pub reason: String,
    /// The hint, such as ``did you mean `http://localhost:8000`?``.
    pub hint: String,
}

pub(super) fn bad<T>(reason: impl Into<String>, hint: impl Into<String>) -> Result<T, BadAddress> {
    Err(BadAddress {
        reason: reason.into(),
        hint: hint.into(),
    })
}

const EXAMPLE: &str = "an address looks like `http://localhost:8000` or `unix:///run/api.sock`";

/// The longest path that a socket address holds on Linux.
const SOCKET_PATH: usize = 107;

impl Default for Target {
    fn default() -> Self {
        Self::new(unix_url())
    }
}

impl Target {
    pub(crate) const fn new(url: Url) -> Self {
        Self { url, socket: None }
    }

    /// Reads `http://…`, `https://…` or `unix:///…`.
    ///
    /// # Errors
    ///
    /// Returns the mistake. The URL parser tolerates much (no slashes, three of them, spaces); here that would be a typing
    /// mistake, and the wrong address would be probed.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        check_spaces(text, EXAMPLE)?;
        if text.chars().any(char::is_control) || text.contains('\\') {
            return bad("has a character that no address has", EXAMPLE);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(without_slashes(text));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => Self::parse_http(text, scheme, rest),
            "unix" => Self::parse_unix(rest),
            _ => {
                let near = nearest(scheme, ["http", "https", "unix"]);
                let hint = near.map_or_else(
                    || "known are `http`, `https` and `unix`".to_owned(),
                    |near| format!("did you mean `{near}://{rest}`?"),
                );
                bad(format!("has the unknown scheme `{scheme}`"), hint)
            }
        }
    }

    fn parse_http(text: &str, scheme: &str, rest: &str) -> Result<Self, BadAddress> {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        if host.matches(':').count() > 1 && !host.starts_with('[') {
            return bad(
                "has an IPv6 address without its brackets",
                "an IPv6 address stands in brackets: `http://[::1]:8000`",
            );
        }
        if host.is_empty() || host.starts_with(':') {
            return bad(
                "has no host",
                format!("for example `{scheme}://localhost:8000`"),
            );
        }
        check_fragment(rest)?;
        let url = Url::parse(text).or_else(|error| match error {
            url::ParseError::InvalidPort => bad("has an impossible port", "ports are 1 to 65535"),
            url::ParseError::EmptyHost => bad("has no host", EXAMPLE),
            url::ParseError::InvalidIpv6Address => bad(
                "has a broken IPv6 address",
                "an IPv6 address stands in brackets: `http://[::1]:8000`",
            ),
            error => bad(format!("is not an address: {error}"), EXAMPLE),
        })?;
        if url.port() == Some(0) {
            return bad("has port 0, where nothing listens", "ports are 1 to 65535");
        }
        Ok(Self { url, socket: None })
    }

    fn parse_unix(rest: &str) -> Result<Self, BadAddress> {
        // `unix:///run/api.sock:/base`, as it is shown.
        let (path, base) = rest.split_once(":/").unwrap_or((rest, ""));
        if !path.starts_with('/') {
            return bad(
                "names a socket without its full path",
                format!("did you mean `unix:///{}`?", path.trim_start_matches("./")),
            );
        }
        if path.ends_with('/') {
            return bad(
                "names a directory",
                "a socket is a file: `unix:///run/api.sock`",
            );
        }
        if path.len() > SOCKET_PATH {
            return bad(
                format!("is longer than the {SOCKET_PATH} bytes that a socket path may have"),
                "use a shorter path, or a symbolic link",
            );
        }
        let target = Self {
            url: unix_url(),
            socket: Some(PathBuf::from(path)),
        };
        target.append(&format!("/{base}"))
    }

    /// Appends a path (and a query) to the path of the address. An empty path changes nothing.
    ///
    /// # Errors
    ///
    /// Returns the mistake that [`check_path`] finds, or that the address has a query, which cannot be before a path.
    pub fn append(&self, path: &str) -> Result<Self, BadAddress> {
        if path.is_empty() {
            return Ok(self.clone());
        }
        check_path(path)?;
        if self.url.query().is_some() {
            return bad(
                "is appended to a `url` that ends in a query",
                "move the query from `url` to the end of this path",
            );
        }
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(p, q)| (p, Some(q)));
        let mut target = self.clone();
        let base = self.url.path().trim_end_matches('/');
        target.url.set_path(&format!("{base}{path}"));
        target.url.set_query(query);
        Ok(target)
    }

    /// Returns whether both addresses have the same host, so that credentials for one may be sent to the other.
    pub fn same_host(&self, other: &Self) -> bool {
        self.socket == other.socket && self.url.host_str() == other.url.host_str()
    }

    /// Returns whether the address has a password in it.
    pub fn has_password(&self) -> bool {
        self.url
            .password()
            .is_some_and(|password| !password.is_empty())
    }
}

/// Returns the URL of all sockets: `set_path` needs an `http` URL with a host.
fn unix_url() -> Url {
    const URL: &str = "http://localhost/";
    Url::parse(URL).unwrap_or_else(|_| unreachable!("`{URL}` is a URL"))
}

/// Checks a path that is appended to an address: `/ready`, `/ready?detailed=true`.
///
/// # Errors
///
/// Returns the mistake in the path.
pub fn check_path(path: &str) -> Result<(), BadAddress> {
    if path.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let joined = path.split_whitespace().collect::<Vec<_>>().join("%20");
        return bad("has a space in it", format!("write `{joined}`"));
    }
    check_fragment(path)?;
    if !path.starts_with('/') {
        return bad(
            "is neither a path nor an address",
            format!("did you mean `/{path}`?"),
        );
    }
    Ok(())
}

fn check_fragment(text: &str) -> Result<(), BadAddress> {
    if text.contains('#') {
        return bad(
            "has a fragment (`#…`), which is never sent",
            "take it out, or write `%23` for a `#` in a path",
        );
    }
    Ok(())
}

/// Checks that an address of HTTP or TCP is neither empty nor has spaces in it.
pub(super) fn check_spaces(text: &str, example: &str) -> Result<(), BadAddress> {
    if text.is_empty() {
        return bad("is empty", example);
    }
    if text.chars().any(char::is_whitespace) {
        let joined: String = text.split_whitespace().collect();
        return bad("has a space in it", format!("did you mean `{joined}`?"));
    }
    Ok(())
}

fn without_slashes(text: &str) -> BadAddress {
    let (first, rest) = text.split_once(':').unwrap_or((text, ""));
    let (reason, hint) = match first.to_ascii_lowercase().as_str() {
        scheme @ ("http" | "https") => (
            "has no `//` behind its scheme",
            format!(
                "did you mean `{scheme}://{}`?",
                rest.trim_start_matches('/')
            ),
        ),
        "unix" => (
            "has no `//` behind its scheme",
            format!("did you mean `unix:///{}`?", rest.trim_start_matches('/')),
        ),
        _ if text.starts_with('/') => (
            "has no scheme",
            format!("for a socket write `unix://{text}`"),
        ),
        _ => ("has no scheme", format!("did you mean `http://{text}`?")),
    };
    BadAddress {
        reason: reason.to_owned(),
        hint,
    }
}

/// Returns the URL with a password masked.
pub(crate) fn mask_password(mut url: Url) -> Url {
    if url.password().is_some() {
        // A URL without a host has no password either, so this cannot fail.
        let _ = url.set_password(Some("***"));
    }
    url
}

impl fmt::Display for Target {
    /// Writes the URL with passwords masked, or `unix:///run/x.sock` with the path of the request after a colon.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = mask_password(self.url.clone());
        if let Some(query) = self.url.query() {
            shown.set_query(Some(&masked(query)));
        }
        let bare = shown.path() == "/" && shown.query().is_none() && shown.fragment().is_none();
        if let Some(socket) = &self.socket {
            write!(f, "unix://{}", socket.display())?;
            if !bare {
                let query = shown.query().map(|query| format!("?{query}"));
                write!(f, ":{}{}", shown.path(), query.unwrap_or_default())?;
            }
            return Ok(());
        }
        let text = shown.as_str();
        // `http://host:80/` is usually written without its slash.
        f.write_str(if bare {
            text.trim_end_matches('/')
        } else {
            text
        })
    }
}

/// Redactions the values of `token=` and similar keys in a query.
fn masked(query: &str) -> String {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if !value.is_empty() && is_secret_name(name) => {
            format!("{name}=***")
        }
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::Target;

    fn show(result: Result<Target, super::BadAddress>) -> String {
        match result {
            Ok(target) => target.to_string(),
            Err(bad) => format!("{} | {}", bad.reason, bad.hint),
        }
    }

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("http://localhost:8000", "http://localhost:8000"),
            ("http://localhost:8000/", "http://localhost:8000"),
            ("https://Example.COM/a/", "https://example.com/a/"),
            ("http://[::1]:80/x", "http://[::1]/x"),
            ("http://me:pw@h/x", "http://me:***@h/x"),
            ("http://h/x?a=1&token=abc", "http://h/x?a=1&token=***"),
            ("unix:///run/api.sock", "unix:///run/api.sock"),
            ("unix:///run/api.sock:/v1", "unix:///run/api.sock:/v1"),
            (
                "",
                "is empty | an address looks like `http://localhost:8000` or `unix:///run/api.sock`",
            ),
            (
                "localhost:8000",
                "has no scheme | did you mean `http://localhost:8000`?",
            ),
            (
                "localhost",
                "has no scheme | did you mean `http://localhost`?",
            ),
            (
                "/run/api.sock",
                "has no scheme | for a socket write `unix:///run/api.sock`",
            ),
            (
                "http:/localhost",
                "has no `//` behind its scheme | did you mean `http://localhost`?",
            ),
            (
                "unix:/run/a.sock",
                "has no `//` behind its scheme | did you mean `unix:///run/a.sock`?",
            ),
            (
                "htp://localhost",
                "has the unknown scheme `htp` | did you mean `http://localhost`?",
            ),
            ("HTTP://localhost", "http://localhost"),
            (
                "ftp://localhost",
                "has the unknown scheme `ftp` | known are `http`, `https` and `unix`",
            ),
            (
                "grpc://localhost",
                "has the unknown scheme `grpc` | known are `http`, `https` and `unix`",
            ),
            (
                "http://",
                "has no host | for example `http://localhost:8000`",
            ),
            (
                "http:///x",
                "has no host | for example `http://localhost:8000`",
            ),
            (
                "http://:80/x",
                "has no host | for example `http://localhost:8000`",
            ),
            (
                "http://h:99999",
                "has an impossible port | ports are 1 to 65535",
            ),
            (
                "http://h:http",
                "has an impossible port | ports are 1 to 65535",
            ),
            (
                "http://h:0",
                "has port 0, where nothing listens | ports are 1 to 65535",
            ),
            (
                "http://::1:80",
                "has an IPv6 address without its brackets | an IPv6 address stands in brackets: `http://[::1]:8000`",
            ),
            (
                "http://my host",
                "has a space in it | did you mean `http://myhost`?",
            ),
            (" http://h", "has a space in it | did you mean `http://h`?"),
            (
                "http://h/#x",
                "has a fragment (`#…`), which is never sent | take it out, or write `%23` for a `#` in a path",
            ),
            (
                "unix://run/api.sock",
                "names a socket without its full path | did you mean `unix:///run/api.sock`?",
            ),
            (
                "unix:///run/",
                "names a directory | a socket is a file: `unix:///run/api.sock`",
            ),
        ] {
            assert_eq!(show(Target::parse(text)), expected, "{text}");
        }
    }

    #[test]
    fn paths_are_appended() {
        for (base, path, expected) in [
            ("http://h", "/ready", "http://h/ready"),
            ("http://h/", "/ready", "http://h/ready"),
            ("http://h/base/", "/ready", "http://h/base/ready"),
            ("http://h/base", "", "http://h/base"),
            ("http://h/base?x=1", "", "http://h/base?x=1"),
            (
                "http://h",
                "/ready?detailed=true",
                "http://h/ready?detailed=true",
            ),
            ("http://h", "//evil.com/x", "http://h//evil.com/x"),
            (
                "unix:///run/a.sock",
                "/ready?a=1",
                "unix:///run/a.sock:/ready?a=1",
            ),
            (
                "unix:///run/a.sock:/v1",
                "/ready",
                "unix:///run/a.sock:/v1/ready",
            ),
            (
                "http://h",
                "ready",
                "is neither a path nor an address | did you mean `/ready`?",
            ),
            ("http://h", "/a b", "has a space in it | write `/a%20b`"),
            (
                "http://h?x=1",
                "/ready",
                "is appended to a `url` that ends in a query | move the query from `url` to the end of this path",
            ),
        ] {
            let base = Target::parse(base).unwrap();
            assert_eq!(show(base.append(path)), expected, "{base} {path}");
        }
    }

    #[test]
    fn socket_paths_have_a_longest() {
        let text = format!("unix:///{}", "x".repeat(107));
        assert!(show(Target::parse(&text)).contains("longer than the 107 bytes"));
    }
}
