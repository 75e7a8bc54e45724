//! The port to the host: frames in, frames out, and whether anybody is there. Knows frames, not what they mean.
//!
//! The port says "nobody is there" by a read of 0 bytes and is woken when a host comes; it is watched edge-triggered,
//! because a port without a host would otherwise be ready for ever. A machine on the host has a socket in its place.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::io::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::failure::{Context, Failure, Outcome};
use crate::sys;
use crate::wire::{self, Decoder, Frame};

const PORT_NAME: &str = "sampan.agent";
/// Data frames are only added below this; replies and events always are.
const HIGH_WATER: usize = 256 * 1024;
/// A port takes no more in one go.
const LARGEST_WRITE: usize = 32 * 1024;
const LARGEST_READ: usize = 16 * 1024;

pub struct Channel {
    port: Port,
    decoder: Decoder,
    inbox: Box<[u8]>,
    out: Vec<u8>,
    written: usize,
    /// True from a SYNC until the host goes: nothing is sent to nobody.
    pub connected: bool,
}

/// Where the bytes come from and go to.
enum Port {
    /// A virtio-serial port: it is there whether or not a host is.
    Serial(fs::File),
    /// A socket of a machine on the host; a stream while somebody is connected.
    Socket(UnixListener, Option<UnixStream>),
}

pub enum Incoming {
    Frames(Vec<Frame>),
    NobodyThere,
    /// A socket's other end has closed.
    Gone,
}

impl Channel {
    pub fn open() -> Outcome<Channel> {
        let path = port_path().ok_or_else(|| Failure::not_found(format!("no virtio-serial port named {}", PORT_NAME)))?;
        let port = fs::OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path);
        let port = port.context(|| format!("open {}", path.display()))?;
        Ok(Channel::over(Port::Serial(port)))
    }

    pub fn listening(listener: UnixListener) -> Channel {
        Channel::over(Port::Socket(listener, None))
    }

    fn over(port: Port) -> Channel {
        Channel { port, decoder: Decoder::default(), inbox: vec![0; LARGEST_READ].into_boxed_slice(), out: Vec::new(), written: 0, connected: false }
    }

    pub fn listener(&self) -> Option<RawFd> {
        match &self.port {
            Port::Socket(listener, _) => Some(listener.as_raw_fd()),
            Port::Serial(_) => None,
        }
    }

    pub fn accept(&self) -> Option<UnixStream> {
        match &self.port {
            Port::Socket(listener, _) => listener.accept().ok().filter(|(stream, _)| stream.set_nonblocking(true).is_ok()).map(|(stream, _)| stream),
            Port::Serial(_) => None,
        }
    }

    pub fn join(&mut self, newcomer: UnixStream) {
        if let Port::Socket(_, stream) = &mut self.port {
            *stream = Some(newcomer);
        }
        self.decoder = Decoder::default();
    }

    pub fn leave(&mut self) {
        if let Port::Socket(_, stream) = &mut self.port {
            *stream = None;
        }
    }

    /// None while nobody is connected to a socket.
    pub fn fd(&self) -> Option<RawFd> {
        match &self.port {
            Port::Serial(port) => Some(port.as_raw_fd()),
            Port::Socket(_, stream) => stream.as_ref().map(AsRawFd::as_raw_fd),
        }
    }

    /// One read's worth of frames; none when there is nothing more to read.
    pub fn receive(&mut self) -> Option<Incoming> {
        match sys::read(self.fd()?, &mut self.inbox) {
            Ok(0) if self.listener().is_some() => Some(Incoming::Gone),
            Ok(0) => Some(Incoming::NobodyThere),
            Ok(got) => {
                self.decoder.feed(&self.inbox[..got]);
                let frames = std::iter::from_fn(|| self.decoder.next()).collect();
                self.decoder.trim();
                Some(Incoming::Frames(frames))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Some(Incoming::Frames(Vec::new())),
            Err(_) => None,
        }
    }

    pub fn send(&mut self, kind: u8, part: u8, id: u32, payload: &[&[u8]]) {
        if self.connected {
            // A port that is never written empty must not keep what it has written.
            if self.written > HIGH_WATER {
                self.out.drain(..self.written);
                self.written = 0;
            }
            wire::encode(&mut self.out, kind, part, id, payload);
        }
    }

    /// True while data frames may be added.
    pub fn has_room(&self) -> bool {
        self.connected && self.out.len() - self.written < HIGH_WATER
    }

    /// Writes what the port takes now; the rest waits for the port to become writable.
    pub fn flush(&mut self) {
        while self.written < self.out.len() {
            let end = self.out.len().min(self.written + LARGEST_WRITE);
            let fd = match self.fd() {
                Some(fd) => fd,
                None => return,
            };
            match sys::write(fd, &self.out[self.written..end]) {
                Ok(put) if put > 0 => self.written += put,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return,
            }
        }
        self.out.clear();
        self.written = 0;
        self.out.shrink_to(HIGH_WATER);
    }

    /// Forgets what was meant for a host that is gone.
    pub fn disconnect(&mut self) {
        self.connected = false;
        self.out.clear();
        self.written = 0;
    }
}

fn port_path() -> Option<PathBuf> {
    let ports = fs::read_dir("/sys/class/virtio-ports").ok()?.flatten();
    let named = |path: &Path| fs::read_to_string(path.join("name")).map_or(false, |name| name.trim() == PORT_NAME);
    let port = ports.map(|entry| entry.path()).find(|path| named(path))?;
    Some(Path::new("/dev").join(port.file_name()?))
}
