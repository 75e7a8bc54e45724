//! One question to the node-wide process (platform/src/shim/control-socket.ts is the other end).

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);
const MOST_BYTES: u64 = 64 * 1024;

/// None when nobody listens.
pub fn ask(socket: &Path, line: &str) -> Result<Option<Vec<u8>>, String> {
    let complain = |error: std::io::Error| format!("ask {}: {}", socket.display(), error);
    let mut stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(complain(error)),
    };
    stream.set_read_timeout(Some(TIMEOUT)).map_err(complain)?;
    stream.write_all(format!("{}\n", line).as_bytes()).map_err(complain)?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer).map_err(complain)?;
    // It died before it answered: the next one is asked again.
    if answer.is_empty() {
        return Ok(None);
    }
    parse(&answer).map(Some)
}

fn parse(answer: &[u8]) -> Result<Vec<u8>, String> {
    let end = answer.iter().position(|byte| *byte == b'\n').ok_or("the runtime's answer was cut off")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let body = &answer[end + 1..];
    match head.split_once(' ') {
        Some(("ok", length)) if length.parse() == Ok(body.len()) => Ok(body.to_vec()),
        Some(("error", words)) => Err(words.to_string()),
        _ => Err("the runtime's answer was cut off".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_is_whole_or_an_error() {
        assert_eq!(parse(b"ok 3\nabc").unwrap(), b"abc");
        assert_eq!(parse(b"ok 0\n").unwrap(), b"");
        assert_eq!(parse(b"error no such task\n").unwrap_err(), "no such task");
        assert!(parse(b"ok 4\nabc").is_err());
        assert!(parse(b"ok").is_err());
    }
}
