//! Work that may take long (walking and deleting trees) runs on a thread of its own; what is to be done with its result comes back
//! to the one thread that owns everything.

use std::io;
use std::os::unix::io::{AsRawFd, OwnedFd, RawFd};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread;

use crate::agent::Agent;
use crate::sys;

pub type Finish = Box<dyn FnOnce(&mut Agent) + Send>;

pub struct Workers {
    bell: OwnedFd,
    rope: OwnedFd,
    sender: Sender<Finish>,
    receiver: Receiver<Finish>,
}

impl Workers {
    pub fn new() -> io::Result<Workers> {
        let (bell, rope) = sys::pipe()?;
        sys::set_nonblocking(bell.as_raw_fd())?;
        let (sender, receiver) = channel();
        Ok(Workers { bell, rope, sender, receiver })
    }

    pub fn fd(&self) -> RawFd {
        self.bell.as_raw_fd()
    }

    /// Runs `work` elsewhere; what it returns runs here. Without a thread to be had, it runs here at once.
    pub fn run(&self, work: impl FnOnce() -> Finish + Send + 'static) {
        let (sender, rope) = (self.sender.clone(), self.rope.as_raw_fd());
        let job = move || {
            let _ = sender.send(work());
            let _ = sys::write(rope, &[1]);
        };
        if let Err(error) = thread::Builder::new().stack_size(128 * 1024).spawn(job) {
            crate::console::say(&format!("no thread for a worker: {}", error));
        }
    }

    pub fn finished(&self) -> Vec<Finish> {
        let mut drain = [0; 16];
        let _ = sys::read(self.fd(), &mut drain);
        self.receiver.try_iter().collect()
    }
}
