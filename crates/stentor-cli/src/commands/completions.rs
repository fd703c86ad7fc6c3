//! `stentor completions`.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::{Arguments, failure::Failure, terminal::print};

pub(super) const EXAMPLES: &str = "\
Install, then open a new shell:
  bash        stentor completions bash > ~/.local/share/bash-completion/completions/stentor
  zsh         stentor completions zsh > ~/.zfunc/_stentor
              (with `fpath+=~/.zfunc; autoload -Uz compinit; compinit` in ~/.zshrc)
  fish        stentor completions fish > ~/.config/fish/completions/stentor.fish
  powershell  stentor completions powershell >> $PROFILE
  elvish      stentor completions elvish >> ~/.config/elvish/rc.elv

Create the folder first where it does not exist.";

/// Prints a completion script.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell that is to complete
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut Arguments::command(), "stentor", &mut script);
        print(String::from_utf8_lossy(&script).trim_end())?;
        Ok(())
    }
}
