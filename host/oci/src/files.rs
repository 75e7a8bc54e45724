//! Small files and standard output.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::failure::{Context, Outcome};

/// Gives exit code 0. A reader that has gone away is no error of ours to print.
pub fn print(text: &str) -> Outcome<i32> {
    let mut out = std::io::stdout();
    let written = out.write_all(text.as_bytes()).and_then(|_| if text.is_empty() || text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") });
    written.and_then(|_| out.flush()).context(|| "write to stdout".into())?;
    Ok(0)
}

/// Whole or not at all: conmon may read it the moment it is there.
pub fn write_pid_file(path: &str, pid: libc::pid_t) -> Outcome<()> {
    let (directory, name) = (Path::new(path).parent().unwrap_or_else(|| Path::new(".")), Path::new(path).file_name().unwrap_or_default());
    let temporary = directory.join(format!(".{}", name.to_string_lossy()));
    fs::write(&temporary, pid.to_string()).and_then(|_| fs::rename(&temporary, path)).context(|| format!("pid file {}", path))
}

/// Of a process that is itself the holder.
pub fn write_own_pid(path: Option<&str>) -> Outcome<()> {
    path.map_or(Ok(()), |path| write_pid_file(path, std::process::id() as libc::pid_t))
}

/// `path` made absolute; it must exist.
pub fn absolute(path: &str) -> Outcome<String> {
    fs::canonicalize(path).context(|| path.to_string()).map(|full| full.to_string_lossy().into_owned())
}
