//! Terminals of the host. The container's own terminal is in its guest and does all that a terminal does (echo, lines, signals of keys), so the
//! host's pair is raw both ways: it only carries bytes, and the window's size.

use std::os::unix::io::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use serde_json::{json, Value};

use crate::failure::{Context, Outcome};
use crate::sys;

/// From asm-generic/ioctls.h; the crate of Debian 12 has no name for it.
const TIOCGPTPEER: libc::c_ulong = 0x5441;

/// Makes a pair, sends the master to whoever listens at `console_socket`, and makes the slave this process's terminal and standard streams.
/// This process must lead its session.
pub fn hand_over(console_socket: &str) -> Outcome<()> {
    let master = sys::open("/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY)?;
    let unlocked: libc::c_int = 0;
    sys::check(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &unlocked) }, "unlock the terminal")?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    let slave = sys::check(unsafe { libc::ioctl(master.as_raw_fd(), TIOCGPTPEER, flags) }, "open the terminal").map(sys::own)?;
    make_raw(slave.as_raw_fd())?;
    let socket = UnixStream::connect(console_socket).context(|| format!("console socket {}", console_socket))?;
    sys::send_descriptor(&socket, &master, b"/dev/pts")?;
    for standard in 0..3 {
        sys::check(unsafe { libc::dup2(slave.as_raw_fd(), standard) }, "standard streams")?;
    }
    sys::check(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) }, "take the terminal").map(drop)
}

/// The settings before; `restore` puts them back.
pub fn make_raw(terminal: RawFd) -> Outcome<libc::termios> {
    unsafe {
        let mut settings: libc::termios = std::mem::zeroed();
        sys::check(libc::tcgetattr(terminal, &mut settings), "tcgetattr")?;
        let before = settings;
        libc::cfmakeraw(&mut settings);
        sys::check(libc::tcsetattr(terminal, libc::TCSANOW, &settings), "tcsetattr")?;
        Ok(before)
    }
}

pub fn restore(terminal: RawFd, settings: &libc::termios) {
    unsafe { libc::tcsetattr(terminal, libc::TCSADRAIN, settings) };
}

/// What to tell the service of the window of standard input; None when it has none, or none yet.
pub fn size() -> Option<Value> {
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    let got = unsafe { libc::ioctl(0, libc::TIOCGWINSZ, &mut size) };
    if got < 0 || size.ws_col == 0 || size.ws_row == 0 {
        return None;
    }
    Some(json!({ "resize": { "columns": size.ws_col, "rows": size.ws_row } }))
}

/// Puts /dev/null in place of standard streams that the caller closed, so that no other descriptor gets their numbers.
pub fn fill_standard_streams() -> Outcome<()> {
    loop {
        let null: OwnedFd = sys::open("/dev/null", libc::O_RDWR)?;
        if null.as_raw_fd() > 2 {
            return Ok(());
        }
        unsafe { libc::fcntl(null.as_raw_fd(), libc::F_SETFD, 0) };
        std::mem::forget(null);
    }
}
