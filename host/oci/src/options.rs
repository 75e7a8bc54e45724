//! Arguments as runc, crun and their callers write them: `--flag value`, `--flag=value`, `-f value`, and `-flag` for `--flag`.

use crate::failure::{Failure, Outcome};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// What stands before the command.
pub struct Global {
    /// Containers of one root do not see those of another; ids need to be unique within one.
    pub root: String,
    pub log: Option<String>,
    pub log_format: LogFormat,
}

impl Default for Global {
    fn default() -> Global {
        Global { root: "/run/sampan-runtime".into(), log: None, log_format: LogFormat::Text }
    }
}

/// A flag of a command: its name, one letter for it (or none: ' '), whether a value follows.
#[derive(Clone)]
pub struct Flag(pub &'static str, pub char, pub bool);

pub struct Parsed {
    given: Vec<(&'static str, String)>,
    pub rest: Vec<String>,
}

impl Parsed {
    /// The last value given.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.given.iter().rev().find(|(flag, _)| *flag == name).map(|(_, value)| value.as_str())
    }

    /// The same for paths, where an empty one says nothing.
    pub fn path(&self, name: &str) -> Option<&str> {
        self.value(name).filter(|path| !path.is_empty())
    }

    pub fn values(&self, name: &str) -> Vec<&str> {
        self.given.iter().filter(|(flag, _)| *flag == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.value(name).map_or(false, |value| value != "false")
    }

    /// Exactly one argument: the container's id.
    pub fn id(&self) -> Outcome<&str> {
        match self.rest.as_slice() {
            [id] => Ok(id),
            others => Err(Failure::new(format!("one container id is wanted, {} arguments were given", others.len()))),
        }
    }
}

const GLOBAL: &[Flag] = &[
    Flag("root", ' ', true),
    Flag("log", ' ', true),
    Flag("log-format", ' ', true),
    Flag("systemd-cgroup", ' ', false),
    Flag("cgroup-manager", ' ', true),
    Flag("debug", ' ', false),
    Flag("version", 'v', false),
    Flag("help", 'h', false),
];

/// Gives what stands before the command, and the command with its arguments.
pub fn parse_global(arguments: &[String]) -> Outcome<(Global, Vec<String>)> {
    let parsed = parse(arguments, GLOBAL, true)?;
    let mut global = Global::default();
    if let Some(word) = ["version", "help"].into_iter().find(|word| parsed.is_set(word)) {
        return Ok((global, vec![word.into()]));
    }
    if let Some(root) = parsed.value("root") {
        global.root = root.into();
    }
    global.log = parsed.path("log").map(String::from);
    global.log_format = match parsed.value("log-format").unwrap_or("text") {
        "json" => LogFormat::Json,
        "text" | "" => LogFormat::Text,
        other => return Err(Failure::new(format!("--log-format is {:?}; wanted text or json", other))),
    };
    Ok((global, parsed.rest))
}

/// `until_word`: the first argument that is no flag ends the flags, as for a command that carries another.
pub fn parse(arguments: &[String], flags: &[Flag], until_word: bool) -> Outcome<Parsed> {
    let mut parsed = Parsed { given: Vec::new(), rest: Vec::new() };
    let mut left = arguments.iter();
    while let Some(argument) = left.next() {
        if argument == "--" || !argument.starts_with('-') || argument == "-" {
            if argument != "--" {
                parsed.rest.push(argument.clone());
            }
            if until_word || argument == "--" {
                parsed.rest.extend(left.by_ref().cloned());
            }
            continue;
        }
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (argument.as_str(), None),
        };
        let flag = find(name, flags).ok_or_else(|| Failure::new(format!("flag {} is not supported", name)))?;
        let value = match (inline, flag.2) {
            (Some(value), _) => value,
            (None, false) => "true".into(),
            (None, true) => left.next().ok_or_else(|| Failure::new(format!("flag {} needs a value", name)))?.clone(),
        };
        parsed.given.push((flag.0, value));
    }
    Ok(parsed)
}

fn find<'a>(name: &str, flags: &'a [Flag]) -> Option<&'a Flag> {
    let bare = name.trim_start_matches('-');
    flags.iter().find(|flag| flag.0 == bare || (bare.chars().count() == 1 && bare.starts_with(flag.1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn what_conmon_and_podman_write_is_understood() {
        let (global, command) = parse_global(&words("--log-format=json --log /b/oci-log create --bundle /b --pid-file /p abc")).unwrap();
        assert_eq!(global.log.as_deref(), Some("/b/oci-log"));
        assert!(global.log_format == LogFormat::Json);
        let create = parse(&command[1..], &[Flag("bundle", 'b', true), Flag("pid-file", ' ', true)], false).unwrap();
        assert_eq!((create.value("bundle"), create.id().unwrap()), (Some("/b"), "abc"));
        let delete = parse(&words("abc --force"), &[Flag("force", 'f', false)], false).unwrap();
        assert!(delete.is_set("force") && delete.id().unwrap() == "abc");
    }

    #[test]
    fn the_version_may_be_asked_for_after_other_flags() {
        for text in ["--version", "-v", "--root /r --version", "--version list"] {
            assert_eq!(parse_global(&words(text)).unwrap().1, words("version"), "{}", text);
        }
    }

    #[test]
    fn a_command_carried_along_keeps_its_own_flags() {
        let exec = parse(&words("-t abc ls -l --all"), &[Flag("tty", 't', false)], true).unwrap();
        assert_eq!(exec.rest, words("abc ls -l --all"));
    }

    #[test]
    fn an_unknown_flag_is_refused_by_name() {
        assert!(parse(&words("--nothing"), GLOBAL, true).err().unwrap().message.contains("--nothing"));
    }
}
