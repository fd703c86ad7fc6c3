//! `stentor check`.

use clap::Args;
use stentor::Stentor;

use super::ConfigFile;
use crate::{failure::Failure, terminal::print};

/// Checks without starting anything.
#[derive(Args, Debug)]
pub(crate) struct Check {
    #[command(flatten)]
    config: ConfigFile,
}

impl Check {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let schema = config.schema.display().to_string();
        Stentor::builder().config(config).check()?;
        print(&format!("{schema}: the schema and the configuration are in order"))?;
        Ok(())
    }
}
