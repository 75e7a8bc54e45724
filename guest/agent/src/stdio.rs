//! A container's stdio: output kept until the host has it, input written as the process takes it, the terminal's size.

use std::io;
use std::os::unix::io::{AsRawFd, OwnedFd};

use serde_json::{json, Value};

use crate::agent::Agent;
use crate::calls::{Answer, Caller};
use crate::container::State;
use crate::failure::{Context, Failure, Outcome};
use crate::input::Input;
use crate::pace::Pace;
use crate::reactor::{Key, Reactor, Source, READ, WRITE};
use crate::terminal::ConsoleSocket;
use crate::{params, sys, terminal, wire};

/// Bytes of output in one frame: large, because each frame costs both sides the same whatever it carries.
pub const LARGEST_PIECE: usize = 60 * 1024;
/// Room in the pipes that processes write to: a process that says much is not put to sleep after each piece.
const PIPE_BYTES: libc::c_int = 256 * 1024;
/// Input that may wait for a process.
const MOST_INPUT: usize = 256 * 1024;

impl Agent {
    /// A pipe or terminal has something to say, or has ended.
    pub fn read_output(&mut self, key: Key, part: u8) {
        let container = match self.containers.get_mut(&key) {
            Some(container) => container,
            None => return,
        };
        let index = part as usize - 1;
        let is_over = container.is_over();
        let (log, pipe) = (&mut container.logs[index], &mut container.pipes[index]);
        let fd = match pipe {
            Some(pipe) => pipe.as_raw_fd(),
            None => return,
        };
        let buffer = &mut self.buffer;
        let room = log.room().min(buffer.len());
        if room == 0 {
            // Until the host acknowledges: the container blocks on its full pipe.
            return self.reactor.forget(fd);
        }
        match sys::read(fd, &mut buffer[..room]) {
            Ok(got) if got > 0 => {
                log.push(&buffer[..got], sys::wall_nanos());
                if self.resting.after(&mut container.paces[index], got, Source::Output(key, part)) {
                    self.reactor.forget(fd);
                }
            }
            Err(error) if sys::would_block(&error) && !is_over => return,
            // A terminal ends with EIO.
            _ => {
                log.ended = true;
                self.reactor.forget(fd);
                *pipe = None;
            }
        }
        self.send_output(key);
    }

    /// Sends what the reader has not been sent, in the order in which it was said, while the channel has room.
    pub fn send_output(&mut self, key: Key) {
        let container = match self.containers.get_mut(&key) {
            Some(container) => container,
            None => return,
        };
        let stream = match container.reader {
            Some(stream) => stream,
            None => return,
        };
        while self.channel.has_room() {
            let times = [container.logs[0].next_time(), container.logs[1].next_time()];
            let index = match times {
                [None, None] => break,
                [Some(_), None] => 0,
                [None, Some(_)] => 1,
                [Some(out), Some(err)] => (err < out) as usize,
            };
            if let Some(piece) = container.logs[index].take(LARGEST_PIECE) {
                let payload: [&[u8]; 4] = [&piece.offset.to_le_bytes(), &piece.time.to_le_bytes(), piece.data[0], piece.data[1]];
                self.channel.send(wire::DATA, index as u8 + 1, stream, &payload);
            }
        }
        self.starved |= container.logs.iter().any(|log| log.next_time().is_some());
        if container.logs.iter().all(|log| log.is_told()) {
            container.reader = None;
            self.close_stream(stream, json!({}));
        }
    }

    pub fn close_stream(&mut self, stream: Key, how: Value) {
        self.channel.send(wire::CLOSE, 0, stream, &[how.to_string().as_bytes()]);
    }

    /// Opens a stream of the container's output; a reader before it is closed.
    pub fn output(&mut self, call: &Value) -> Outcome<Answer> {
        let key = self.container_of(call)?;
        let stream = params::number(call, "stream")? as Key;
        let from = [params::number(call, "stdout")?, params::number(call, "stderr")?];
        let container = self.containers.get_mut(&key).expect("found above");
        if let Some(before) = container.reader.replace(stream) {
            self.close_stream(before, json!({}));
        }
        let container = self.containers.get_mut(&key).expect("found above");
        for (log, offset) in container.logs.iter_mut().zip(from) {
            log.rewind(offset);
        }
        // Sending is left to the end of the turn, after the answer.
        self.starved = true;
        self.resume_output(key);
        Ok(Answer::Done)
    }

    pub fn acknowledge(&mut self, call: &Value) -> Outcome<Answer> {
        let key = self.container_of(call)?;
        let up_to = [params::number(call, "stdout")?, params::number(call, "stderr")?];
        let container = self.containers.get_mut(&key).expect("found above");
        for (log, offset) in container.logs.iter_mut().zip(up_to) {
            log.acknowledge(offset);
        }
        self.resume_output(key);
        Ok(Answer::Done)
    }

    pub fn resume_output(&mut self, key: Key) {
        let container = &self.containers[&key];
        for (index, pipe) in container.pipes.iter().enumerate() {
            if let (Some(pipe), true) = (pipe, container.logs[index].room() > 0 && !container.paces[index].resting) {
                self.reactor.watch(pipe.as_raw_fd(), Source::Output(key, index as u8 + 1), READ);
            }
        }
        self.drain_exec(key);
    }

    /// crun has sent the terminal's master.
    pub fn container_terminal(&mut self, key: Key) {
        let container = match self.containers.get_mut(&key) {
            Some(container) => container,
            None => return,
        };
        let (master, copy) = match take_terminal(&mut self.reactor, &mut container.console) {
            Some(both) => both,
            None => return,
        };
        if let Some((columns, rows)) = container.size {
            let _ = terminal::resize(master.as_raw_fd(), columns, rows);
        }
        if let (Some(input), Some(copy)) = (&mut container.input, copy) {
            input.connect(copy);
        }
        self.reactor.watch(master.as_raw_fd(), Source::Output(key, 1), READ);
        container.pipes[0] = Some(master);
        self.flush_stdin(key);
    }

    pub fn resize_tty(&mut self, call: &Value) -> Outcome<Answer> {
        let key = self.container_of(call)?;
        let (columns, rows) = (params::number(call, "columns")?, params::number(call, "rows")?);
        let container = self.containers.get_mut(&key).expect("found above");
        container.size = Some((columns, rows));
        match &container.pipes[0] {
            _ if !container.tty => Err(Failure::precondition(format!("container {} has no terminal", container.id))),
            Some(master) => terminal::resize(master.as_raw_fd(), columns, rows).context(|| "resize the terminal".into()).map(|()| Answer::Done),
            None => Ok(Answer::Done),
        }
    }

    /// Answered when the process has taken it all.
    pub fn write_stdin(&mut self, caller: Caller, call: &Value, data: &[u8]) -> Outcome<Answer> {
        let key = self.container_of(call)?;
        let container = self.containers.get_mut(&key).expect("found above");
        let shut = Failure::precondition(format!("stdin of container {} is closed", container.id));
        if !container.wants_stdin || matches!(container.state, State::Exited(_)) {
            return Err(shut);
        }
        let input = match &mut container.input {
            None => return Err(Failure::precondition(format!("container {} has not been started", container.id))),
            Some(input) if input.is_closed() => return Err(shut),
            Some(input) => input,
        };
        if input.queued() + data.len() > MOST_INPUT {
            return Err(Failure::new("TooManyRequests", format!("more than {} bytes wait for container {}", MOST_INPUT, container.id)));
        }
        container.paces.iter_mut().for_each(Pace::expect_answer);
        input.push(data);
        container.writers.push((caller, input.taken + input.queued() as u64));
        self.flush_stdin(key);
        Ok(Answer::Later)
    }

    pub fn close_stdin(&mut self, call: &Value) -> Outcome<Answer> {
        let key = self.container_of(call)?;
        if let Some(input) = &mut self.containers.get_mut(&key).expect("found above").input {
            input.end();
        }
        self.flush_stdin(key);
        Ok(Answer::Done)
    }

    /// Whoever was at its terminal has gone: our side is closed, and the kernel tells the processes (SIGHUP, the end of input).
    pub fn hang_up(&mut self, call: &Value) -> Outcome<Answer> {
        let key = self.container_of(call)?;
        let container = self.containers.get_mut(&key).expect("found above");
        if !container.tty {
            return Err(Failure::precondition(format!("container {} has no terminal", container.id)));
        }
        if let Some(master) = container.pipes[0].take() {
            self.reactor.forget(master.as_raw_fd());
            container.logs[0].ended = true;
        }
        self.drop_stdin(key);
        self.send_output(key);
        Ok(Answer::Done)
    }

    pub fn flush_stdin(&mut self, key: Key) {
        let container = match self.containers.get_mut(&key) {
            Some(container) => container,
            None => return,
        };
        if let Some(input) = &mut container.input {
            flush_input(&mut self.reactor, input, Source::ContainerStdin(key));
            let taken = input.taken;
            let (done, waiting) = std::mem::take(&mut container.writers).into_iter().partition(|(_, until)| *until <= taken);
            container.writers = waiting;
            let done: Vec<(Caller, u64)> = done;
            for (caller, _) in done {
                self.reply(caller, Ok(Answer::Done));
            }
        }
    }

    /// The process has ended, or nobody is at its terminal any more: nobody will take what waits.
    pub fn drop_stdin(&mut self, key: Key) {
        let container = self.containers.get_mut(&key).expect("the caller has it");
        if let Some(mut input) = container.input.take() {
            if let Some(fd) = input.fd() {
                self.reactor.forget(fd);
            }
            input.close();
        }
        let message = format!("stdin of container {} is closed", container.id);
        for (caller, _) in std::mem::take(&mut container.writers) {
            self.reply(caller, Err(Failure::precondition(message.clone())));
        }
    }
}

/// A pipe for a process's output: our end, which never blocks, and the process's.
pub fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (mine, theirs) = sys::pipe()?;
    sys::set_nonblocking(mine.as_raw_fd())?;
    // Where it may not be that large it is as it is.
    unsafe { libc::fcntl(mine.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_BYTES) };
    Ok((mine, theirs))
}

/// Writes what is taken and waits for more room where it is not; stops watching before the descriptor is closed.
pub fn flush_input(reactor: &mut Reactor, input: &mut Input, source: Source) {
    let fd = input.fd();
    let wait = input.flush();
    match fd {
        Some(fd) if wait => reactor.watch(fd, source, WRITE),
        Some(fd) => reactor.forget(fd),
        None => {}
    }
}

/// The terminal that crun has sent: what is read from, and a copy to write to where one could be made. Nothing where none came.
pub fn take_terminal(reactor: &mut Reactor, console: &mut Option<ConsoleSocket>) -> Option<(OwnedFd, Option<OwnedFd>)> {
    let console = console.take()?;
    reactor.forget(console.fd());
    let master = console.receive().ok()?;
    let copy = terminal::duplicate(master.as_raw_fd()).ok();
    Some((master, copy))
}
