//! dial: a TCP connection to the guest's own loopback, joined to a session: 127.0.0.1, and ::1 where that is refused. All containers share that loopback.

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
        let port = port as u16;
        let (socket, to_six) = match connect(&four(port)) {
            Ok(socket) => (socket, false),
            // Whose refusal is told is the first's: where there is no IPv6 the second says nothing of the port.
            Err(error) => (connect(&six(port)).map_err(|_| refused(port, &error))?, true),
        };
        let copy = terminal::duplicate(socket.as_raw_fd()).context(|| "duplicate a socket".into())?;
        self.reactor.watch(copy.as_raw_fd(), Source::SessionInput(stream), WRITE);
        let mut session = Session::new(Kind::Connection { port, to_six }, caller, Input::new(InputKind::Socket, Some(copy)));
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
        if let (&Kind::Connection { port, to_six }, Some(caller)) = (&session.kind, session.opening) {
            let failed = session.outputs[0].as_ref().and_then(|socket| socket_error(socket.as_raw_fd()));
            if let Some(error) = failed {
                if !to_six && self.dial_six(stream, port).is_ok() {
                    return;
                }
                self.close_session(stream);
                return self.reply(caller, Err(refused(port, &error)));
            }
            session.opening = None;
            self.reply(caller, Ok(Answer::Done));
            self.watch_session(stream);
        }
        self.flush_session(stream);
    }

    /// The session goes on waiting, for another socket.
    fn dial_six(&mut self, stream: Key, port: u16) -> io::Result<()> {
        let session = self.sessions.get_mut(&stream).ok_or(io::ErrorKind::NotFound)?;
        let socket = connect(&six(port))?;
        let copy = terminal::duplicate(socket.as_raw_fd())?;
        let outputs = session.outputs.iter().flatten().map(AsRawFd::as_raw_fd);
        for fd in session.input.fd().into_iter().chain(outputs) {
            self.reactor.forget(fd);
        }
        self.reactor.watch(copy.as_raw_fd(), Source::SessionInput(stream), WRITE);
        session.kind = Kind::Connection { port, to_six: true };
        session.input.connect(copy);
        session.outputs[0] = Some(socket);
        Ok(())
    }
}

fn refused(port: u16, error: &io::Error) -> Failure {
    Failure::new("ServiceUnavailable", format!("connect to localhost:{} inside the Pod: {}", port, error))
}

enum Address {
    Four(libc::sockaddr_in),
    Six(libc::sockaddr_in6),
}

fn four(port: u16) -> Address {
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as libc::sa_family_t;
    address.sin_port = port.to_be();
    address.sin_addr.s_addr = u32::from(std::net::Ipv4Addr::LOCALHOST).to_be();
    Address::Four(address)
}

fn six(port: u16) -> Address {
    let mut address: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
    address.sin6_family = libc::AF_INET6 as libc::sa_family_t;
    address.sin6_port = port.to_be();
    address.sin6_addr.s6_addr = std::net::Ipv6Addr::LOCALHOST.octets();
    Address::Six(address)
}

fn connect(address: &Address) -> io::Result<OwnedFd> {
    let (family, place, size): (_, *const libc::sockaddr, _) = match address {
        Address::Four(four) => (libc::AF_INET, (four as *const libc::sockaddr_in).cast(), std::mem::size_of_val(four)),
        Address::Six(six) => (libc::AF_INET6, (six as *const libc::sockaddr_in6).cast(), std::mem::size_of_val(six)),
    };
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let socket = sys::check(unsafe { libc::socket(family, kind, 0) })?;
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let answer = unsafe { libc::connect(socket.as_raw_fd(), place, size as libc::socklen_t) };
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
