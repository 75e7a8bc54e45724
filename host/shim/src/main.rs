//! containerd-shim-sampan-v2: containerd starts it for each task, and it ends in a few milliseconds.
//!
//!   start    tells the node-wide process of the task, and prints what containerd is to connect to: the address of the task API for containerd 1.x, which
//!            also finds it in the bundle; JSON with version, address and protocol for containerd 2
//!   delete   has the process give the task up, and prints a DeleteResponse (protobuf)
//!   -info    prints a RuntimeInfo (protobuf): name and version
//!   relay    one a node, started by the process itself: holds containerd's connections while that one is away (relay.rs)
//!   loopback one a node, a child of the process: listens on the loopback of Pods' network namespaces (loopback.rs)
//!
//! The first two follow containerd's "Runtime v2" (docs/runtime-v2.md: flags, environment, working directory). The process is found by
//! <home>/runtime/shim.conf, which it wrote when it last ran; where it is not there any more, it is started anew as that file says.
//! Owns nothing else: no task, no stdio, no process per container.

mod conf;
mod control;
mod holds;
mod info;
mod loopback;
mod options;
mod relay;

use std::io::Write;
use std::process::exit;
use std::time::{Duration, Instant};

use conf::Conf;
use options::{Action, Options};

/// A process that starts opens its sockets only when it has taken up what runs.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, path] = arguments.as_slice() {
        let path = std::path::Path::new(path);
        let served = match verb.as_str() {
            "relay" => Some(relay::serve(path)),
            "loopback" => Some(loopback::serve(path)),
            _ => None,
        };
        match served {
            Some(Ok(())) => return,
            Some(Err(words)) => fail(&words),
            None => {}
        }
    }
    let outcome = Options::from_environment().and_then(|options| carry_out(&options));
    if let Err(words) = outcome {
        fail(&words);
    }
}

fn fail(words: &str) -> ! {
    eprintln!("containerd-shim-sampan-v2: {}", words);
    exit(1);
}

fn carry_out(options: &Options) -> Result<(), String> {
    match options.action {
        Action::Version => {
            println!("containerd-shim-sampan-v2 {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Action::Info => print(&info::runtime_info(options.handler)),
        Action::Start => {
            let answer = ask("start", options)?;
            // containerd 1.x that is started anew finds the task again by this file; 2 has one of its own.
            if answer.starts_with(b"unix:") {
                std::fs::write(options.bundle.join("address"), &answer).map_err(|error| format!("write {}/address: {}", options.bundle.display(), error))?;
            }
            print(&answer)
        }
        Action::Delete => print(&ask("delete", options)?),
    }
}

fn ask(verb: &str, options: &Options) -> Result<Vec<u8>, String> {
    let conf = Conf::read()?;
    let (bundle, parent) = (options.bundle.to_string_lossy(), options.parent.to_string());
    let line = [verb, &options.namespace, &options.id, &options.containerd, &bundle, options.handler, &parent].join("\t");
    if let Some(answer) = control::ask(&conf.control, &line)? {
        return Ok(answer);
    }
    conf.start()?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(answer) = control::ask(&conf.control, &line)? {
            return Ok(answer);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(format!("the runtime was started but did not answer within {} s; its log is {}", PATIENCE.as_secs(), conf.log.display()))
}

fn print(bytes: &[u8]) -> Result<(), String> {
    let mut out = std::io::stdout();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| format!("write the answer: {}", error))
}
