//! The holder's own view of files: a mount namespace whose root is the container's. Whoever joins the container by the holder's pid, as
//! `podman cp` does, meets the container's files and not the host's.

use std::os::unix::io::AsRawFd;

use crate::failure::Outcome;
use crate::sys;

pub fn enter(rootfs: &str) -> Outcome<()> {
    let none = std::ptr::null::<libc::c_char>();
    let (slash, dot, path) = (sys::c_string("/")?, sys::c_string(".")?, sys::c_string(rootfs)?);
    unsafe {
        sys::check(libc::unshare(libc::CLONE_NEWNS), "unshare a mount namespace")?;
        sys::check(libc::mount(none, slash.as_ptr(), none, libc::MS_REC | libc::MS_SLAVE, std::ptr::null()), "make mounts slaves")?;
        sys::check(libc::mount(path.as_ptr(), path.as_ptr(), none, libc::MS_BIND | libc::MS_REC, std::ptr::null()), "bind the root")?;
        let root = sys::open(rootfs, libc::O_PATH | libc::O_DIRECTORY)?;
        sys::check(libc::fchdir(root.as_raw_fd()), "enter the root")?;
        sys::check(libc::syscall(libc::SYS_pivot_root, dot.as_ptr(), dot.as_ptr()) as libc::c_int, "pivot_root")?;
        sys::check(libc::umount2(dot.as_ptr(), libc::MNT_DETACH), "let go of the host's files").map(drop)
    }
}
