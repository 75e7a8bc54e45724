//! What can be said without asking anybody: the features of this runtime, and a config.json to begin with.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::failure::{Context, Outcome};
use crate::options::{parse, Flag};

/// Of runtime-spec, as the guest's crun keeps it.
pub const SPEC_VERSION: &str = "1.0.2";

/// runtime-spec features.md. What a container is given is given inside its machine.
pub const FEATURES: &str = include_str!("features.json");

const CONFIG: &str = include_str!("config.json");

pub fn run(arguments: &[String]) -> Outcome<i32> {
    let options = parse(arguments, &[Flag("bundle", 'b', true)], false)?;
    let path = Path::new(options.value("bundle").unwrap_or(".")).join("config.json");
    let mut file = File::options().write(true).create_new(true).open(&path).context(|| path.display().to_string())?;
    file.write_all(CONFIG.as_bytes()).context(|| path.display().to_string())?;
    Ok(0)
}
