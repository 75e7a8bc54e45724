//! Files and directories of the host that a machine is given as open descriptors: it has no way to them by name. A disk becomes a loop device when a
//! call asks for its slot; a share is mounted at once.
//!
//! On the socket `gifts`: one message `disk NAME r|rw`, or `share TAG r|rw`, with one descriptor; the answer is `ok` or words of complaint. Or the message
//! `watch`: that connection is kept open for as long as the machine lives.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::loops::{self, Loop};
use super::options::Wanted;
use crate::failure::{Context, Failure, Outcome};
use crate::sys;

pub const SHARES: &str = "/run/sampan/shares";
const PATIENCE: Duration = Duration::from_secs(10);
const OPEN_TREE: libc::c_long = 428;
const MOVE_MOUNT: libc::c_long = 429;
const OPEN_TREE_CLONE: libc::c_uint = 1;
const AT_RECURSIVE: libc::c_uint = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

pub struct Gift {
    pub is_share: bool,
    pub name: String,
    pub writable: bool,
    pub fd: OwnedFd,
}

/// The disks a machine was given, by slot.
pub struct Disks {
    given: BTreeMap<String, Gift>,
    loops: BTreeMap<String, Loop>,
}

impl Disks {
    pub fn new() -> Disks {
        Disks { given: BTreeMap::new(), loops: BTreeMap::new() }
    }

    pub fn take(&mut self, gift: Gift) {
        self.given.insert(gift.name.clone(), gift);
    }

    pub fn bind(&mut self, slot: &str) -> Outcome<PathBuf> {
        if let Some(known) = self.loops.get(slot) {
            return Ok(known.node.clone());
        }
        let gift = self.given.get(slot).ok_or_else(|| Failure::not_found(format!("this machine was given no disk {}", slot)))?;
        let made = loops::attach(&gift.fd, gift.writable)?;
        let node = made.node.clone();
        self.loops.insert(slot.to_string(), made);
        Ok(node)
    }
}

/// Opens on the host's side what a machine is to have.
pub fn open(wanted: &Wanted) -> Outcome<Gift> {
    let fd = if wanted.is_share { clone_tree(&wanted.path) } else { open_file(&wanted.path, wanted.writable) };
    let fd = fd.context(|| format!("open {}", wanted.path))?;
    if wanted.is_share && !is_part_of_share(&wanted.name) {
        // It follows the host's directory; what is mounted in it for this machine is nobody else's.
        fit(&fd, "slave", "rw").context(|| format!("set propagation of {}", wanted.path))?;
    }
    Ok(Gift { is_share: wanted.is_share, name: wanted.name.clone(), writable: wanted.writable, fd })
}

fn open_file(path: &str, writable: bool) -> io::Result<OwnedFd> {
    Ok(fs::OpenOptions::new().read(true).write(writable).open(path)?.into())
}

/// The directory and what is mounted below it, as a mount of its own that is nowhere yet. A mount that is shared stays so: what is mounted there
/// later appears in it too.
fn clone_tree(path: &str) -> io::Result<OwnedFd> {
    let path = sys::c_string(path)?;
    let flags = OPEN_TREE_CLONE | AT_RECURSIVE | libc::O_CLOEXEC as libc::c_uint;
    let fd = unsafe { libc::syscall(OPEN_TREE, libc::AT_FDCWD, path.as_ptr(), flags) };
    Ok(unsafe { OwnedFd::from_raw_fd(sys::check(fd as RawFd)?) })
}

/// Mounts a share that was given, where volumes look for it.
pub fn mount_share(gift: &Gift) -> Outcome<()> {
    let place = Path::new(SHARES).join(&gift.name);
    let mount = || -> io::Result<()> {
        if is_part_of_share(&gift.name) {
            // The host has put a place there, directory or file. Asked again, what is mounted stays.
            if mounted(&place)? {
                return Ok(());
            }
        } else {
            fs::create_dir_all(&place)?;
        }
        let (empty, target) = (sys::c_string("")?, sys::c_path(&place)?);
        let fd = gift.fd.as_raw_fd();
        let moved = unsafe { libc::syscall(MOVE_MOUNT, fd, empty.as_ptr(), libc::AT_FDCWD, target.as_ptr(), MOVE_MOUNT_F_EMPTY_PATH) };
        sys::check(moved as libc::c_int)?;
        // A part of a share was made read-only by its giver, as far down as it is to be.
        if !gift.writable && !is_part_of_share(&gift.name) {
            let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
            sys::mount(Path::new(""), &place, "", flags, "")?;
        }
        Ok(())
    };
    mount().context(|| format!("mount share {}", gift.name))
}

/// `TAG/NAME`: something of the host that appears in a share.
fn is_part_of_share(name: &str) -> bool {
    name.contains('/')
}

/// proc_pid_mountinfo(5): field 5 is the mount point.
fn mounted(place: &Path) -> io::Result<bool> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(table.lines().any(|line| line.split(' ').nth(4).map(Path::new) == Some(place)))
}

/// What of mounts below it either side sees, and what may be written to: decided while the tree is nowhere yet. `shared`: it stays a peer of the host's.
fn fit(tree: &OwnedFd, propagation: &str, access: &str) -> io::Result<()> {
    const MOUNT_ATTR_RDONLY: u64 = 1;
    match propagation {
        "slave" => set_attributes(tree, AT_RECURSIVE, 0, libc::MS_SLAVE)?,
        "private" => set_attributes(tree, AT_RECURSIVE, 0, libc::MS_PRIVATE)?,
        _ => {}
    }
    match access {
        "r" => set_attributes(tree, 0, MOUNT_ATTR_RDONLY, 0),
        "rr" => set_attributes(tree, AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0),
        _ => Ok(()),
    }
}

fn set_attributes(tree: &OwnedFd, depth: libc::c_uint, set: u64, propagation: libc::c_ulong) -> io::Result<()> {
    const MOUNT_SETATTR: libc::c_long = 442;
    const AT_EMPTY_PATH: libc::c_uint = 0x1000;
    // attr_set, attr_clr, propagation, userns_fd
    let attributes: [u64; 4] = [set, 0, propagation as u64, 0];
    let empty = sys::c_string("")?;
    let size = std::mem::size_of_val(&attributes);
    let flags = AT_EMPTY_PATH | depth;
    let set = unsafe { libc::syscall(MOUNT_SETATTR, tree.as_raw_fd(), empty.as_ptr(), flags, attributes.as_ptr(), size) };
    sys::check(set as libc::c_int).map(drop)
}

/// `sampan-agent give SOCKET disk|share NAME r|rw PATH`; `private|slave|shared TAG/NAME r|rr|rw PATH` for a part of a share, `rr` being read-only with all that
/// is mounted below.
pub fn give(arguments: &[String]) -> Outcome<()> {
    let (socket, wanted) = match arguments {
        [socket, kind, name, access, path]
            if ["disk", "share", "private", "slave", "shared"].contains(&kind.as_str()) && ["r", "rr", "rw"].contains(&access.as_str()) =>
        {
            (socket, Wanted { is_share: kind != "disk", name: name.clone(), writable: access == "rw", path: path.clone() })
        }
        _ => return Err(Failure::bad("usage: sampan-agent give SOCKET disk|share NAME r|rw PATH")),
    };
    let gift = open(&wanted)?;
    if is_part_of_share(&wanted.name) {
        fit(&gift.fd, &arguments[1], &arguments[3]).context(|| format!("set propagation and access of {}", wanted.path))?;
    }
    let kind = if wanted.is_share { "share" } else { "disk" };
    let words = format!("{} {} {}", kind, wanted.name, if wanted.writable { "rw" } else { "r" });
    let hand_over = || -> io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        send(&stream, words.as_bytes(), gift.fd.as_raw_fd())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    match hand_over().context(|| format!("hand {} to the machine", wanted.path))?.as_str() {
        "ok" => Ok(()),
        complaint => Err(Failure::internal(complaint.to_string())),
    }
}

pub enum Visitor {
    Giver(Gift, UnixStream),
    /// Wants only to be told by the kernel when this process ends.
    Watcher(UnixStream),
}

/// Whoever has come. It is the host: it speaks at once.
pub fn receive(listener: &UnixListener) -> io::Result<Visitor> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (words, fd) = receive_descriptor(stream.as_raw_fd())?;
    let fd = match fd {
        Some(fd) => fd,
        None if words == "watch" => return Ok(Visitor::Watcher(stream)),
        None => return Err(io::Error::new(io::ErrorKind::InvalidData, "no descriptor in a gift")),
    };
    let parts: Vec<&str> = words.split(' ').collect();
    match parts.as_slice() {
        [kind @ ("disk" | "share"), name, access @ ("r" | "rw")] => {
            let gift = Gift { is_share: *kind == "share", name: name.to_string(), writable: *access == "rw", fd };
            Ok(Visitor::Giver(gift, stream))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("a gift that says {:?}", words))),
    }
}

pub fn answer(mut stream: UnixStream, outcome: Outcome<()>) {
    let words = outcome.map_or_else(|failure| failure.message, |()| "ok".to_string());
    let _ = stream.write_all(words.as_bytes());
}

const CONTROL_WORDS: usize = 8;

fn send(stream: &UnixStream, words: &[u8], fd: RawFd) -> io::Result<()> {
    let mut control = [0u64; CONTROL_WORDS];
    let mut piece = libc::iovec { iov_base: words.as_ptr() as *mut libc::c_void, iov_len: words.len() };
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    unsafe {
        message.msg_controllen = libc::CMSG_SPACE(std::mem::size_of::<RawFd>() as u32) as _;
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(std::mem::size_of::<RawFd>() as u32) as _;
        (libc::CMSG_DATA(header) as *mut RawFd).write_unaligned(fd);
        if libc::sendmsg(stream.as_raw_fd(), &message, libc::MSG_NOSIGNAL) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn receive_descriptor(socket: RawFd) -> io::Result<(String, Option<OwnedFd>)> {
    let mut words = [0u8; 256];
    let mut control = [0u64; CONTROL_WORDS];
    let mut piece = libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: words.len() };
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = std::mem::size_of_val(&control) as _;
    let got = unsafe { libc::recvmsg(socket, &mut message, libc::MSG_CMSG_CLOEXEC) };
    if got < 0 {
        return Err(io::Error::last_os_error());
    }
    let words = String::from_utf8_lossy(&words[..got as usize]).into_owned();
    let header = unsafe { libc::CMSG_FIRSTHDR(&message) };
    if header.is_null() || unsafe { (*header).cmsg_type } != libc::SCM_RIGHTS {
        return Ok((words, None));
    }
    let fd = unsafe { (libc::CMSG_DATA(header) as *const RawFd).read_unaligned() };
    Ok((words, Some(unsafe { OwnedFd::from_raw_fd(fd) })))
}
