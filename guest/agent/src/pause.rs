//! The process that holds a PID namespace which containers share. It is a fork of the agent: no exec, hardly any memory of its own.

use std::io;

use crate::sys;

/// Its id in the agent's namespace. It ends only with the machine.
pub fn start() -> io::Result<i32> {
    let flags = libc::CLONE_NEWPID | libc::SIGCHLD;
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } as i32;
    if sys::check(pid)? > 0 {
        return Ok(pid);
    }
    // In the child: the new namespace's first process, which inherits its orphans. Only plain system calls from here on.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        libc::signal(libc::SIGTERM, libc::SIG_IGN);
        libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0);
        loop {
            libc::pause();
        }
    }
}
