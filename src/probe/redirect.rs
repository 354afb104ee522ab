//! The rule for redirects: never to another scheme, never to another host with credentials, at most ten, no loop.
//! Pure.

use url::Url;

use crate::profile::mask_password;

/// The number of redirects that are followed.
const MOST: usize = 10;

/// The request that was redirected.
#[derive(Debug)]
pub(super) struct RedirectRule<'a> {
    /// The URLs requested so far, the newest last; at least one.
    pub(super) asked: &'a [Url],
    /// The method: only a request that changes nothing is repeated elsewhere.
    pub(super) method: &'a str,
    pub(super) credentials: bool,
    /// True for a request to a socket file, which has no other hosts.
    pub(super) socket: bool,
}

/// The target of a redirect.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RedirectTarget {
    pub(super) url: Url,
    /// True for another host or port, which must not get the headers of the first one.
    pub(super) elsewhere: bool,
}

/// Returns whether the code is a redirect; 304 and 300 are none.
pub(super) const fn is_redirect(code: u16) -> bool {
    matches!(code, 301 | 302 | 303 | 307 | 308)
}

/// Returns whether a request may be sent twice, because it changes nothing.
pub(super) fn repeatable(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

impl RedirectRule<'_> {
    /// Returns the target of a redirect, or the reason why it is not followed.
    pub(super) fn next(&self, code: u16, location: Option<&str>) -> Result<RedirectTarget, String> {
        let location =
            location.ok_or_else(|| format!("redirects ({code}) to nowhere: no Location"))?;
        let (Some(first), Some(current)) = (self.asked.first(), self.asked.last()) else {
            return Err("redirects before anything was asked".to_owned());
        };
        let mut url = current.join(location).map_err(|error| {
            format!("redirects ({code}) to {location:?}, which is no URL: {error}")
        })?;
        url.set_fragment(None);
        let shown = mask_password(url.clone());
        let refused = |why: &str| Err(format!("redirects ({code}) to {shown}, {why}"));
        if !repeatable(self.method) {
            return refused(&format!("and a {} is not sent twice", self.method));
        }
        if url.scheme() != current.scheme() {
            return refused("another scheme: not followed");
        }
        let elsewhere = url.host() != first.host()
            || url.port_or_known_default() != first.port_or_known_default();
        if elsewhere && self.socket {
            return refused("another host than the socket's: not followed");
        }
        if elsewhere && self.credentials {
            return refused("another host: not followed with credentials");
        }
        if self.asked.contains(&url) {
            return refused("a loop");
        }
        if self.asked.len() > MOST {
            return refused(&format!("the redirect after {MOST} others: not followed"));
        }
        Ok(RedirectTarget { url, elsewhere })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        asked: &[&str],
        credentials: bool,
        location: Option<&str>,
        expected: Result<(&str, bool), &str>,
    ) {
        let asked: Vec<Url> = asked.iter().map(|url| url.parse().unwrap()).collect();
        let rule = RedirectRule {
            asked: &asked,
            method: "GET",
            credentials,
            socket: false,
        };
        let given = rule.next(302, location);
        match expected {
            Ok((url, elsewhere)) => {
                let next = given.unwrap();
                assert_eq!((next.url.as_str(), next.elsewhere), (url, elsewhere));
            }
            Err(words) => assert_eq!(given.unwrap_err(), words),
        }
    }

    #[test]
    fn where_a_redirect_leads() {
        let from = &["http://a:80/x/y"][..];
        check(from, true, Some("/z"), Ok(("http://a/z", false)));
        check(from, true, Some("z?q#f"), Ok(("http://a/x/z?q", false)));
        check(from, false, Some("http://b/"), Ok(("http://b/", true)));
        check(from, false, Some("//b:1/"), Ok(("http://b:1/", true)));
        check(
            from,
            false,
            Some("http://a:8080/"),
            Ok(("http://a:8080/", true)),
        );
    }

    #[test]
    fn what_is_not_followed() {
        let from = &["http://a/x"][..];
        check(
            from,
            false,
            None,
            Err("redirects (302) to nowhere: no Location"),
        );
        check(
            from,
            true,
            Some("http://b/"),
            Err("redirects (302) to http://b/, another host: not followed with credentials"),
        );
        check(
            from,
            true,
            Some("http://a:81/"),
            Err("redirects (302) to http://a:81/, another host: not followed with credentials"),
        );
        check(
            from,
            false,
            Some("https://a/"),
            Err("redirects (302) to https://a/, another scheme: not followed"),
        );
        check(
            from,
            false,
            Some("file:///etc/passwd"),
            Err("redirects (302) to file:///etc/passwd, another scheme: not followed"),
        );
        check(
            from,
            false,
            Some("/x"),
            Err("redirects (302) to http://a/x, a loop"),
        );
        check(
            from,
            false,
            Some("http://u:p@["),
            Err("redirects (302) to \"http://u:p@[\", which is no URL: invalid IPv6 address"),
        );
        check(
            &["http://a/1", "http://a/2"],
            false,
            Some("/1"),
            Err("redirects (302) to http://a/1, a loop"),
        );
        let many: Vec<String> = (0..=10).map(|n| format!("http://a/{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        check(
            &many,
            false,
            Some("/new"),
            Err("redirects (302) to http://a/new, the redirect after 10 others: not followed"),
        );
    }

    #[test]
    fn only_what_changes_nothing_is_repeated() {
        let asked = ["http://a/x".parse().unwrap()];
        let rule = RedirectRule {
            asked: &asked,
            method: "POST",
            credentials: false,
            socket: false,
        };
        assert_eq!(
            rule.next(307, Some("/y")).unwrap_err(),
            "redirects (307) to http://a/y, and a POST is not sent twice"
        );
    }

    #[test]
    fn a_socket_has_no_other_hosts() {
        let asked = ["http://localhost/x".parse().unwrap()];
        let rule = RedirectRule {
            asked: &asked,
            method: "GET",
            credentials: false,
            socket: true,
        };
        assert!(rule.next(302, Some("/y")).is_ok());
        assert_eq!(
            rule.next(302, Some("http://example/y")).unwrap_err(),
            "redirects (302) to http://example/y, another host than the socket's: not followed"
        );
    }
}
