//! `run`: create and start in one. Without --detach this process is the container's holder itself: it ends as the container does, and forgets it first.

use serde_json::{json, Value};

use crate::create::{ask, detach, refuse_descriptors};
use crate::failure::Outcome;
use crate::options::{parse, Flag, Global};
use crate::{files, holder, service, terminal};

const FLAGS: &[Flag] = &[
    Flag("bundle", 'b', true),
    Flag("pid-file", ' ', true),
    Flag("console-socket", ' ', true),
    Flag("detach", 'd', false),
    Flag("keep", ' ', false),
    Flag("no-pivot", ' ', false),
    Flag("no-new-keyring", ' ', false),
    Flag("preserve-fds", ' ', true),
];

pub fn run(global: &Global, arguments: &[String]) -> Outcome<i32> {
    let options = parse(arguments, FLAGS, false)?;
    let id = options.id()?;
    refuse_descriptors(&options)?;
    let named = json!({ "root": global.root, "id": id });
    let is_detached = options.is_set("detach");
    let ask = ask(global, &options, id, !is_detached)?;
    let pid_file = options.value("pid-file").filter(|path| !path.is_empty());
    if is_detached {
        detach(ask, pid_file)?;
        return started(&named).map(|_| 0);
    }
    terminal::fill_standard_streams()?;
    let code = holder::hold(service::connect()?, ask, || {
        if let Some(path) = pid_file {
            files::write_pid_file(path, std::process::id() as libc::pid_t).map_err(|failure| forgotten(&named, failure))?;
        }
        started(&named)
    })?;
    if !options.is_set("keep") {
        delete(&named)?;
    }
    Ok(code)
}

/// What does not start is not left behind.
fn started(named: &Value) -> Outcome<()> {
    service::call("start", named.clone()).map(|_| ()).map_err(|failure| forgotten(named, failure))
}

fn forgotten<T>(named: &Value, failure: T) -> T {
    let _ = delete(named);
    failure
}

fn delete(named: &Value) -> Outcome<()> {
    let mut params = named.clone();
    params["force"] = json!(true);
    service::call("delete", params).map(drop)
}
