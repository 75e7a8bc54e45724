//! <home>/runtime/shim.conf: what the node-wide process wrote of itself. Lines of a word, a space and a value:
//!
//!   control PATH      the socket it answers on
//!   log PATH          where a process started from here writes
//!   argument WORD     its command line, one line a word
//!   variable N=V      its environment

use std::fs::{read_to_string, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

extern "C" {
    fn setsid() -> i32;
}

#[derive(Debug, Default)]
pub struct Conf {
    pub control: PathBuf,
    pub log: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Conf {
    pub fn read() -> Result<Conf, String> {
        let home = std::env::var("SAMPAN_HOME").ok().filter(|home| !home.is_empty()).unwrap_or_else(|| "/var/lib/sampan".into());
        let path = PathBuf::from(home).join("runtime/shim.conf");
        let text = read_to_string(&path).map_err(|error| format!("{}: {}; run ./sampan runtime once on this machine, it writes the file", path.display(), error))?;
        parse(&text).ok_or_else(|| format!("{} makes no sense; run ./sampan runtime again, it writes the file", path.display()))
    }

    /// Starts the process in a session of its own. Two may be started at a time: the second finds the first's lock and ends.
    pub fn start(&self) -> Result<(), String> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).map_err(|error| format!("open {}: {}", self.log.display(), error))?;
        let errors = log.try_clone().map_err(|error| format!("open {}: {}", self.log.display(), error))?;
        let mut command = Command::new(&self.arguments[0]);
        command.args(&self.arguments[1..]).env_clear().envs(self.variables.iter().cloned()).current_dir("/");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        // SAFETY: setsid(2) is safe to call between fork and exec.
        unsafe { command.pre_exec(|| if setsid() < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }) };
        command.spawn().map(drop).map_err(|error| format!("the runtime does not run, and cannot be started: {}: {}", self.arguments[0], error))
    }
}

fn parse(text: &str) -> Option<Conf> {
    let mut conf = Conf::default();
    for line in text.lines() {
        let (word, value) = line.split_once(' ')?;
        match word {
            "control" => conf.control = value.into(),
            "log" => conf.log = value.into(),
            "argument" => conf.arguments.push(value.into()),
            "variable" => conf.variables.push(value.split_once('=').map(|(name, value)| (name.into(), value.into()))?),
            _ => return None,
        }
    }
    let whole = conf.control.is_absolute() && conf.log.is_absolute() && !conf.arguments.is_empty();
    whole.then(|| conf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_spaces_and_equals_signs() {
        let conf = parse("control /run/c.sock\nlog /var/log/x\nargument /usr/bin/node\nargument a b\nvariable A=b=c d\n").unwrap();
        assert_eq!(conf.arguments, ["/usr/bin/node", "a b"]);
        assert_eq!(conf.variables, [("A".to_string(), "b=c d".to_string())]);
    }

    #[test]
    fn half_a_file_is_none() {
        assert!(parse("control /run/c.sock\nlog /var/log/x\n").is_none());
        assert!(parse("nonsense").is_none());
    }
}
