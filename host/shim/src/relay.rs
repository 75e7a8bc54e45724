//! Holds containerd's connections while the node-wide process is away.
//!
//! containerd takes a connection that closes for a task that died. So it connects to us: one small process a node, that passes frames of ttrpc between
//! it and the node-wide process, and when that one ends connects to the next and says again what was not answered. It knows frames, not what they mean.
//!
//!   <directory>/relay.sock     open DOOR           from now on <door>.sock is listened on, and leads to <door>.inner
//!                              hold SIDE PATH...   FIFOs of clients stay open, whether the process lives or not (holds.rs); SIDE: output, input
//!                              release PATH...     they no longer do; words have tabs between them
//!                              end                 the process stops on purpose: ends us, or while somebody is connected has us start nobody

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::conf::Conf;
use crate::holds::Holds;

const HEADER: usize = 10;
/// As containerd's ttrpc has it.
const MOST_BYTES: usize = 4 << 20;
/// Of a command: three paths, and some more.
const MOST_WORDS: u64 = 16 * 1024;
const RESPONSE: u8 = 2;
const RETRY: Duration = Duration::from_millis(50);
/// So many tries without an answer, and the process is started anew: a containerd that starts gives tasks up that do not answer in five seconds.
const TRIES_BEFORE_START: u32 = 10;
/// And after so many again: it may have died once more.
const TRIES_BETWEEN_STARTS: u32 = 40;

static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
/// The process was told to stop: nobody is started.
static RESTING: AtomicBool = AtomicBool::new(false);

extern "C" {
    fn signal(number: i32, handler: usize) -> usize;
}
const SIGCHLD: i32 = 17;
const SIG_IGN: usize = 1;

pub fn serve(directory: &Path) -> Result<(), String> {
    let place = directory.join("relay.sock");
    if UnixStream::connect(&place).is_ok() {
        return Ok(());
    }
    let _ = fs::remove_file(&place);
    // SAFETY: no handler of ours is set. Processes that we start are reaped by the kernel.
    unsafe { signal(SIGCHLD, SIG_IGN) };
    let listener = UnixListener::bind(&place).map_err(|error| format!("listen on {}: {}", place.display(), error))?;
    let doors = Arc::new(Mutex::new(BTreeSet::new()));
    let holds = Arc::new(Holds::default());
    for stream in listener.incoming().flatten() {
        let (doors, holds, directory) = (doors.clone(), holds.clone(), directory.to_path_buf());
        thread::spawn(move || {
            let words = match command(&stream, &directory, &doors, &holds) {
                Ok(()) => "ok\n".to_string(),
                Err(words) => format!("error {}\n", words),
            };
            let _ = (&stream).write_all(words.as_bytes());
        });
    }
    Ok(())
}

fn command(stream: &UnixStream, directory: &Path, doors: &Mutex<BTreeSet<String>>, holds: &Holds) -> Result<(), String> {
    let mut line = String::new();
    BufReader::new(stream.take(MOST_WORDS)).read_line(&mut line).map_err(|error| error.to_string())?;
    let words: Vec<&str> = line.trim_end_matches('\n').split('\t').collect();
    match words.as_slice() {
        [one] if one.strip_prefix("open ").map_or(false, is_door) => {
            let door = &one["open ".len()..];
            RESTING.store(false, Ordering::SeqCst);
            let mut doors = doors.lock().expect("nobody panics with it");
            if !doors.contains(door) {
                open(directory, door)?;
                doors.insert(door.to_string());
            }
            Ok(())
        }
        ["hold", side @ ("output" | "input"), paths @ ..] => holds.hold(side, paths),
        ["release", paths @ ..] => {
            holds.release(paths);
            Ok(())
        }
        ["end"] if CONNECTIONS.load(Ordering::SeqCst) > 0 => {
            RESTING.store(true, Ordering::SeqCst);
            Ok(())
        }
        ["end"] => {
            for door in doors.lock().expect("nobody panics with it").iter() {
                let _ = fs::remove_file(directory.join(format!("{}.sock", door)));
            }
            let _ = fs::remove_file(directory.join("relay.sock"));
            exit(0);
        }
        _ => Err("wanted: open, hold, release or end".to_string()),
    }
}

fn is_door(word: &str) -> bool {
    word.len() == 8 && word.chars().all(|c| c.is_ascii_hexdigit())
}

fn open(directory: &Path, door: &str) -> Result<(), String> {
    let outer = directory.join(format!("{}.sock", door));
    let inner = directory.join(format!("{}.inner", door));
    let _ = fs::remove_file(&outer);
    let listener = UnixListener::bind(&outer).map_err(|error| format!("listen on {}: {}", outer.display(), error))?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let inner = inner.clone();
            thread::spawn(move || {
                CONNECTIONS.fetch_add(1, Ordering::SeqCst);
                let _ = pass(client, inner);
                CONNECTIONS.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    Ok(())
}

/// What was asked and not answered, by stream; and where it is asked.
#[derive(Default)]
struct Talk {
    waiting: BTreeMap<u32, Vec<u8>>,
    server: Option<UnixStream>,
    client_gone: bool,
}

/// One connection of containerd's, to its end.
fn pass(mut client: UnixStream, inner: PathBuf) -> std::io::Result<()> {
    let talk = Arc::new(Mutex::new(Talk::default()));
    let back = client.try_clone()?;
    let answers = {
        let talk = talk.clone();
        thread::spawn(move || answer(back, &inner, &talk))
    };
    while let Ok(Some(frame)) = read_frame(&mut client) {
        let mut talk = talk.lock().expect("nobody panics with it");
        talk.waiting.insert(stream_of(&frame), frame.clone());
        if let Some(server) = &mut talk.server {
            // A server that is gone is found out by the other thread, which then says all of it again.
            let _ = server.write_all(&frame);
        }
    }
    {
        let mut talk = talk.lock().expect("nobody panics with it");
        talk.client_gone = true;
        if let Some(server) = &talk.server {
            let _ = server.shutdown(std::net::Shutdown::Both);
        }
    }
    let _ = answers.join();
    Ok(())
}

/// From the server to the client, over as many servers as it takes.
fn answer(mut client: UnixStream, inner: &Path, talk: &Mutex<Talk>) {
    loop {
        let mut server = match connect(inner, talk) {
            Some(server) => server,
            None => return,
        };
        while let Ok(Some(frame)) = read_frame(&mut server) {
            if frame[8] == RESPONSE {
                talk.lock().expect("nobody panics with it").waiting.remove(&stream_of(&frame));
            }
            if client.write_all(&frame).is_err() {
                return;
            }
        }
        talk.lock().expect("nobody panics with it").server = None;
    }
}

/// None when the client has gone meanwhile.
fn connect(inner: &Path, talk: &Mutex<Talk>) -> Option<UnixStream> {
    for tries in 1u32.. {
        if talk.lock().expect("nobody panics with it").client_gone {
            return None;
        }
        if let Ok(mut server) = UnixStream::connect(inner) {
            let mut talk = talk.lock().expect("nobody panics with it");
            let said = talk.waiting.values().all(|frame| server.write_all(frame).is_ok());
            if said {
                talk.server = server.try_clone().ok();
                return Some(server);
            }
        }
        if tries % TRIES_BETWEEN_STARTS == TRIES_BEFORE_START && !RESTING.load(Ordering::SeqCst) {
            // Another that is started at the same time finds its lock taken and ends.
            let _ = Conf::read().and_then(|conf| conf.start());
        }
        thread::sleep(RETRY);
    }
    None
}

fn stream_of(frame: &[u8]) -> u32 {
    u32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]])
}

/// A whole frame with its header; None at the end.
fn read_frame(stream: &mut UnixStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut frame = vec![0; HEADER];
    if let Err(error) = stream.read_exact(&mut frame) {
        return if error.kind() == std::io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
    }
    let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
    if length > MOST_BYTES {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a frame of more than 4 MiB"));
    }
    frame.resize(HEADER + length, 0);
    stream.read_exact(&mut frame[HEADER..])?;
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u32, kind: u8, text: &str) -> Vec<u8> {
        let mut frame = (text.len() as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(&[kind, 0]);
        frame.extend_from_slice(text.as_bytes());
        frame
    }

    #[test]
    fn what_was_not_answered_is_said_again_to_the_next_server() {
        let directory = std::env::temp_dir().join(format!("relay-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let inner = directory.join("inner");
        let first = UnixListener::bind(&inner).unwrap();
        let (mut containerd, client) = UnixStream::pair().unwrap();
        let place = inner.clone();
        let passing = thread::spawn(move || pass(client, place));

        let mut server = first.accept().unwrap().0;
        containerd.write_all(&frame(1, 1, "wait")).unwrap();
        containerd.write_all(&frame(3, 1, "state")).unwrap();
        assert_eq!(read_frame(&mut server).unwrap().unwrap(), frame(1, 1, "wait"));
        assert_eq!(read_frame(&mut server).unwrap().unwrap(), frame(3, 1, "state"));
        server.write_all(&frame(3, RESPONSE, "running")).unwrap();
        assert_eq!(read_frame(&mut containerd).unwrap().unwrap(), frame(3, RESPONSE, "running"));

        drop((server, first));
        fs::remove_file(&inner).unwrap();
        let second = UnixListener::bind(&inner).unwrap();
        let mut server = second.accept().unwrap().0;
        assert_eq!(read_frame(&mut server).unwrap().unwrap(), frame(1, 1, "wait"));
        server.write_all(&frame(1, RESPONSE, "ended")).unwrap();
        assert_eq!(read_frame(&mut containerd).unwrap().unwrap(), frame(1, RESPONSE, "ended"));

        drop(containerd);
        passing.join().unwrap().unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }
}
