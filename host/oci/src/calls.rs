//! Commands that are one question to the service and one answer, perhaps with something to print.

use std::io::Write;

use serde_json::{json, Value};

use crate::failure::{Context, Failure, Outcome};
use crate::options::{parse, Flag, Global, Parsed};
use crate::{files, service, signals};

const NONE: &[Flag] = &[];
const FORCE: &[Flag] = &[Flag("force", 'f', false)];
const ALL: &[Flag] = &[Flag("all", 'a', false)];
const FORMAT: &[Flag] = &[Flag("format", 'f', true), Flag("quiet", 'q', false)];
const EVENTS: &[Flag] = &[Flag("stats", ' ', false), Flag("interval", ' ', true)];

pub fn run(global: &Global, name: &str, arguments: &[String]) -> Outcome<i32> {
    let options = parse(arguments, flags_of(name), false)?;
    let params = params_of(global, name, &options)?;
    if name == "events" {
        return stream(params);
    }
    let result = service::call(name, params)?;
    match result["print"].as_str() {
        Some(text) => files::print(text),
        None => Ok(0),
    }
}

fn flags_of(name: &str) -> &'static [Flag] {
    match name {
        "delete" => FORCE,
        "kill" => ALL,
        "list" | "ps" => FORMAT,
        "events" => EVENTS,
        _ => NONE,
    }
}

fn params_of(global: &Global, name: &str, options: &Parsed) -> Outcome<Value> {
    let root = &global.root;
    Ok(match name {
        "kill" => {
            let (id, signal) = match options.rest.as_slice() {
                [id] => (id, "TERM"),
                [id, signal] => (id, signal.as_str()),
                _ => return Err(Failure::new("kill takes a container id and a signal")),
            };
            json!({ "root": root, "id": id, "signal": signals::number_of(signal)?, "all": options.is_set("all") })
        }
        "list" => json!({ "root": root, "format": options.value("format").unwrap_or("table"), "quiet": options.is_set("quiet") }),
        "ps" => json!({ "root": root, "id": options.id()?, "format": options.value("format").unwrap_or("table") }),
        "delete" => json!({ "root": root, "id": options.id()?, "force": options.is_set("force") }),
        "events" => json!({ "root": root, "id": options.id()?, "stats": options.is_set("stats"), "intervalMs": interval(options)? }),
        _ => json!({ "root": root, "id": options.id()? }),
    })
}

/// Go's way of writing it, as far as people do ("5s", "500ms"), or plain seconds.
fn interval(options: &Parsed) -> Outcome<u64> {
    let text = options.value("interval").unwrap_or("5s");
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').unwrap_or(text), 1000),
    };
    let value = number.parse::<u64>().ok().filter(|value| *value > 0 && *value <= 1_000_000);
    value.map(|value| value * unit).ok_or_else(|| Failure::new(format!("--interval {:?} is not a duration such as 5s", text)))
}

fn stream(params: Value) -> Outcome<i32> {
    let mut connection = service::connect()?;
    connection.send(&json!({ "method": "events", "params": params }))?;
    while let Some(value) = connection.next()? {
        match value["line"].as_str() {
            Some(line) => writeln!(std::io::stdout(), "{}", line).context(|| "write to stdout".into())?,
            None => return service::result_of(value).map(|_| 0),
        }
    }
    Ok(0)
}
