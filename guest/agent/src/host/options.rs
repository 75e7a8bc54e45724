//! The command line of a machine on the host. Unknown options are refused by name.
//!
//!   --directory DIR      the machine's own: `agent` and `gifts` (sockets), `pid`, `console` are made in it
//!   --rootfs FILE        the miniOS, EROFS
//!   --network own|host|PATH   a fresh network namespace, the caller's, or the one that PATH names; default own
//!   --pid own|host, --ipc own|host
//!   --cgroup DIR         a cgroup to join, one for each hierarchy
//!   --group PATH         what these are called in the hierarchies, which the machine is then to see whole (groups.rs)
//!   --disk SLOT:r|rw:FILE
//!   --share TAG:r|rw:DIR

use crate::failure::{Failure, Outcome};

#[derive(Debug, PartialEq, Eq)]
pub enum Network {
    Own,
    Host,
    At(String),
}

#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    pub directory: String,
    pub rootfs: String,
    pub network: Network,
    pub host_pid: bool,
    pub host_ipc: bool,
    pub cgroups: Vec<String>,
    pub group: Option<String>,
    pub gifts: Vec<Wanted>,
}

/// A file or directory of the host that the machine is given.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    pub is_share: bool,
    pub name: String,
    pub writable: bool,
    pub path: String,
}

pub fn parse(arguments: &[String]) -> Outcome<Options> {
    let mut options = Options {
        directory: String::new(),
        rootfs: String::new(),
        network: Network::Own,
        host_pid: false,
        host_ipc: false,
        cgroups: Vec::new(),
        group: None,
        gifts: Vec::new(),
    };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().ok_or_else(|| Failure::bad(format!("{} wants a value", name)))?.clone();
        match name.as_str() {
            "--directory" => options.directory = value,
            "--rootfs" => options.rootfs = value,
            "--network" => {
                options.network = match value.as_str() {
                    "own" => Network::Own,
                    "host" => Network::Host,
                    path if path.starts_with('/') => Network::At(value),
                    _ => return Err(Failure::bad(format!("--network wants own, host or a path, not {:?}", value))),
                }
            }
            "--pid" => options.host_pid = is_host(name, &value)?,
            "--ipc" => options.host_ipc = is_host(name, &value)?,
            "--cgroup" => options.cgroups.push(value),
            "--group" => options.group = Some(value),
            "--disk" => options.gifts.push(wanted(false, &value)?),
            "--share" => options.gifts.push(wanted(true, &value)?),
            _ => return Err(Failure::bad(format!("unknown option {}", name))),
        }
    }
    for (name, value) in [("--directory", &options.directory), ("--rootfs", &options.rootfs)] {
        if !value.starts_with('/') {
            return Err(Failure::bad(format!("{} wants an absolute path", name)));
        }
    }
    Ok(options)
}

fn is_host(name: &str, value: &str) -> Outcome<bool> {
    match value {
        "own" => Ok(false),
        "host" => Ok(true),
        _ => Err(Failure::bad(format!("{} wants own or host, not {:?}", name, value))),
    }
}

/// `NAME:r|rw:PATH`.
fn wanted(is_share: bool, value: &str) -> Outcome<Wanted> {
    let mut parts = value.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(access @ ("r" | "rw")), Some(path)) if !name.is_empty() && path.starts_with('/') => {
            Ok(Wanted { is_share, name: name.into(), writable: access == "rw", path: path.into() })
        }
        _ => Err(Failure::bad(format!("wanted NAME:r|rw:PATH, not {:?}", value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Outcome<Options> {
        parse(&line.split(' ').map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn reads_disks_with_colons_in_their_paths_and_namespaces() {
        let options = read("--directory /d --rootfs /r --network /proc/7/ns/net --pid host --disk scratch:rw:/a:b --share s:r:/c --cgroup /g --group /t/m").unwrap();
        assert_eq!((options.cgroups, options.group), (vec!["/g".to_string()], Some("/t/m".to_string())));
        assert_eq!((options.network, options.host_pid, options.host_ipc), (Network::At("/proc/7/ns/net".into()), true, false));
        assert_eq!(options.gifts[0], Wanted { is_share: false, name: "scratch".into(), writable: true, path: "/a:b".into() });
        assert!(options.gifts[1].is_share);
    }

    #[test]
    fn refuses_what_it_does_not_know_by_name() {
        assert!(read("--directory /d --rootfs /r --frob 1").unwrap_err().message.contains("--frob"));
        assert!(read("--directory d --rootfs /r").unwrap_err().message.contains("--directory"));
        assert!(read("--directory /d --rootfs /r --disk x").unwrap_err().message.contains("NAME:r|rw:PATH"));
        assert!(read("--directory /d --rootfs /r --pid ours").unwrap_err().message.contains("--pid"));
    }
}
