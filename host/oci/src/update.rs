//! `update`: new limits for a running container, from a file of runtime-spec's linux.resources, from flags, or both (flags win).

use std::io::Read;

use serde_json::{json, Value};

use crate::failure::{Context, Failure, Outcome};
use crate::options::{parse, Flag, Global};
use crate::service;

const FLAGS: &[Flag] = &[
    Flag("resources", 'r', true),
    Flag("memory", ' ', true),
    Flag("memory-reservation", ' ', true),
    Flag("memory-swap", ' ', true),
    Flag("cpu-quota", ' ', true),
    Flag("cpu-period", ' ', true),
    Flag("cpu-share", ' ', true),
    Flag("cpuset-cpus", ' ', true),
    Flag("cpuset-mems", ' ', true),
    Flag("pids-limit", ' ', true),
];

/// A flag, and where its value stands in linux.resources.
const PLACES: [(&str, &str, &str); 9] = [
    ("memory", "memory", "limit"),
    ("memory-reservation", "memory", "reservation"),
    ("memory-swap", "memory", "swap"),
    ("cpu-quota", "cpu", "quota"),
    ("cpu-period", "cpu", "period"),
    ("cpu-share", "cpu", "shares"),
    ("cpuset-cpus", "cpu", "cpus"),
    ("cpuset-mems", "cpu", "mems"),
    ("pids-limit", "pids", "limit"),
];

pub fn run(global: &Global, arguments: &[String]) -> Outcome<i32> {
    let options = parse(arguments, FLAGS, false)?;
    let mut resources = match options.value("resources") {
        Some(path) => serde_json::from_str::<Value>(&read(path)?).context(|| path.to_string())?,
        None => json!({}),
    };
    if !resources.is_object() {
        return Err(Failure::new("--resources is not an object of runtime-spec's linux.resources"));
    }
    for (flag, group, name) in PLACES {
        if let Some(text) = options.value(flag) {
            resources[group][name] = match group == "cpu" && name.ends_with('s') && name != "shares" {
                true => json!(text),
                false => json!(text.parse::<i64>().context(|| format!("--{} {:?}", flag, text))?),
            };
        }
    }
    service::call("update", json!({ "root": global.root, "id": options.id()?, "resources": resources })).map(|_| 0)
}

/// "-" is standard input; at most 1 MiB.
fn read(path: &str) -> Outcome<String> {
    let mut text = String::new();
    let got = match path {
        "-" => std::io::stdin().take(1 << 20).read_to_string(&mut text),
        _ => std::fs::File::open(path).and_then(|file| file.take(1 << 20).read_to_string(&mut text)),
    };
    got.context(|| path.to_string()).map(|_| text)
}
