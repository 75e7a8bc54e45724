//! exec: one more process in a running container, joined to a session. It comes in by itself (entry/), or by crun where anything about it is out of the
//! ordinary.

use std::fs;
use std::os::unix::io::AsRawFd;
use std::path::Path;

use serde_json::{json, Value};

use crate::agent::Agent;
use crate::calls::{Answer, Caller};
use crate::children::{Ended, Job};
use crate::container::State;
use crate::crun;
use crate::entry::{self, enter, Entered};
use crate::failure::{Context, Failure, Outcome};
use crate::host::{bounds, capabilities};
use crate::input::{Input, InputKind};
use crate::reactor::{Key, Source, READ};
use crate::session::{Kind, Session};
use crate::stdio::{output_pipe, take_terminal};
use crate::terminal::{self, ConsoleSocket};
use crate::{params, sys};

const DIRECTORY: &str = "/run/sampan/sessions";

impl Agent {
    pub fn exec(&mut self, caller: Caller, call: &Value) -> Outcome<Answer> {
        let stream = self.new_stream(call)?;
        let id = params::text(call, "containerId")?;
        let key = self.find_container(id).ok_or_else(|| Failure::not_found(format!("this sandbox has no container {}", id)))?;
        let container = &self.containers[&key];
        if !matches!(container.state, State::Running) {
            return Err(Failure::precondition(format!("container {} is {}, not running", id, container.state_name())));
        }
        let tty = params::flag(call, "tty");
        let process = self.process_in(&container.process, call, tty)?;
        fs::create_dir_all(DIRECTORY).context(|| format!("make {}", DIRECTORY))?;
        let files = crun::Files::new(Path::new(DIRECTORY), &stream.to_string());
        let mut session = Session::new(Kind::Process { pid: 0, files }, caller, Input::new(InputKind::Terminal, None));
        session.tty = tty;
        session.size = params::optional_number(call, "columns")?.zip(params::optional_number(call, "rows")?);
        let stdio = self.join(stream, &mut session, params::flag(call, "stdin"))?;
        if let Some(entered) = enter(&self.containers[&key], &process, &stdio)? {
            self.come_in(stream, session, entered);
            return Ok(Answer::Later);
        }
        let description = Path::new(DIRECTORY).join(format!("{}.json", stream));
        fs::write(&description, process.to_string()).context(|| "write the process's description".into())?;
        let arguments = ["exec", "--process", description.to_str().unwrap_or_default(), &self.containers[&key].called];
        let pid = match &mut session.kind {
            Kind::Process { pid, files } => {
                *pid = crun::spawn(files, tty, &arguments, stdio).context(|| "run crun".into())?;
                *pid
            }
            Kind::Connection { .. } => unreachable!("made above"),
        };
        self.sessions.insert(stream, session);
        self.watch_session(stream);
        if let Some(ended) = self.children.expect(pid, Job::SessionStart(stream)) {
            self.session_started(stream, ended);
        }
        Ok(Answer::Later)
    }

    /// What an exec asks for, as far as it can be had here.
    pub fn process_in(&self, own: &Value, call: &Value, tty: bool) -> Outcome<Value> {
        let mut process = process_of(own, call, tty)?;
        if self.host.is_some() {
            bounds::fit(&mut process);
            capabilities::fit(&mut process);
        }
        Ok(process)
    }

    /// Without crun: the process is the agent's child at once, and tells itself whether its program runs.
    fn come_in(&mut self, stream: Key, mut session: Session, entered: Entered) {
        if let Kind::Process { pid, .. } = &mut session.kind {
            *pid = entered.pid;
        }
        self.reactor.watch(entered.report.fd(), Source::SessionReport(stream), READ);
        session.report = Some(entered.report);
        self.sessions.insert(stream, session);
        self.children.adopt(entered.pid, Job::Session(stream));
        self.watch_session(stream);
    }

    pub fn session_told(&mut self, stream: Key) {
        let session = match self.sessions.get_mut(&stream) {
            Some(session) => session,
            None => return,
        };
        let told = match entry::told(&mut session.report, &mut self.reactor) {
            Some(told) => told,
            None => return,
        };
        let pid = match session.kind {
            Kind::Process { pid, .. } => pid,
            Kind::Connection { .. } => return,
        };
        let caller = session.opening.take();
        let answer = match told {
            Err(words) => {
                self.close_session(stream);
                Err(Failure::internal(words))
            }
            Ok(()) => Ok(Answer::With(json!({ "pid": pid }))),
        };
        if let Some(caller) = caller {
            self.reply(caller, answer);
        }
    }

    /// Makes the pipes or the console socket; gives the process's ends.
    fn join(&mut self, stream: Key, session: &mut Session, wants_stdin: bool) -> Outcome<crun::Stdio3> {
        let mut stdio: crun::Stdio3 = [None, None, None];
        if session.tty {
            // Where crun is told that it is.
            let console = match &session.kind {
                Kind::Process { files, .. } => ConsoleSocket::listen(&files.console).context(|| "make the console socket".into())?,
                Kind::Connection { .. } => unreachable!("has no terminal"),
            };
            self.reactor.watch(console.fd(), Source::SessionConsole(stream), READ);
            session.console = Some(console);
            return Ok(stdio);
        }
        for index in 0..2 {
            let (mine, theirs) = output_pipe().context(|| "make a pipe".into())?;
            session.outputs[index] = Some(mine);
            stdio[index + 1] = Some(theirs);
        }
        session.input = Input::new(InputKind::Pipe, None);
        if wants_stdin {
            let (theirs, mine) = sys::pipe().context(|| "make a pipe".into())?;
            sys::set_nonblocking(mine.as_raw_fd()).context(|| "make a pipe".into())?;
            session.input.connect(mine);
            stdio[0] = Some(theirs);
        } else {
            session.input.close();
        }
        Ok(stdio)
    }

    /// crun has ended: the process runs, or never will.
    pub fn session_started(&mut self, stream: Key, crun: Ended) {
        let session = match self.sessions.get_mut(&stream) {
            Some(session) => session,
            None => return,
        };
        let caller = session.opening.take();
        let _ = fs::remove_file(Path::new(DIRECTORY).join(format!("{}.json", stream)));
        let (pid, words) = match &mut session.kind {
            Kind::Process { pid, files } => {
                let started = files.read_pid().filter(|_| crun.code == 0);
                let words = if started.is_none() { files.words() } else { String::new() };
                files.remove();
                *pid = started.unwrap_or(0);
                (started, words)
            }
            Kind::Connection { .. } => return,
        };
        match (pid, caller) {
            (Some(pid), caller) => {
                if let Some(caller) = caller {
                    self.reply(caller, Ok(Answer::With(json!({ "pid": pid }))));
                }
                if let Some(ended) = self.children.expect(pid, Job::Session(stream)) {
                    self.session_exited(stream, ended);
                }
            }
            (None, caller) => {
                session.ended = Some(crun);
                self.close_session(stream);
                if let Some(caller) = caller {
                    self.reply(caller, Err(Failure::internal(words)));
                }
            }
        }
    }

    pub fn session_terminal(&mut self, stream: Key) {
        let session = match self.sessions.get_mut(&stream) {
            Some(session) => session,
            None => return,
        };
        let (master, copy) = match take_terminal(&mut self.reactor, &mut session.console) {
            Some(both) => both,
            None => return,
        };
        if let Some((columns, rows)) = session.size {
            let _ = terminal::resize(master.as_raw_fd(), columns, rows);
        }
        if let Some(copy) = copy {
            session.input.connect(copy);
        }
        session.outputs[0] = Some(master);
        self.watch_session(stream);
        self.flush_session(stream);
    }
}

/// The container's own process with other arguments; or, where the call has a whole `process` (runtime-spec), that one.
fn process_of(own: &Value, call: &Value, tty: bool) -> Outcome<Value> {
    if let Some(process) = call.get("process").filter(|process| process.is_object()) {
        let mut process = process.clone();
        process["terminal"] = json!(tty);
        return Ok(process);
    }
    let arguments = params::texts(call, "args")?;
    if arguments.is_empty() {
        return Err(Failure::bad("parameter args must not be empty"));
    }
    let mut process = own.clone();
    process["args"] = json!(arguments);
    process["terminal"] = json!(tty);
    let fields = process.as_object_mut().expect("a spec's process is an object");
    fields.remove("consoleSize");
    if let (true, Some(columns), Some(rows)) = (tty, params::optional_number(call, "columns")?, params::optional_number(call, "rows")?) {
        fields.insert("consoleSize".into(), json!({ "height": rows, "width": columns }));
    }
    if let Some(cwd) = params::optional_text(call, "cwd").filter(|cwd| !cwd.is_empty()) {
        fields.insert("cwd".into(), json!(cwd));
    }
    let mut env: Vec<Value> = params::list(own, "env").to_vec();
    env.extend(params::texts(call, "env")?.into_iter().map(Value::from));
    fields.insert("env".into(), json!(env));
    Ok(process)
}
