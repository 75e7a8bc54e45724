//! Calls of the host: from pieces to a message, from a message to the function that carries it out, and the answer's way back.

use serde_json::{json, Value};

use crate::agent::Agent;
use crate::failure::{Failure, Outcome};
use crate::wire;

const MAX_JSON: usize = 4 << 20;
const MAX_MESSAGE: usize = 12 << 20;

/// Who asked: an answer for an older connection is dropped.
#[derive(Clone, Copy)]
pub struct Caller {
    call: u32,
    connection: u32,
}

pub enum Answer {
    Done,
    With(Value),
    Blob(Vec<u8>),
    /// The handler keeps the Caller and answers by `reply`.
    Later,
}

impl Agent {
    pub fn take_call(&mut self, frame: wire::Frame) {
        let caller = Caller { call: frame.id, connection: self.connection };
        let waiting: usize = self.partial.values().map(Vec::len).sum();
        if waiting + frame.payload.len() > MAX_MESSAGE {
            self.partial.clear();
            return self.reply(caller, Err(Failure::new("RequestEntityTooLarge", "calls of more than 12 MiB")));
        }
        let message = match self.partial.remove(&frame.id) {
            Some(mut begun) => {
                begun.extend_from_slice(&frame.payload);
                begun
            }
            None => frame.payload,
        };
        if frame.part & 1 != 0 {
            self.partial.insert(frame.id, message);
            return;
        }
        let outcome = self.carry_out(caller, &message);
        self.reply(caller, outcome);
    }

    fn carry_out(&mut self, caller: Caller, message: &[u8]) -> Outcome<Answer> {
        let (call, blob) = split(message)?;
        let params = call.get("params").unwrap_or(&Value::Null);
        match call.get("method").and_then(Value::as_str).unwrap_or("") {
            "setup" => self.setup(params),
            "forget" => self.forget(),
            "bindDisk" => self.bind_disk(params),
            "createVolume" => self.create_volume(params),
            "putFiles" => self.put_files(params, blob),
            "readFile" => self.read_file(params),
            "createContainer" => self.create_container(params),
            "createExec" => self.create_exec(params),
            "startContainer" => self.start_container(caller, params),
            "awaitReady" => self.await_ready(caller, params),
            "readFilter" => self.read_filter(params),
            "signal" => self.signal_container(params),
            "removeContainer" => self.remove_container(caller, params),
            "updateResources" => self.update_resources(params),
            "listContainers" => Ok(Answer::With(self.list_containers())),
            "stats" => self.stats(caller),
            "output" => self.output(params),
            "acknowledge" => self.acknowledge(params),
            "writeStdin" => self.write_stdin(caller, params, blob),
            "closeStdin" => self.close_stdin(params),
            "hangUp" => self.hang_up(params),
            "resizeTty" => self.resize_tty(params),
            "exec" => self.exec(caller, params),
            "dial" => self.dial(caller, params),
            "freeze" => self.freeze(params),
            "processes" => self.processes(params),
            "signalSession" => self.signal_session(params),
            "resizeSession" => self.resize_session(params),
            other => Err(Failure::new("Unsupported", format!("this agent has no call {:?}", other))),
        }
    }

    pub fn reply(&mut self, caller: Caller, outcome: Outcome<Answer>) {
        if caller.connection != self.connection {
            return;
        }
        let (head, blob) = match outcome {
            Ok(Answer::Later) => return,
            Ok(Answer::Done) => (json!({ "ok": null }), Vec::new()),
            Ok(Answer::With(value)) => (json!({ "ok": value }), Vec::new()),
            Ok(Answer::Blob(blob)) => (json!({ "ok": null }), blob),
            Err(failure) => (json!({ "error": { "reason": failure.reason, "message": failure.message } }), Vec::new()),
        };
        let head = head.to_string().into_bytes();
        let mut message = (head.len() as u32).to_le_bytes().to_vec();
        message.extend_from_slice(&head);
        message.extend_from_slice(&blob);
        let mut pieces = message.chunks(wire::MAX_PAYLOAD).peekable();
        while let Some(piece) = pieces.next() {
            self.channel.send(wire::REPLY, pieces.peek().is_some() as u8, caller.call, &[piece]);
        }
    }

    pub fn event(&mut self, event: Value) {
        self.channel.send(wire::EVENT, 0, 0, &[event.to_string().as_bytes()]);
    }
}

fn split(message: &[u8]) -> Outcome<(Value, &[u8])> {
    let short = || Failure::bad("a call that is shorter than it says");
    let length = message.get(..4).ok_or_else(short)?;
    let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
    if length > MAX_JSON {
        return Err(Failure::new("RequestEntityTooLarge", "JSON of more than 4 MiB"));
    }
    let head = message.get(4..4 + length).ok_or_else(short)?;
    let call = serde_json::from_slice(head).map_err(|error| Failure::bad(format!("a call that is no JSON: {}", error)))?;
    Ok((call, &message[4 + length..]))
}
