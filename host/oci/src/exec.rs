//! `exec`: another process in a running container, waited for or left behind with a holder of its own.

use std::fs;

use serde_json::{json, Value};

use crate::create::{detach, refuse_descriptors};
use crate::failure::{Context, Failure, Outcome};
use crate::holder::{self, Ask};
use crate::options::{parse, Flag, Global, Parsed};
use crate::{files, service, terminal};

const FLAGS: &[Flag] = &[
    Flag("process", 'p', true),
    Flag("pid-file", ' ', true),
    Flag("console-socket", ' ', true),
    Flag("detach", 'd', false),
    Flag("tty", 't', false),
    Flag("cwd", ' ', true),
    Flag("env", 'e', true),
    Flag("user", 'u', true),
    Flag("additional-gids", 'g', true),
    Flag("preserve-fds", ' ', true),
    Flag("no-new-privs", ' ', false),
    Flag("cap", 'c', true),
];

pub fn run(global: &Global, arguments: &[String]) -> Outcome<i32> {
    let options = parse(arguments, FLAGS, true)?;
    refuse_descriptors(&options)?;
    let (id, command) = options.rest.split_first().ok_or_else(|| Failure::new("exec needs a container id"))?;
    let params = json!({ "root": global.root, "id": id, "process": process(&options, command)? });
    let console_socket = options.path("console-socket").map(String::from);
    let foreground = !options.is_set("detach");
    let ask = Ask { method: "exec", params, console_socket, foreground };
    if !foreground {
        return detach(ask, options.path("pid-file"));
    }
    terminal::fill_standard_streams()?;
    holder::hold(service::connect()?, ask, || files::write_own_pid(options.path("pid-file")))
}

/// OCI's `process`: the file as it stands, or made of flags; what they leave open is the container's own.
fn process(options: &Parsed, command: &[String]) -> Outcome<Value> {
    let mut process = match options.value("process") {
        Some(path) => {
            let text = fs::read(path).context(|| path.to_string())?;
            serde_json::from_slice::<Value>(&text).context(|| path.to_string())?
        }
        None if command.is_empty() => return Err(Failure::new("exec needs a command, or --process")),
        None => json!({ "args": command, "inherit": true }),
    };
    if options.is_set("tty") {
        process["terminal"] = json!(true);
    }
    if options.is_set("no-new-privs") {
        process["noNewPrivileges"] = json!(true);
    }
    let capabilities = options.values("cap");
    if !capabilities.is_empty() {
        process["moreCapabilities"] = json!(capabilities);
    }
    if let Some(directory) = options.value("cwd") {
        process["cwd"] = json!(directory);
    }
    if options.value("process").is_none() {
        process["env"] = json!(options.values("env"));
        if let Some(user) = options.value("user") {
            process["user"] = user_of(user, &options.values("additional-gids"))?;
        }
    }
    Ok(process)
}

/// UID[:GID], as runc wants it.
fn user_of(text: &str, groups: &[&str]) -> Outcome<Value> {
    let number = |part: &str| part.parse::<u32>().context(|| format!("--user {:?} is not UID[:GID]", text));
    let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
    let groups = groups.iter().map(|group| number(group)).collect::<Outcome<Vec<u32>>>()?;
    Ok(json!({ "uid": number(uid)?, "gid": number(gid)?, "additionalGids": groups }))
}
