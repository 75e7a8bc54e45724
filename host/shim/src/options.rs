//! The command line and environment as containerd gives them.

use std::env;
use std::path::PathBuf;

#[derive(Debug, PartialEq)]
pub enum Action {
    Start,
    Delete,
    Version,
    Info,
}

#[derive(Debug)]
pub struct Options {
    pub action: Action,
    pub namespace: String,
    pub id: String,
    pub bundle: PathBuf,
    /// containerd's ttrpc socket: where events go.
    pub containerd: String,
    /// What a task's machine is, unless it says otherwise: by the name that this program was called by.
    pub handler: &'static str,
    /// Whoever runs us: containerd, whose version decides how it is answered.
    pub parent: u32,
}

impl Options {
    pub fn from_environment() -> Result<Options, String> {
        let here = env::current_dir().map_err(|error| format!("find the working directory: {}", error))?;
        let mut arguments = env::args();
        let handler = handler_of(&arguments.next().unwrap_or_default());
        let options = parse(arguments, |name| env::var(name).ok(), here)?;
        Ok(Options { handler, parent: std::os::unix::process::parent_id(), ..options })
    }
}

/// containerd makes a program's name of a runtime's: io.containerd.sampan-namespace.v2 is containerd-shim-sampan-namespace-v2.
fn handler_of(program: &str) -> &'static str {
    let name = program.rsplit('/').next().unwrap_or(program);
    if name == "containerd-shim-sampan-namespace-v2" {
        "namespace"
    } else {
        "vm"
    }
}

/// Flags in Go's way: one or two dashes, a value behind it or after '='. Those that say nothing to us are read over.
fn parse(mut arguments: impl Iterator<Item = String>, variable: impl Fn(&str) -> Option<String>, here: PathBuf) -> Result<Options, String> {
    let (mut namespace, mut id, mut bundle, mut address, mut action) = (String::new(), String::new(), None, String::new(), None);
    while let Some(argument) = arguments.next() {
        let flag = match argument.strip_prefix('-') {
            Some(flag) => flag.trim_start_matches('-').to_string(),
            None => {
                action = Some(argument);
                continue;
            }
        };
        let (name, given) = match flag.split_once('=') {
            Some((name, value)) => (name.to_string(), Some(value.to_string())),
            None => (flag, None),
        };
        match name.as_str() {
            "v" | "version" => {
                action = Some("version".into());
                continue;
            }
            "info" => {
                action = Some("info".into());
                continue;
            }
            "debug" => continue,
            _ => {}
        }
        let value = given.or_else(|| arguments.next()).ok_or_else(|| format!("flag -{} has no value", name))?;
        match name.as_str() {
            "namespace" => namespace = value,
            "id" => id = value,
            "bundle" => bundle = Some(PathBuf::from(value)),
            "address" => address = value,
            _ => {}
        }
    }
    let action = match action.as_deref() {
        Some("start") => Action::Start,
        Some("delete") => Action::Delete,
        Some("version") => return Ok(Options { action: Action::Version, namespace, id, bundle: here, containerd: address, handler: "vm", parent: 0 }),
        Some("info") => return Ok(Options { action: Action::Info, namespace, id, bundle: here, containerd: address, handler: "vm", parent: 0 }),
        other => return Err(format!("wanted start or delete, not {:?}; containerd runs this program, people do not", other.unwrap_or(""))),
    };
    for (name, value) in [("namespace", &namespace), ("id", &id)] {
        if value.is_empty() || value.contains(|c: char| c.is_control()) {
            return Err(format!("flag -{} is missing or unfit", name));
        }
    }
    let given = bundle.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| here.clone());
    let bundle = if given.is_absolute() { given } else { here.join(given) };
    // Older ones told the first only; its ttrpc socket stands beside it.
    let containerd = variable("TTRPC_ADDRESS").filter(|path| !path.is_empty()).unwrap_or_else(|| format!("{}.ttrpc", address));
    let containerd = containerd.trim_start_matches("unix://").to_string();
    if !containerd.starts_with('/') {
        return Err(format!("containerd's ttrpc socket {:?} is not absolute (TTRPC_ADDRESS)", containerd));
    }
    Ok(Options { action, namespace, id, bundle, containerd, handler: "vm", parent: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str, ttrpc: Option<&str>) -> Result<Options, String> {
        parse(line.split_whitespace().map(String::from), |_| ttrpc.map(String::from), PathBuf::from("/here"))
    }

    #[test]
    fn containerd_starts_a_task() {
        let line = "-namespace default -address /c.sock -publish-binary /usr/bin/containerd -id web -debug start";
        let options = parsed(line, Some("/c.sock.ttrpc")).unwrap();
        assert_eq!((options.action, options.namespace.as_str(), options.id.as_str()), (Action::Start, "default", "web"));
        assert_eq!((options.bundle, options.containerd.as_str()), (PathBuf::from("/here"), "/c.sock.ttrpc"));
    }

    #[test]
    fn the_bundle_of_a_delete_is_a_flag_and_the_socket_may_be_derived() {
        let options = parsed("-namespace k8s.io -id web -address /run/c.sock -bundle /b/web delete", None).unwrap();
        assert_eq!((options.action, options.bundle, options.containerd.as_str()), (Action::Delete, PathBuf::from("/b/web"), "/run/c.sock.ttrpc"));
    }

    #[test]
    fn containerd_2_asks_what_the_runtime_is() {
        assert_eq!(parsed("-info", None).unwrap().action, Action::Info);
    }

    #[test]
    fn the_programs_name_says_the_handler() {
        assert_eq!(handler_of("/usr/bin/containerd-shim-sampan-v2"), "vm");
        assert_eq!(handler_of("containerd-shim-sampan-namespace-v2"), "namespace");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(parsed("-namespace default -address /c.sock start", None).unwrap_err().contains("-id"));
        assert!(parsed("-namespace default -id web -address /c.sock", None).unwrap_err().contains("start or delete"));
        assert!(parsed("-namespace default -id", None).unwrap_err().contains("no value"));
    }
}
