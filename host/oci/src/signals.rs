//! Signals as a descriptor to read from, and their names.

use std::os::unix::io::{AsRawFd, OwnedFd};

use crate::failure::{Failure, Outcome};
use crate::sys;

/// Blocks every signal that can be.
pub fn block_all() -> Outcome<libc::sigset_t> {
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        sys::check(libc::sigprocmask(libc::SIG_BLOCK, &all, std::ptr::null_mut()), "sigprocmask").map(|_| all)
    }
}

/// Blocks them and gives a descriptor that tells of them.
pub fn take_all() -> Outcome<OwnedFd> {
    let all = block_all()?;
    unsafe {
        sys::check(libc::signalfd(-1, &all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK), "signalfd").map(sys::own)
    }
}

/// The next signal that has come, if any.
pub fn next(signals: &OwnedFd) -> Option<i32> {
    let mut information: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let size = std::mem::size_of_val(&information);
    let got = unsafe { libc::read(signals.as_raw_fd(), (&mut information as *mut libc::signalfd_siginfo).cast(), size) };
    if got as usize == size {
        Some(information.ssi_signo as i32)
    } else {
        None
    }
}

/// Whether the container should hear of it: not what is about this process (its children, its terminal's jobs, its pipes).
pub fn is_forwarded(signal: i32) -> bool {
    ![libc::SIGCHLD, libc::SIGWINCH, libc::SIGPIPE, libc::SIGTTIN, libc::SIGTTOU, libc::SIGTSTP, libc::SIGCONT, libc::SIGURG].contains(&signal)
}

const NAMES: [(&str, i32); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// "15", "TERM", "SIGTERM", "RTMIN+3"; 0 asks whether there is a process, and sends nothing.
pub fn number_of(text: &str) -> Outcome<i32> {
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let real_time = || name.strip_prefix("RTMIN").and_then(|more| if more.is_empty() { Some(34) } else { Some(34 + more.strip_prefix('+')?.parse::<i32>().ok()?) });
    let number = text.parse::<i32>().ok().or(named).or_else(real_time);
    number.filter(|number| (0..=64).contains(number)).ok_or_else(|| Failure::new(format!("unknown signal {:?}", text)))
}

#[cfg(test)]
mod tests {
    use super::number_of;

    #[test]
    fn signals_have_numbers_and_names() {
        for (text, number) in [("9", 9), ("KILL", 9), ("SIGTERM", 15), ("sigusr1", 10), ("RTMIN+3", 37), ("SIGRTMIN", 34), ("0", 0)] {
            assert_eq!(number_of(text).unwrap(), number);
        }
        for text in ["65", "-1", "NOTHING", "SIG", "RTMIN+99", ""] {
            assert!(number_of(text).is_err(), "{}", text);
        }
    }
}
