//! `run`: create and start in one. Without --detach this process is the container's holder itself: it ends as the container does, and forgets it first.

use serde_json::{json, Value};

use crate::create::{self, ask, detach, refuse_descriptors};
use crate::failure::Outcome;
use crate::options::{parse, Flag, Global};
use crate::{files, holder, service, terminal};

/// Besides those of `create`.
const MORE: &[Flag] = &[Flag("detach", 'd', false), Flag("keep", ' ', false)];

pub fn run(global: &Global, arguments: &[String]) -> Outcome<i32> {
    let options = parse(arguments, &[create::FLAGS, MORE].concat(), false)?;
    let id = options.id()?;
    refuse_descriptors(&options)?;
    let named = json!({ "root": global.root, "id": id });
    let is_detached = options.is_set("detach");
    let ask = ask(global, &options, id, !is_detached)?;
    let pid_file = options.path("pid-file");
    if is_detached {
        detach(ask, pid_file)?;
        return started(&named).map(|_| 0);
    }
    terminal::fill_standard_streams()?;
    let code = holder::hold(service::connect()?, ask, || {
        files::write_own_pid(pid_file).map_err(|failure| forgotten(&named, failure))?;
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
