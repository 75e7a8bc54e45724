//! The loopback of network namespaces whose processes are in a machine. Who connects there (containerd's CRI plugin does, to forward a port) is passed on to
//! the node-wide process, which has the guest connect.
//!
//!   open NAME NETNS   from now on 127.0.0.1 is listened on in that namespace; NAME is what the process is told
//!   close NAME        no longer
//!
//! One request a line on stdin, words with tabs between them, each answered by one line: `ok` or `error WORDS`. Both may be repeated. It ends with its stdin,
//! and everything with it. A connection is passed to SOCKET after a line `NAME PORT`, PORT being where it went before nftables sent it here; it is answered by
//! a `+`, or it is reset.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{copy, stdin, stdout, BufRead, Error, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::io::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Where nftables sends everything else: nobody is likely to want this one forwarded.
const PORT: u16 = 1;
const MOST_CONNECTIONS: usize = 512;
static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);

extern "C" {
    fn setns(fd: i32, kind: i32) -> i32;
    fn shutdown(fd: i32, how: i32) -> i32;
    fn getsockopt(fd: i32, level: i32, name: i32, value: *mut u8, length: *mut u32) -> i32;
    fn setsockopt(fd: i32, level: i32, name: i32, value: *const u8, length: u32) -> i32;
}
const CLONE_NEWNET: i32 = 0x4000_0000;
const SHUT_RDWR: i32 = 2;
const EINVAL: i32 = 22;
const SOL_IP: i32 = 0;
const SO_ORIGINAL_DST: i32 = 80;
const SOL_SOCKET: i32 = 1;
const SO_LINGER: i32 = 13;

pub fn serve(socket: &Path) -> Result<(), String> {
    let mut open: BTreeMap<String, TcpListener> = BTreeMap::new();
    for line in stdin().lock().lines() {
        let line = line.map_err(|error| format!("read a request: {}", error))?;
        let words: Vec<&str> = line.split('\t').collect();
        let answer = match words.as_slice() {
            ["open", name, _] if open.contains_key(*name) => Ok(()),
            ["open", name, netns] => serve_namespace(name, netns, socket).map(|listener| {
                open.insert(name.to_string(), listener);
            }),
            ["close", name] => {
                if let Some(listener) = open.remove(*name) {
                    // SAFETY: the descriptor is open. Whoever waits in accept(2) is told.
                    unsafe { shutdown(listener.as_raw_fd(), SHUT_RDWR) };
                }
                Ok(())
            }
            _ => Err("wanted: open NAME NETNS, or close NAME".to_string()),
        };
        let words = match answer {
            Ok(()) => "ok\n".to_string(),
            Err(words) => format!("error {}\n", words),
        };
        let mut out = stdout();
        out.write_all(words.as_bytes()).and_then(|()| out.flush()).map_err(|error| format!("answer: {}", error))?;
    }
    Ok(())
}

fn serve_namespace(name: &str, netns: &str, socket: &Path) -> Result<TcpListener, String> {
    let listener = listen_in(netns).map_err(|error| format!("listen in {}: {}", netns, error))?;
    let held = listener.try_clone().map_err(|error| error.to_string())?;
    let (name, socket) = (name.to_string(), socket.to_path_buf());
    thread::spawn(move || accept(&listener, &name, &socket));
    Ok(held)
}

/// A socket belongs to the namespace it was made in, whoever uses it; only a thread that ends enters it.
fn listen_in(netns: &str) -> Result<TcpListener, Error> {
    let place = File::open(netns)?;
    let inside = thread::spawn(move || {
        // SAFETY: the descriptor is open.
        if unsafe { setns(place.as_raw_fd(), CLONE_NEWNET) } != 0 {
            return Err(Error::last_os_error());
        }
        TcpListener::bind(("127.0.0.1", PORT))
    });
    inside.join().unwrap_or_else(|_| Err(Error::from_raw_os_error(EINVAL)))
}

fn accept(listener: &TcpListener, name: &str, socket: &Path) {
    for client in listener.incoming() {
        match client {
            Ok(client) => {
                let (name, socket): (String, PathBuf) = (name.to_string(), socket.to_path_buf());
                thread::spawn(move || {
                    let before = CONNECTIONS.fetch_add(1, Ordering::SeqCst);
                    if before >= MOST_CONNECTIONS || pass(&client, &name, &socket).is_err() {
                        reset(&client);
                    }
                    CONNECTIONS.fetch_sub(1, Ordering::SeqCst);
                });
            }
            // It was shut down: nobody listens any more.
            Err(error) if error.raw_os_error() == Some(EINVAL) => return,
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn pass(client: &TcpStream, name: &str, socket: &Path) -> Result<(), Error> {
    let process = UnixStream::connect(socket)?;
    (&process).write_all(format!("{} {}\n", name, wanted_port(client)).as_bytes())?;
    let mut answer = [0];
    (&process).read_exact(&mut answer)?;
    if answer != *b"+" {
        return Err(Error::from_raw_os_error(EINVAL));
    }
    let (from_client, to_process) = (client.try_clone()?, process.try_clone()?);
    let there = thread::spawn(move || {
        let _ = copy(&mut &from_client, &mut &to_process);
        let _ = to_process.shutdown(Shutdown::Write);
    });
    let _ = copy(&mut &process, &mut &*client);
    let _ = client.shutdown(Shutdown::Write);
    let _ = there.join();
    Ok(())
}

/// Before it was sent here (netfilter_ipv4.h); one that came by itself is meant for here.
fn wanted_port(client: &TcpStream) -> u16 {
    let mut address = [0u8; 16];
    let mut length = address.len() as u32;
    // SAFETY: the kernel writes at most `length` bytes, a sockaddr_in.
    let result = unsafe { getsockopt(client.as_raw_fd(), SOL_IP, SO_ORIGINAL_DST, address.as_mut_ptr(), &mut length) };
    if result == 0 { u16::from_be_bytes([address[2], address[3]]) } else { PORT }
}

/// Its closing tells the client that nobody was there, not that somebody said nothing.
fn reset(client: &TcpStream) {
    let at_once: [i32; 2] = [1, 0];
    // SAFETY: struct linger is two ints.
    unsafe { setsockopt(client.as_raw_fd(), SOL_SOCKET, SO_LINGER, at_once.as_ptr().cast(), 8) };
}
