//! Sends QMP lines that carry a descriptor (SCM_RIGHTS), which the server's own QMP connection cannot do.
//! What the lines say is the caller's matter; the answer is passed back unread.

use crate::sys;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::io::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Long: on a host where many machines start at once, a VMM may wait for the CPU. Shorter than the server waits for this program.
const TIMEOUT: Duration = Duration::from_secs(25);
/// The VMM is not trusted: a longer line is an error.
const MAX_LINE: u64 = 64 * 1024;

pub struct Monitor {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Monitor {
    pub fn connect(path: &str) -> Result<Monitor, String> {
        let problem = |error: std::io::Error| format!("QMP at {}: {}", path, error);
        let stream = UnixStream::connect(path).map_err(problem)?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(problem)?;
        stream.set_write_timeout(Some(TIMEOUT)).map_err(problem)?;
        let reader = BufReader::new(stream.try_clone().map_err(problem)?);
        let mut monitor = Monitor { stream, reader };
        monitor.line()?;
        monitor.call("{\"execute\":\"qmp_capabilities\"}", None)?;
        Ok(monitor)
    }

    /// Sends one command and returns its answer line; events in between are dropped.
    pub fn call(&mut self, command: &str, descriptor: Option<&OwnedFd>) -> Result<String, String> {
        let data = format!("{}\r\n", command);
        match descriptor {
            Some(fd) => send_with_descriptor(&self.stream, data.as_bytes(), fd.as_raw_fd())?,
            None => self.stream.write_all(data.as_bytes()).map_err(|error| format!("QMP: {}", error))?,
        }
        loop {
            let line = self.line()?;
            if line.starts_with("{\"return\"") || line.starts_with("{\"error\"") {
                return Ok(line);
            }
        }
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        let mut bounded = Read::by_ref(&mut self.reader).take(MAX_LINE);
        bounded.read_line(&mut line).map_err(|error| format!("QMP: {}", error))?;
        match line.strip_suffix('\n') {
            Some(text) => Ok(text.trim_end().to_string()),
            None => Err("QMP: the VMM closed the connection or sent an endless line".into()),
        }
    }
}

/// Room for one control message with one descriptor, aligned as cmsg(3) wants.
#[repr(C, align(8))]
struct Control([u8; 64]);

fn send_with_descriptor(stream: &UnixStream, data: &[u8], descriptor: RawFd) -> Result<(), String> {
    let mut part = libc::iovec { iov_base: data.as_ptr() as *mut libc::c_void, iov_len: data.len() };
    let mut control = Control([0; 64]);
    let size = std::mem::size_of::<RawFd>() as libc::c_uint;
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size) as _;
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size) as _;
        std::ptr::copy_nonoverlapping(&descriptor, libc::CMSG_DATA(header).cast::<RawFd>(), 1);
        libc::sendmsg(stream.as_raw_fd(), &message, libc::MSG_NOSIGNAL)
    };
    sys::check(sent as libc::c_int, "send a descriptor over QMP")?;
    if sent as usize != data.len() {
        return Err("send a descriptor over QMP: cut short".into());
    }
    Ok(())
}
