//! The agent's few words on the guest console (ttyS0 by way of /dev/console). Characters are dear there: be brief.

use std::io::Write;

pub fn say(words: &str) {
    let line = format!("sampan-agent: {}\n", words);
    let _ = std::io::stderr().write_all(line.as_bytes());
}
