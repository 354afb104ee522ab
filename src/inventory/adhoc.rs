//! One service from what was typed, without an inventory: `check --url URL --profile P`.

use std::ffi::OsStr;

use crate::profile::Target;
use crate::profile::raw::is_name;
use crate::yaml::{Entry, Node, Place, Problem, Problems, SourceFile, Style, Value};

use super::library::Library;
use super::{Loaded, Surroundings, load, raw};

/// What was typed, as text: it is read as it would be read in an inventory.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdHoc<'a> {
    /// `--url`
    pub url: &'a str,
    /// `--profile`; `http` where it was left out.
    pub profile: Option<&'a str>,
    /// `--interval`
    pub interval: Option<&'a str>,
    /// `--timeout`
    pub timeout: Option<&'a str>,
    /// `--retries`
    pub retries: Option<&'a str>,
    /// `--start-period`
    pub start_period: Option<&'a str>,
}

/// The profile that is nothing but a URL.
const PLAIN: &str = "http";

/// An inventory of the one service that was typed.
///
/// # Errors
///
/// Every mistake in what was typed.
pub fn adhoc(typed: &AdHoc<'_>, around: &Surroundings<'_>) -> Result<Loaded, Problems> {
    let flags = [
        ("url", "--url", Some(typed.url)),
        ("profile", "--profile", Some(typed.profile.unwrap_or(PLAIN))),
        ("interval", "--interval", typed.interval),
        ("timeout", "--timeout", typed.timeout),
        ("retries", "--retries", typed.retries),
        ("start_period", "--start-period", typed.start_period),
    ];
    let place = Place::whole(&std::sync::Arc::new(SourceFile::new("--url", typed.url)));
    let entries = flags
        .into_iter()
        .filter_map(|(key, flag, text)| {
            Some(Entry {
                key: key.to_owned(),
                key_place: place.clone(),
                value: Node::argument(flag, text?),
            })
        })
        .collect();
    let service = Entry {
        key: name(typed.url),
        key_place: place.clone(),
        value: Node {
            value: Value::Map(entries),
            place,
            style: Style::Plain,
        },
    };
    let mut problems = Problems::default();
    let raw = raw::Inventory {
        services: raw::Service::read(&service, &mut problems)
            .into_iter()
            .collect(),
        ..raw::Inventory::default()
    };
    let library = Library::new(around.directory, true, around);
    let loaded = load::resolve_all(raw, library, around, &mut problems);
    // What is worth a warning in a file that others read is no news to who typed it.
    problems.list.retain(|problem| !problem.warning);
    if problems.has_errors() {
        return Err(problems);
    }
    if loaded.inventory.services.is_empty() {
        return Err(Problem::general("nothing to ask").into());
    }
    Ok(loaded)
}

/// A name for an address: `localhost-8000`, `api.sock`.
fn name(url: &str) -> String {
    let Ok(target) = Target::parse(url) else {
        return PLAIN.to_owned();
    };
    let text = if let Some(socket) = &target.socket {
        let file = socket.file_name().unwrap_or(OsStr::new(PLAIN));
        file.to_string_lossy().into_owned()
    } else {
        let host = target.url.host_str().unwrap_or(PLAIN);
        let host = host.trim_matches(['[', ']']);
        let port = target.url.port().map(|port| format!("-{port}"));
        format!("{host}{}", port.unwrap_or_default())
    };
    let name: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
                c
            } else {
                '-'
            }
        })
        .collect();
    let name: String = name
        .trim_start_matches(['.', '_', '-'])
        .chars()
        .take(63)
        .collect();
    if is_name(&name) {
        name
    } else {
        PLAIN.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn addresses_give_names() {
        for (url, expected) in [
            ("http://localhost:8000/x", "localhost-8000"),
            ("https://api.example.com", "api.example.com"),
            ("http://[::1]:80", "1"),
            ("http://[fe80::1]:8080", "fe80--1-8080"),
            ("unix:///run/api.sock", "api.sock"),
            ("localhost", "http"),
        ] {
            assert_eq!(name(url), expected, "{url}");
        }
    }
}
