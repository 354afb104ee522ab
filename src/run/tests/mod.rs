//! The command line, and the README where it shows the command line.

pub(crate) mod readme;

use super::*;
use clap::Parser;

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_short_name_of_the_inventory_follows_a_log_and_its_long_one_does_not() {
    for (typed, files, follow) in [
        ("healthctl logs -f api", vec![], true),
        ("healthctl logs --file a.yaml api", vec!["a.yaml"], false),
        ("healthctl -f a.yaml logs -f api", vec!["a.yaml"], true),
    ] {
        let cli = Cli::try_parse_from(typed.split(' ')).unwrap();
        let Some(Command::Logs(args)) = cli.command else {
            panic!("{typed}");
        };
        let given: Vec<_> = cli.global.file.iter().map(|file| file.display()).collect();
        let given: Vec<String> = given.iter().map(ToString::to_string).collect();
        assert_eq!(
            (given, args.follow),
            (files.iter().map(ToString::to_string).collect(), follow),
            "{typed}"
        );
    }
}

#[test]
fn flags_of_all_commands_may_stand_before_what_is_done_to_a_demo() {
    for typed in [
        "healthctl demo -f a.yaml break orders database",
        "healthctl -f a.yaml demo break orders database",
        "healthctl demo break -f a.yaml orders database",
        "healthctl demo --color never --file a.yaml mend orders database",
    ] {
        let cli = parse(typed.split(' ').map(OsString::from)).unwrap();
        assert_eq!(cli.global.file, [std::path::Path::new("a.yaml")], "{typed}");
    }
    for typed in [
        "healthctl demo --calm break orders database",
        "healthctl demo -f a.yaml --no-tui mend orders database",
    ] {
        let error = parse(typed.split(' ').map(OsString::from)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{typed}");
    }
    assert!(parse(["healthctl", "demo", "--calm"].map(OsString::from)).is_ok());
}

#[test]
fn every_command_in_the_readme_can_be_typed() {
    let commands: Vec<_> = readme::lines_of("sh")
        .into_iter()
        .filter(|line| line.starts_with("healthctl"))
        .collect();
    assert!(commands.len() > 10, "the README shows the commands");
    for line in commands {
        let words = shlex::split(&line).expect("its quotes are closed");
        let words = words.into_iter().map(OsString::from);
        if let Err(error) = Cli::try_parse_from(attach_wait(words)) {
            panic!("{line}\n{error}");
        }
    }
}

#[test]
fn what_is_no_command_is_told_without_colour_where_none_is_wanted() {
    for (typed, expected) in [
        ("healthctl --color never chek", clap::ColorChoice::Never),
        ("healthctl chek --color=never", clap::ColorChoice::Never),
        ("healthctl --color=always --help", clap::ColorChoice::Always),
        (
            "healthctl --color always --color never chek",
            clap::ColorChoice::Never,
        ),
        ("healthctl chek --color", clap::ColorChoice::Auto),
        ("healthctl chek", clap::ColorChoice::Auto),
    ] {
        let words: Vec<OsString> = typed.split(' ').map(OsString::from).collect();
        assert_eq!(color_typed(&words), expected, "{typed}");
    }
}

#[test]
fn a_duration_behind_wait_belongs_to_it() {
    for (typed, expected) in [
        ("check --wait 30s api", "check --wait=30s api"),
        ("check --wait api", "check --wait api"),
        ("check --wait", "check --wait"),
        ("check --wait 30 api", "check --wait=30 api"),
        ("check --wait=1m api", "check --wait=1m api"),
        ("check --wait --exit-code", "check --wait --exit-code"),
    ] {
        let tied = attach_wait(typed.split(' ').map(OsString::from));
        let expected: Vec<OsString> = expected.split(' ').map(OsString::from).collect();
        assert_eq!(tied, expected, "{typed}");
    }
}
