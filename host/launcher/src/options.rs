//! The command line. Unknown or repeated single options are refused by name.

use crate::mount::{self, ShareMount};

/// A descriptor the VMM shall find under a fixed number.
#[derive(Debug, PartialEq)]
pub enum Give {
    /// `--file FD:r|rw:PATH`: an open file.
    File { fd: i32, writable: bool, path: String },
    /// `--listen FD:PATH`: a listening unix socket, mode 0600, made here.
    Listen { fd: i32, path: String },
    /// `--tap FD:NAME[:PATH]`: the tap device NAME of the network namespace PATH, or of the caller's.
    Tap { fd: i32, name: String, namespace: Option<String> },
    /// `--spare-tap FD`: a tap that is tied to no real device (see tap.rs); with hold it may be tied to one later.
    SpareTap { fd: i32 },
    /// `--memory FD:BYTES`: fresh anonymous memory that can be sealed (see memory.rs); only with hold.
    Memory { fd: i32, bytes: u64 },
    /// `--memory-copy FD:PATH`: fresh anonymous memory with the content of PATH, a template's, which others may be given too (see memory.rs).
    MemoryCopy { fd: i32, path: String },
    /// `--share FD:r|rw:DIRECTORY`: a connection to a server of that directory, which is started too (see share.rs).
    Share { fd: i32, writable: bool, path: String },
}

impl Give {
    pub fn fd(&self) -> i32 {
        match self {
            Give::File { fd, .. } | Give::Listen { fd, .. } | Give::Tap { fd, .. } | Give::Share { fd, .. } => *fd,
            Give::SpareTap { fd } | Give::Memory { fd, .. } | Give::MemoryCopy { fd, .. } => *fd,
        }
    }
}

#[derive(Debug, Default, PartialEq)]
pub struct Launch {
    /// The machine's directory: `pid` and `vmm.log` are written there.
    pub directory: String,
    /// uid and gid the VMM runs as; never 0.
    pub uid: u32,
    /// cgroup directories to join, one per hierarchy.
    pub cgroups: Vec<String>,
    pub give: Vec<Give>,
    /// Device nodes of the host that the jail's /dev holds as well (/dev/kvm).
    pub devices: Vec<String>,
    /// Directories beside the system's that the jail shows read-only (a VMM under /opt).
    pub shows: Vec<String>,
    /// KEY=VALUE; nothing else is in the VMM's environment.
    pub environment: Vec<String>,
    /// `--huge-pages no`: the kernel gives it small pages only. A huge page for a table of a few KiB is 2 MiB of memory in every machine.
    pub small_pages: bool,
    /// Path of the QMP socket for `send`, among the --listen ones; only with hold.
    pub monitor: Option<String>,
    /// Path of virtiofsd; wanted with --share.
    pub share_server: Option<String>,
    pub program: Vec<String>,
}

#[derive(Debug, PartialEq)]
pub enum Command {
    Run(Launch),
    Hold(Launch),
    Pass(String),
    Mount(ShareMount),
    Binds,
    Tsc,
    Version,
}

pub fn parse(arguments: &[String]) -> Result<Command, String> {
    let usage = "usage: sampan-launch run|hold OPTIONS -- PROGRAM ARGS, or sampan-launch pass SOCKET";
    match arguments.first().map(String::as_str) {
        Some("run") => {
            let launch = parse_launch(&arguments[1..])?;
            if launch.give.iter().any(|give| matches!(give, Give::Memory { .. })) {
                return Err("--memory needs somebody who stays: use hold".into());
            }
            Ok(Command::Run(launch))
        }
        Some("hold") => parse_launch(&arguments[1..]).map(Command::Hold),
        Some("pass") if arguments.len() == 2 => Ok(Command::Pass(arguments[1].clone())),
        Some("mount") => mount::parse(&arguments[1..]).map(Command::Mount),
        Some("binds") if arguments.len() == 1 => Ok(Command::Binds),
        Some("tsc") => Ok(Command::Tsc),
        Some("--version") => Ok(Command::Version),
        _ => Err(usage.into()),
    }
}

fn parse_launch(arguments: &[String]) -> Result<Launch, String> {
    let mut launch = Launch::default();
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        if name == "--" {
            launch.program = rest.cloned().collect();
            break;
        }
        let value = rest.next().ok_or_else(|| format!("{} wants a value", name))?.clone();
        match name.as_str() {
            "--directory" => launch.directory = value,
            "--uid" => launch.uid = number(name, &value)?,
            "--cgroup" => launch.cgroups.push(value),
            "--device" => launch.devices.push(value),
            "--show" => launch.shows.push(value),
            "--env" => launch.environment.push(value),
            "--huge-pages" if value == "no" => launch.small_pages = true,
            "--monitor" => launch.monitor = Some(value),
            "--share-server" => launch.share_server = Some(value),
            "--file" | "--listen" | "--tap" | "--spare-tap" | "--memory" | "--memory-copy" | "--share" => {
                let give = parse_give(name, &value)?;
                if give.fd() < 3 || launch.give.iter().any(|other| other.fd() == give.fd()) {
                    return Err(format!("{} {}: descriptor {} is taken", name, value, give.fd()));
                }
                launch.give.push(give);
            }
            _ => return Err(format!("unknown option {}", name)),
        }
    }
    validate(&launch)?;
    Ok(launch)
}

fn validate(launch: &Launch) -> Result<(), String> {
    if !launch.directory.starts_with('/') {
        return Err("--directory wants an absolute path".into());
    }
    if launch.uid == 0 {
        return Err("--uid wants a uid that is not root's".into());
    }
    let shares = launch.give.iter().any(|give| matches!(give, Give::Share { .. }));
    if shares && launch.share_server.is_none() {
        return Err("--share needs --share-server".into());
    }
    match launch.program.first() {
        Some(program) if program.starts_with('/') => Ok(()),
        _ => Err("after -- comes the absolute path of the program".into()),
    }
}

fn parse_give(name: &str, value: &str) -> Result<Give, String> {
    let (fd_text, rest) = value.split_once(':').unwrap_or((value, ""));
    let fd: i32 = number(name, fd_text)?;
    let wanted = |form: &str| Err(format!("{} wants {}, not {:?}", name, form, value));
    match name {
        "--file" => match rest.split_once(':') {
            Some((access @ ("r" | "rw"), path)) if !path.is_empty() => Ok(Give::File {
                fd,
                writable: access == "rw",
                path: path.into(),
            }),
            _ => wanted("FD:r|rw:PATH"),
        },
        "--share" => match rest.split_once(':') {
            // The path goes on into a list of options.
            Some((access @ ("r" | "rw"), path)) if path.starts_with('/') && !path.contains(',') => Ok(Give::Share {
                fd,
                writable: access == "rw",
                path: path.into(),
            }),
            _ => wanted("FD:r|rw:/DIRECTORY, without a comma"),
        },
        "--spare-tap" if rest.is_empty() => Ok(Give::SpareTap { fd }),
        "--memory" => Ok(Give::Memory { fd, bytes: number(name, rest)? }),
        "--memory-copy" if rest.starts_with('/') => Ok(Give::MemoryCopy { fd, path: rest.into() }),
        "--listen" if !rest.is_empty() => Ok(Give::Listen { fd, path: rest.into() }),
        "--tap" => match rest.split_once(':').map_or((rest, None), |(name, path)| (name, Some(path))) {
            (name, None) if !name.is_empty() => Ok(Give::Tap { fd, name: name.into(), namespace: None }),
            (name, Some(path)) if !name.is_empty() && path.starts_with('/') => {
                Ok(Give::Tap { fd, name: name.into(), namespace: Some(path.into()) })
            }
            _ => wanted("FD:NAME or FD:NAME:/PATH"),
        },
        _ => wanted("FD:VALUE"),
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{} wants a number, not {:?}", name, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(String::from).collect()
    }

    #[test]
    fn reads_every_kind_of_descriptor() {
        let line = "hold --directory /d --uid 200001 --file 10:rw:/a:b --listen 11:/s --tap 12:t0:/run/n:1 --spare-tap 13 --memory 14:4096 --memory-copy 15:/m -- /q -x";
        let launch = match parse(&words(line)) {
            Ok(Command::Hold(launch)) => launch,
            other => panic!("{:?}", other),
        };
        assert_eq!(launch.give.iter().map(Give::fd).collect::<Vec<_>>(), [10, 11, 12, 13, 14, 15]);
        assert_eq!(launch.give[0], Give::File { fd: 10, writable: true, path: "/a:b".into() });
        assert_eq!(launch.give[2], Give::Tap { fd: 12, name: "t0".into(), namespace: Some("/run/n:1".into()) });
        assert_eq!(launch.program, ["/q", "-x"]);
    }

    #[test]
    fn refuses_root_unknown_options_and_doubled_descriptors_by_name() {
        let refusal = |line: &str| parse(&words(line)).unwrap_err();
        assert!(refusal("run --directory /d --uid 0 -- /q").contains("root"));
        assert!(refusal("run --directory /d --frob 1 -- /q").contains("--frob"));
        assert!(refusal("run --directory /d --uid 7 --tap 5:a --tap 5:b -- /q").contains("5"));
        assert!(refusal("run --directory /d --uid 7 --memory 5:10 -- /q").contains("hold"));
        assert!(refusal("run --directory /d --uid 7 -- q").contains("absolute"));
        assert!(refusal("run --directory /d --uid 7 --tap 1:a -- /q").contains("1"));
        assert!(refusal("run --directory /d --uid 7 --tap 5:a:b -- /q").contains("/PATH"));
        assert!(refusal("run --directory /d --uid 7 --share 40:rw:/a -- /q").contains("--share-server"));
        assert!(refusal("run --directory /d --uid 7 --share-server /v --share 40:rw:/a,b -- /q").contains("comma"));
    }
}
