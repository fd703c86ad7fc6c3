//! `stentor completions`.

use std::process::Command;

use crate::program::{Folder, Ran};

/// What bash calls `complete -F` with, for somebody who pressed the tabulator after `stentor comp`.
const TAB: &str = "source ./stentor.bash
COMP_WORDS=(stentor comp) COMP_CWORD=1
_stentor stentor comp stentor
printf '%s\\n' \"${COMPREPLY[@]}\"";

#[test]
fn bash_completes_a_command_with_the_script() {
    let folder = Folder::new();
    let script = folder.run(&["completions", "bash"]);
    std::fs::write(folder.path().join("stentor.bash"), script.printed()).expect("it can be written");
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-euc", TAB]).current_dir(folder.path());
    assert_eq!(Ran::of(bash).printed(), "completions\n");
}

#[test]
fn every_shell_has_a_script_that_knows_the_commands() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = folder.run(&["completions", shell]);
        assert!(script.printed().contains("check"), "{shell}");
    }
}
