//! What every command takes.

use crate::output::Format;
use clap::Args;

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
pub struct GlobalArgs {
    /// Which Plenum: the name of a context, or a URL
    #[arg(
        short = 'c',
        long,
        env = "PLENUM_CONTEXT",
        value_name = "NAME|URL",
        global = true
    )]
    pub context: Option<String>,
    /// How the answer is printed
    #[arg(
        short = 'o',
        long,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        global = true
    )]
    pub output: Format,
    /// Print ids only
    #[arg(short = 'q', long, global = true)]
    pub quiet: bool,
    /// Print tables without their first line
    #[arg(long, global = true)]
    pub no_headers: bool,
    /// Order the lines of a table by this column
    #[arg(long, value_name = "COLUMN", global = true)]
    pub sort_by: Option<String>,
}
