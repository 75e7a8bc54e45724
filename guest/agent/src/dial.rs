//! dial: a TCP connection to the guest's own loopback, joined to a session. All containers share that loopback.

use std::io;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd};

use serde_json::Value;

use crate::agent::Agent;
use crate::calls::{Answer, Caller};
use crate::failure::{Context, Failure, Outcome};
use crate::input::{Input, InputKind};
use crate::reactor::{Key, Source, WRITE};
use crate::session::{Kind, Session};
use crate::{params, sys, terminal};

impl Agent {
    pub fn dial(&mut self, caller: Caller, call: &Value) -> Outcome<Answer> {
        let stream = self.new_stream(call)?;
        let port = params::number(call, "port")?;
        if !(1..=65535).contains(&port) {
            return Err(Failure::bad(format!("port {} is not one of 1 to 65535", port)));
        }
        let socket = connect(port as u16).map_err(|error| refused(port, &error))?;
        let copy = terminal::duplicate(socket.as_raw_fd()).context(|| "duplicate a socket".into())?;
        self.reactor.watch(copy.as_raw_fd(), Source::SessionInput(stream), WRITE);
        let mut session = Session::new(Kind::Connection, caller, Input::new(InputKind::Socket, Some(copy)));
        session.outputs[0] = Some(socket);
        self.sessions.insert(stream, session);
        Ok(Answer::Later)
    }

    /// A session's input takes more; for a new connection it is the word that it stands, or not.
    pub fn session_writable(&mut self, stream: Key) {
        let session = match self.sessions.get_mut(&stream) {
            Some(session) => session,
            None => return,
        };
        if let (Kind::Connection, Some(caller)) = (&session.kind, session.opening) {
            let failed = session.outputs[0].as_ref().and_then(|socket| socket_error(socket.as_raw_fd()));
            session.opening = None;
            if let Some(error) = failed {
                self.close_session(stream);
                return self.reply(caller, Err(refused(0, &error)));
            }
            self.reply(caller, Ok(Answer::Done));
            self.watch_session(stream);
        }
        self.flush_session(stream);
    }
}

fn refused(port: u64, error: &io::Error) -> Failure {
    let place = if port == 0 { "the port".to_string() } else { format!("127.0.0.1:{}", port) };
    Failure::new("ServiceUnavailable", format!("connect to {} inside the Pod: {}", place, error))
}

fn connect(port: u16) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let socket = sys::check(unsafe { libc::socket(libc::AF_INET, kind, 0) })?;
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as libc::sa_family_t;
    address.sin_port = port.to_be();
    address.sin_addr.s_addr = u32::from(std::net::Ipv4Addr::LOCALHOST).to_be();
    let size = std::mem::size_of_val(&address) as libc::socklen_t;
    let answer = unsafe { libc::connect(socket.as_raw_fd(), (&address as *const libc::sockaddr_in).cast(), size) };
    match sys::check(answer) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

fn socket_error(fd: i32) -> Option<io::Error> {
    let mut code: libc::c_int = 0;
    let mut size = std::mem::size_of_val(&code) as libc::socklen_t;
    let answer = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_ERROR, (&mut code as *mut libc::c_int).cast(), &mut size) };
    match (answer, code) {
        (0, 0) => None,
        (0, code) => Some(io::Error::from_raw_os_error(code)),
        _ => Some(io::Error::last_os_error()),
    }
}
