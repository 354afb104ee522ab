//! What the kernel or an interpreter would say only once a program runs: the interpreter of a script is missing, or the
//! script that an interpreter is to run.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The length up to which the kernel reads the first line of a script.
const LINE: u64 = 256;

/// Says which interpreter the first line of a script names that cannot be run; `is_command` tells whether `PATH` has a
/// command. `None` where nothing is missing, or the file is no script.
pub(super) fn missing_interpreter(
    file: &Path,
    is_command: impl Fn(&str) -> bool,
) -> Option<String> {
    let mut head = Vec::new();
    File::open(file)
        .ok()?
        .take(LINE)
        .read_to_end(&mut head)
        .ok()?;
    let head = String::from_utf8_lossy(&head);
    let mut words = head.lines().next()?.strip_prefix("#!")?.split_whitespace();
    let interpreter = Path::new(words.next()?);
    if interpreter.is_absolute() && !interpreter.exists() {
        return Some(format!(
            "its interpreter {} does not exist",
            interpreter.display()
        ));
    }
    let is_env = interpreter.file_name().is_some_and(|name| name == "env");
    let named = words.find(|word| !word.starts_with('-') && !word.contains('='));
    let command = named.filter(|command| is_env && !command.contains('/'))?;
    (!is_command(command)).then(|| {
        format!("its interpreter {command} does not exist: there is no such command in PATH")
    })
}

/// Says which script is missing that the interpreter in front of a command is to run in the directory `cwd`; `None` where
/// none is, or where it cannot be told which word names it.
pub(super) fn missing_script(command: &[String], cwd: &Path) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let program = Path::new(program).file_name()?.to_str()?;
    let program = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let (flags, endings): (&[&str], &[&str]) = match program {
        "python" | "pypy" => (&["-u", "-B", "-E", "-I", "-O", "-s", "-S", "-P"], &[]),
        "node" | "nodejs" => (&[], &[".js", ".mjs", ".cjs", ".ts"]),
        "ruby" => (&[], &[".rb"]),
        "perl" => (&[], &[".pl"]),
        "php" => (&[], &[".php"]),
        "sh" | "bash" | "dash" | "zsh" => (&["-e", "-u", "-x", "-eu"], &[".sh"]),
        _ => return None,
    };
    let script = arguments
        .iter()
        .find(|word| !flags.contains(&word.as_str()))?;
    let is_named = endings.is_empty() || endings.iter().any(|ending| script.ends_with(ending));
    if script.starts_with('-') || !is_named || cwd.join(script).exists() {
        return None;
    }
    Some(format!("there is no file {}", cwd.join(script).display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_names_its_interpreter() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x");
        for (first_line, expected) in [
            ("#!/bin/sh\n", None),
            ("#! /bin/sh -eu\n", None),
            ("#!/usr/bin/nosuch\n", Some("/usr/bin/nosuch")),
            ("#!/usr/bin/nosuch -x", Some("/usr/bin/nosuch")),
            ("#!/usr/bin/env python3\n", None),
            ("#!/usr/bin/env nosuch\n", Some("nosuch")),
            ("#!/usr/bin/env -S A=1 nosuch -u\n", Some("nosuch")),
            ("\u{7f}ELF", None),
            ("", None),
            ("#!", None),
        ] {
            std::fs::write(&file, first_line).unwrap();
            let found = missing_interpreter(&file, |command| command == "python3");
            let named = expected.map(|name| format!("its interpreter {name} does not exist"));
            let fits = match (&found, &named) {
                (Some(found), Some(named)) => found.starts_with(named.as_str()),
                (None, None) => true,
                _ => false,
            };
            assert!(fits, "{first_line:?}: {found:?}");
        }
    }

    #[test]
    fn an_interpreter_needs_its_script() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("there.py"), "").unwrap();
        for (command, missing) in [
            ("python3 there.py", false),
            ("python3 gone.py 8000", true),
            ("/usr/bin/python3.12 -u gone.py", true),
            ("python3 -m gone", false),
            ("python3 -X dev gone.py", false),
            ("node gone.js", true),
            ("node gone", false),
            ("node --watch gone.js", false),
            ("sh ./gone.sh", true),
            ("sh -c gone.sh", false),
            ("sh gone", false),
            ("api gone.py", false),
            ("python3", false),
        ] {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            let found = missing_script(&words, directory.path());
            assert_eq!(found.is_some(), missing, "{command}: {found:?}");
        }
    }
}
