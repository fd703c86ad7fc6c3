//! `stentor check`.

use std::error::Error;

use clap::Args;
use stentor::Stentor;

use super::ConfigFile;

/// Checks without starting anything.
#[derive(Args, Debug)]
pub(crate) struct Check {
    #[command(flatten)]
    config: ConfigFile,
}

impl Check {
    #[expect(clippy::print_stdout, reason = "the answer is for the person at the terminal")]
    pub(super) fn run(&self) -> Result<(), Box<dyn Error>> {
        let config = self.config.load()?;
        let schema = config.schema.display().to_string();
        Stentor::builder().config(config).check()?;
        println!("{schema}: the schema and the configuration are in order");
        Ok(())
    }
}
