//! What the program says of itself.

use crate::program::Folder;

#[test]
fn the_version_is_that_of_the_package() {
    let version = format!("stentor {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(Folder::new().run(&["--version"]).printed(), version);
}

#[test]
fn every_command_has_help_with_an_example_or_says_how_it_is_installed() {
    let folder = Folder::new();
    let overview = folder.run(&["--help"]);
    let commands: Vec<&str> = overview
        .printed()
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() >= 4, "{overview:?}");
    for command in commands {
        let help = folder.run(&[command, "--help"]);
        let used = help.printed().matches(&format!("stentor {command}")).count();
        assert!(used >= 2, "the help of {command} shows nothing but its usage: {help:?}");
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let folder = Folder::new();
    for arguments in
        [&["serv"][..], &["serve", "--port", "1"], &["completions", "tcsh"], &["token", "--expires", "1"]]
    {
        folder.run(arguments).failed(2);
    }
}
