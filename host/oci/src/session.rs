//! A session of its own for a process in the foreground: only who leads one can have the terminal that it makes, and hear of its size.

use crate::failure::Outcome;
use crate::{signals, sys};

/// Who leads its process group, as whatever is typed into a shell, may lead no session: it goes on as its own child, and what is left of it waits for
/// that one's end, passes signals on, and ends as it did.
pub fn lead() -> Outcome<()> {
    if unsafe { libc::setsid() } >= 0 {
        return Ok(());
    }
    let parent = std::process::id() as libc::pid_t;
    let all = signals::block_all()?;
    // Who calls us may have ignored it, and nobody is told of a child's end then (sigaction(2)).
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    let child = sys::check(unsafe { libc::fork() }, "fork")?;
    if child > 0 {
        std::process::exit(stand_in(child, &all));
    }
    // Killed, it takes the container along, as the one process would.
    sys::check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }, "prctl")?;
    if unsafe { libc::getppid() } != parent {
        std::process::exit(128 + libc::SIGKILL);
    }
    sys::check(unsafe { libc::setsid() }, "setsid").map(drop)
}

fn stand_in(child: libc::pid_t, all: &libc::sigset_t) -> i32 {
    loop {
        let mut signal = 0;
        unsafe { libc::sigwait(all, &mut signal) };
        if signals::is_forwarded(signal) {
            unsafe { libc::kill(child, signal) };
        }
        let mut status = 0;
        if unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == child {
            return if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) };
        }
    }
}
