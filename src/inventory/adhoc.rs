//! One service from what was typed, without an inventory: `check --url URL --profile P`, `--tcp`, `--cmd`.

use std::path::Path;
use std::sync::Arc;

use crate::profile::raw::read::is_name;
use crate::profile::setting::Spanned;
use crate::profile::{HostPort, Target};
use crate::yaml::{Entry, Node, Place, Problem, Problems, SourceFile, Style, Value};

use super::environment::Environment;
use super::load::{LoadedInventory, resolve_all};
use super::profiles::ProfileLoader;
use super::raw::{RawInventory, RawService};

/// The target of a service that was typed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AdHocTarget<'a> {
    Url(&'a str),
    Tcp(&'a str),
    Command(&'a str),
}

/// The profile of a URL without `--profile`.
const PLAIN: &str = "http";

/// The name of the probe of a service without a profile.
const PROBE: &str = "live";

/// Returns an inventory of the service that was typed: its target, its profile (`http` where that was left out), and its
/// settings, by their keys. Each text is read as it would be read in an inventory.
///
/// # Errors
///
/// Every mistake in what was typed.
pub(crate) fn adhoc(
    target: AdHocTarget<'_>,
    profile: Option<&str>,
    settings: &[(&'static str, &str)],
    environment: &Environment<'_>,
) -> Result<LoadedInventory, Problems> {
    let mut problems = Problems::default();
    let (flag, text, question) = match target {
        AdHocTarget::Url(url) => ("--url", url, Some(("url", Node::argument("--url", url)))),
        AdHocTarget::Tcp(address) => {
            let node = Node::argument("--tcp", address);
            ("--tcp", address, Some(("probes", probe("tcp", node))))
        }
        AdHocTarget::Command(command) => {
            let words = words(command, &mut problems);
            let probe = words.map(|words| ("probes", probe("exec", words)));
            ("--cmd", command, probe)
        }
    };
    let Some(question) = question else {
        return Err(problems);
    };
    let is_url = matches!(target, AdHocTarget::Url(_));
    let profile = profile.or(is_url.then_some(PLAIN));
    let profile_setting = profile.map(|profile| ("profile", profile));
    let settings = profile_setting.into_iter().chain(settings.iter().copied());
    let settings = settings.map(|(key, text)| {
        let flag = format!("--{}", key.replace('_', "-"));
        (key, Node::argument(&flag, text))
    });
    let mut profiles = ProfileLoader::new(&[], true, environment);
    let mut plain = None;
    if let (AdHocTarget::Url(url), Some(profile)) = (target, profile) {
        let node = Node::argument("--profile", profile);
        let profile = Spanned::new(profile.to_owned(), &node);
        // A profile without probes is for those of an inventory; here the address itself is the probe.
        if !profiles.has_probes(&profile, &mut problems) {
            let nothing = map(std::iter::empty(), &Node::argument("--url", url).place);
            plain = Some(("probes", probe("http", nothing)));
        }
    }
    let place = Place::whole(&Arc::new(SourceFile::new(flag, text)));
    let service = Entry {
        key: name(target),
        key_place: place.clone(),
        value: map(settings.chain([question]).chain(plain), &place),
    };
    let raw = RawInventory {
        services: RawService::read(&service, &mut problems)
            .into_iter()
            .collect(),
        ..RawInventory::default()
    };
    let loaded = resolve_all(raw, profiles, &mut problems);
    // Warnings are for files that others read.
    problems.list.retain(|problem| !problem.warning);
    if problems.has_errors() {
        return Err(problems);
    }
    if loaded.inventory.services.is_empty() {
        return Err(Problem::general("nothing to ask").into());
    }
    Ok(loaded)
}

fn map<'a>(entries: impl Iterator<Item = (&'a str, Node)>, place: &Place) -> Node {
    let entries = entries.map(|(key, value)| Entry {
        key: key.to_owned(),
        key_place: place.clone(),
        value,
    });
    Node::new(Value::Map(entries.collect()), place.clone(), Style::Plain)
}

/// Returns the map of probes `{live: {KIND: …}}`.
fn probe(kind: &str, question: Node) -> Node {
    let place = question.place.clone();
    let probe = map([(kind, question)].into_iter(), &place);
    map([(PROBE, probe)].into_iter(), &place)
}

/// Splits and unquotes the words of a command as a shell would, and does nothing else that a shell does.
fn words(command: &str, problems: &mut Problems) -> Option<Node> {
    let whole = Node::argument("--cmd", command);
    let Some(words) = shlex::split(command) else {
        let message = "a quote that is never closed, or nothing behind a `\\`";
        return Problem::at(&whole.place, message)
            .label("expected a command as a shell would read it")
            .hint("quote its words inside the quotes around it: `--cmd 'grep \"two words\" file'`")
            .reject(problems);
    };
    if let Some(operator) = operator(command) {
        return Problem::at(&whole.place, format!("`{operator}` means something to a shell only, and none is run here"))
                .label("expected a program and its arguments")
                .hint("let a shell read it: `--cmd \"sh -c '…'\"`; where it is an argument, quote it once more: `';'`").reject(problems);
    }
    let words = words
        .into_iter()
        .map(|word| Node::new(Value::Text(word), whole.place.clone(), Style::Quoted));
    Some(Node {
        value: Value::List(words.collect()),
        ..whole
    })
}

/// Returns the operator with which a shell would run more than one command or redirect the output: passed on as an
/// argument it could make a check pass that was meant to fail.
fn operator(command: &str) -> Option<&str> {
    let mut quote = None;
    let mut letters = command.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (None | Some('"'), '\\') => {
                letters.next();
            }
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, ';' | '|' | '<' | '>') => return command.get(at..=at),
            // Inside a word it belongs to a URL.
            (None, '&') if ends_a_word(command, at) => return command.get(at..=at),
            _ => {}
        }
    }
    None
}

/// Returns whether an `&`, or a row of them, is at an end of its word.
fn ends_a_word(command: &str, at: usize) -> bool {
    let (before, after) = command.split_at(at);
    let before = before.trim_end_matches('&').chars().next_back();
    let after = after.trim_start_matches('&').chars().next();
    [before, after]
        .into_iter()
        .any(|next| next.is_none_or(char::is_whitespace))
}

/// Returns a name for the target: `localhost-8000`, `api.sock`, `pg_isready`.
fn name(target: AdHocTarget<'_>) -> String {
    let text = match target {
        AdHocTarget::Url(url) => of_url(url),
        AdHocTarget::Tcp(address) => HostPort::parse(address)
            .ok()
            .map(|to| format!("{}-{}", to.host, to.port)),
        AdHocTarget::Command(command) => shlex::split(command)
            .and_then(|words| words.into_iter().next())
            .map(|program| file_name(Path::new(&program))),
    };
    let is_invalid = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-');
    let name = text.unwrap_or_default().replace(is_invalid, "-");
    let name = name.trim_start_matches(['.', '_', '-']);
    let name: String = name.chars().take(63).collect();
    if is_name(&name) {
        return name;
    }
    match target {
        AdHocTarget::Url(_) => PLAIN,
        AdHocTarget::Tcp(_) => "tcp",
        AdHocTarget::Command(_) => "command",
    }
    .to_owned()
}

fn of_url(url: &str) -> Option<String> {
    let target = Target::parse(url).ok()?;
    if let Some(socket) = &target.socket {
        return Some(file_name(socket));
    }
    let host = target.url.host_str()?.trim_matches(['[', ']']);
    let port = target.url.port().map(|port| format!("-{port}"));
    Some(format!("{host}{}", port.unwrap_or_default()))
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::{AdHocTarget, name, operator, words};
    use crate::yaml::Problems;

    #[test]
    fn each_target_has_a_name() {
        for (target, expected) in [
            (
                AdHocTarget::Url("http://localhost:8000/x"),
                "localhost-8000",
            ),
            (
                AdHocTarget::Url("https://api.example.com"),
                "api.example.com",
            ),
            (AdHocTarget::Url("http://[::1]:80"), "1"),
            (AdHocTarget::Url("http://[fe80::1]:8080"), "fe80--1-8080"),
            (AdHocTarget::Url("unix:///run/api.sock"), "api.sock"),
            (AdHocTarget::Url("localhost"), "http"),
            (AdHocTarget::Tcp("localhost:6379"), "localhost-6379"),
            (AdHocTarget::Tcp("[::1]:6379"), "1-6379"),
            (AdHocTarget::Tcp("6379"), "tcp"),
            (AdHocTarget::Command("/usr/bin/pg_isready -q"), "pg_isready"),
            (AdHocTarget::Command("'my check.sh' x"), "my-check.sh"),
            (AdHocTarget::Command(""), "command"),
            (AdHocTarget::Command("'"), "command"),
        ] {
            assert_eq!(name(target), expected, "{target:?}");
        }
    }

    #[test]
    fn operators_of_a_shell_are_found() {
        for (command, expected) in [
            ("true; false", Some(";")),
            ("a|b", Some("|")),
            ("a > b", Some(">")),
            ("a 2>&1", Some(">")),
            ("a <b", Some("<")),
            ("a && b", Some("&")),
            ("a &&b", Some("&")),
            ("a&", Some("&")),
            ("'it is' ; b", Some(";")),
            ("curl http://h/?a=1&b=2", None),
            ("find . -exec ls {} \\;", None),
            ("grep ';' \"a | b\" 'x > y'", None),
            ("sh -c 'a && b; c'", None),
            (r#"echo "a\" ; b""#, None),
            ("", None),
        ] {
            assert_eq!(operator(command), expected, "{command}");
        }
    }

    #[test]
    fn commands_are_split_as_a_shell_would() {
        for (command, expected) in [
            (
                "pg_isready -h localhost",
                Some(r#"["pg_isready","-h","localhost"]"#),
            ),
            (
                r#"grep "two words" 'it''s' a\ b"#,
                Some(r#"["grep","two words","its","a b"]"#),
            ),
            ("echo $HOME *.c", Some(r#"["echo","$HOME","*.c"]"#)),
            ("echo '|' cat", Some(r#"["echo","|","cat"]"#)),
            ("echo | cat", None),
            ("", Some("[]")),
            ("'open", None),
            ("x \\", None),
        ] {
            let mut problems = Problems::default();
            let found = words(command, &mut problems).map(|node| node.to_json().to_string());
            assert_eq!(found.as_deref(), expected, "{command}");
            assert_eq!(problems.has_errors(), expected.is_none(), "{command}");
        }
    }
}
