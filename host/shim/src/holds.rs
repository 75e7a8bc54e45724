//! FIFOs of containerd's clients that stay open while the node-wide process is away: who reads one takes the moment in which nobody has it open for writing
//! for the end of its task, and who writes to one that nobody has open for reading is ended.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::sync::Mutex;

const O_NONBLOCK: i32 = 0o4000;

#[derive(Default)]
pub struct Holds {
    open: Mutex<BTreeMap<String, File>>,
}

impl Holds {
    /// Idempotent. An output is held from both sides, so that neither end is met; of an input only the reading side is: its end is its writers' to make.
    pub fn hold(&self, side: &str, paths: &[&str]) -> Result<(), String> {
        for path in paths {
            let mut open = self.open.lock().expect("nobody panics with it");
            if !open.contains_key(*path) {
                open.insert((*path).to_string(), open_fifo(path, side == "output")?);
            }
        }
        Ok(())
    }

    pub fn release(&self, paths: &[&str]) {
        for path in paths {
            self.open.lock().expect("nobody panics with it").remove(*path);
        }
    }
}

fn open_fifo(path: &str, write: bool) -> Result<File, String> {
    let complain = |error: std::io::Error| format!("hold {}: {}", path, error);
    let is_fifo = std::fs::symlink_metadata(path).map_err(complain)?.file_type().is_fifo();
    if !is_fifo {
        return Err(format!("hold {}: it is no FIFO", path));
    }
    OpenOptions::new().read(true).write(write).custom_flags(O_NONBLOCK).open(path).map_err(complain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read, Write};

    fn fifo(name: &str) -> String {
        let path = std::env::temp_dir().join(format!("holds-{}-{}", name, std::process::id()));
        let path = path.to_str().unwrap().to_string();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    #[test]
    fn a_reader_meets_the_end_only_when_the_hold_is_released() {
        let path = fifo("out");
        let holds = Holds::default();
        holds.hold("output", &[&path]).unwrap();
        let mut reader = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(&path).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().write_all(b"x").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(reader.read(&mut buffer).unwrap(), 1);
        assert_eq!(reader.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        holds.release(&[&path]);
        assert_eq!(reader.read(&mut buffer).unwrap(), 0);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_inputs_end_is_met_though_it_is_held() {
        let path = fifo("in");
        let holds = Holds::default();
        holds.hold("input", &[&path]).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().write_all(b"xy").unwrap();
        let mut text = String::new();
        OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(&path).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "xy");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_fifo_is_refused() {
        assert!(Holds::default().hold("output", &["/dev/null"]).is_err());
        assert!(Holds::default().hold("input", &["/no/such/path"]).is_err());
    }
}
