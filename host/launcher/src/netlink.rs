//! The one rtnetlink message this program needs: remove a network device (rtnetlink(7), RTM_DELLINK).

use crate::sys;
use std::os::unix::io::AsRawFd;

#[repr(C)]
struct DeleteLink {
    header: libc::nlmsghdr,
    family: u8,
    padding: u8,
    device_type: u16,
    index: i32,
    flags: u32,
    change: u32,
}

/// Removes the device; one that is gone already is no error.
pub fn delete_link(name: &str) -> Result<(), String> {
    let c_name = sys::c_string(name)?;
    let index = unsafe { libc::if_nametoindex(c_name.as_ptr()) };
    if index == 0 {
        return Ok(());
    }
    let socket = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE) };
    let socket = sys::own(sys::check(socket, "open a netlink socket")?);
    let size = std::mem::size_of::<DeleteLink>();
    let request = DeleteLink {
        header: libc::nlmsghdr {
            nlmsg_len: size as u32,
            nlmsg_type: libc::RTM_DELLINK,
            nlmsg_flags: (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16,
            nlmsg_seq: 1,
            nlmsg_pid: 0,
        },
        family: 0,
        padding: 0,
        device_type: 0,
        index: index as i32,
        flags: 0,
        change: 0,
    };
    let sent = unsafe { libc::send(socket.as_raw_fd(), (&request as *const DeleteLink).cast(), size, 0) };
    sys::check(sent as libc::c_int, &format!("ask to remove {}", name))?;
    acknowledged(&socket, name)
}

/// Reads the NLMSG_ERROR answer: error 0 is the acknowledgement.
fn acknowledged(socket: &impl AsRawFd, name: &str) -> Result<(), String> {
    let mut answer = [0u8; 1024];
    let got = unsafe { libc::recv(socket.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), 0) };
    if sys::check(got as libc::c_int, "netlink answer")? < 20 {
        return Err(format!("remove {}: short netlink answer", name));
    }
    let error = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
    match -error {
        0 | libc::ENODEV => Ok(()),
        code => Err(format!("remove {}: {}", name, std::io::Error::from_raw_os_error(code))),
    }
}
