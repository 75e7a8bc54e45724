//! What a process is to be, read out of runtime-spec's `process` and laid out so that the child needs no memory of its own: between fork and exec it may
//! not ask for any.

use std::ffi::{CStr, CString};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::door::Door;
use crate::container::Container;
use crate::host::capabilities;
use crate::{filter, params, users};

const KNOWN: [&str; 11] = [
    "args", "env", "cwd", "user", "capabilities", "rlimits", "noNewPrivileges", "oomScoreAdj", "terminal", "consoleSize", "apparmorProfile",
];
const LIMITS: [&str; 16] = [
    "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
];
/// Where a program is looked for when the environment does not say.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Bit N is capability N.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub bounding: u64,
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
    pub ambient: u64,
}

pub struct Plan {
    arguments: Vec<CString>,
    environment: Vec<CString>,
    /// Null-terminated; into the two above.
    argument_pointers: Vec<*const libc::c_char>,
    environment_pointers: Vec<*const libc::c_char>,
    /// The program's file, or where it may be.
    pub candidates: Vec<CString>,
    pub directory: CString,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub umask: libc::mode_t,
    pub limits: Vec<(u32, libc::rlimit64)>,
    pub capabilities: Capabilities,
    pub last_capability: u32,
    pub no_new_privileges: bool,
    pub oom_score: Option<CString>,
    pub filter: Option<Vec<u64>>,
}

impl Plan {
    /// None where something is not known here.
    pub fn of(owner: &Container, process: &Value) -> Option<Plan> {
        let filter = match owner.door {
            Door::Crun => return None,
            Door::Plain => None,
            Door::Filtered => Some(saved_filter(&owner.called)?),
        };
        let last_capability = fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok()?.trim().parse().ok()?;
        let rootfs = owner.directory().join("rootfs");
        Plan::read(&owner.process, process, &rootfs).map(|plan| Plan { filter, last_capability, ..plan })
    }

    /// Fields that an exec leaves open are the container's own, as with crun: environment and capabilities.
    fn read(own: &Value, process: &Value, rootfs: &Path) -> Option<Plan> {
        let is_known = |(name, value): (&String, &Value)| value.is_null() || KNOWN.contains(&name.as_str());
        if !process.as_object()?.iter().all(is_known) || params::flag(process, "terminal") {
            return None;
        }
        if process.get("apparmorProfile").and_then(Value::as_str).map_or(false, |profile| !profile.is_empty()) {
            return None;
        }
        let user = &process["user"];
        let uid = number(user, "uid")?;
        let arguments = c_strings(&texts(process.get("args")?)?)?;
        let given = [process, own].iter().find_map(|process| texts(process.get("env")?).filter(|env| !env.is_empty()));
        let environment = environment_of(&given.unwrap_or_default(), rootfs, uid);
        let candidates = candidates_of(arguments.first()?, &environment);
        let environment = c_strings(&environment)?;
        let capabilities = process.get("capabilities").filter(|sets| !sets.is_null()).or_else(|| own.get("capabilities"));
        Some(Plan {
            argument_pointers: pointers(&arguments),
            environment_pointers: pointers(&environment),
            arguments,
            environment,
            candidates,
            directory: CString::new(params::optional_text(process, "cwd").filter(|cwd| !cwd.is_empty()).unwrap_or("/")).ok()?,
            uid,
            gid: number(user, "gid")?,
            groups: params::list(user, "additionalGids").iter().map(|group| group.as_u64().map(|group| group as u32)).collect::<Option<_>>()?,
            umask: user.get("umask").filter(|mask| !mask.is_null()).map_or(Some(0o022), |mask| mask.as_u64().map(|mask| mask as libc::mode_t))?,
            limits: params::list(process, "rlimits").iter().map(limit_of).collect::<Option<_>>()?,
            capabilities: capabilities_of(capabilities)?,
            last_capability: 0,
            no_new_privileges: params::flag(process, "noNewPrivileges"),
            oom_score: match process.get("oomScoreAdj").filter(|score| !score.is_null()) {
                Some(score) => Some(CString::new(score.as_i64()?.to_string()).ok()?),
                None => None,
            },
            filter: None,
        })
    }

    pub fn program(&self) -> std::borrow::Cow<'_, str> {
        self.arguments[0].to_string_lossy()
    }

    pub fn argument_pointers(&self) -> *const *const libc::c_char {
        debug_assert_eq!(self.argument_pointers.len(), self.arguments.len() + 1);
        self.argument_pointers.as_ptr()
    }

    pub fn environment_pointers(&self) -> *const *const libc::c_char {
        debug_assert_eq!(self.environment_pointers.len(), self.environment.len() + 1);
        self.environment_pointers.as_ptr()
    }
}

fn number(values: &Value, name: &str) -> Option<u32> {
    match values.get(name) {
        None | Some(Value::Null) => Some(0),
        Some(value) => value.as_u64().and_then(|value| value.try_into().ok()),
    }
}

fn texts(list: &Value) -> Option<Vec<String>> {
    list.as_array()?.iter().map(|text| text.as_str().map(String::from)).collect()
}

fn c_strings(texts: &[String]) -> Option<Vec<CString>> {
    texts.iter().map(|text| CString::new(text.as_str()).ok()).collect()
}

/// The strings' memory stays where it is when their list is moved.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain(std::iter::once(std::ptr::null())).collect()
}

/// As putenv does, one after another: the last word on a name counts, a name alone takes it away. HOME is the user's in the image.
fn environment_of(given: &[String], rootfs: &Path, uid: u32) -> Vec<String> {
    let name_of = |entry: &str| entry.split('=').next().unwrap_or_default().to_string();
    let mut environment: Vec<String> = Vec::with_capacity(given.len() + 1);
    for entry in given {
        let name = name_of(entry);
        let known = environment.iter().position(|before| name_of(before) == name);
        match (known, entry.contains('=')) {
            (Some(at), true) => environment[at] = entry.clone(),
            (Some(at), false) => drop(environment.remove(at)),
            (None, true) => environment.push(entry.clone()),
            (None, false) => {}
        }
    }
    if !environment.iter().any(|entry| entry.starts_with("HOME=")) {
        let home = users::resolve(rootfs, &uid.to_string(), &[], true).map_or_else(|_| "/".into(), |user| user.home);
        environment.push(format!("HOME={}", home));
    }
    environment
}

fn candidates_of(program: &CStr, environment: &[String]) -> Vec<CString> {
    let name = program.to_bytes();
    if name.is_empty() || name.contains(&b'/') {
        return vec![program.to_owned()];
    }
    let path = environment.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(USUAL_PATH);
    let join = |directory: &str| {
        let directory = if directory.is_empty() { "." } else { directory };
        CString::new([directory.as_bytes(), b"/", name].concat()).ok()
    };
    path.split(':').filter_map(join).collect()
}

fn limit_of(limit: &Value) -> Option<(u32, libc::rlimit64)> {
    let name = limit.get("type")?.as_str()?.strip_prefix("RLIMIT_")?;
    let resource = LIMITS.iter().position(|known| *known == name)? as u32;
    let value = |name: &str| limit.get(name).map_or(Some(0), Value::as_u64);
    Some((resource, libc::rlimit64 { rlim_cur: value("soft")?, rlim_max: value("hard")? }))
}

/// Without any, a process has none.
fn capabilities_of(sets: Option<&Value>) -> Option<Capabilities> {
    let sets = match sets.filter(|sets| !sets.is_null()) {
        Some(sets) => sets,
        None => return Some(Capabilities::default()),
    };
    let set = |name: &str| -> Option<u64> {
        params::list(sets, name).iter().try_fold(0, |bits, name| Some(bits | 1 << capabilities::number(name.as_str()?)?))
    };
    Some(Capabilities {
        bounding: set("bounding")?,
        effective: set("effective")?,
        permitted: set("permitted")?,
        inheritable: set("inheritable")?,
        ambient: set("ambient")?,
    })
}

/// Eight bytes an instruction.
fn saved_filter(called: &str) -> Option<Vec<u64>> {
    let bytes = filter::saved(called)?;
    Some(bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes"))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan(own: Value, process: Value) -> Option<Plan> {
        Plan::read(&own, &process, Path::new("/nonexistent"))
    }

    #[test]
    fn the_last_word_on_a_name_counts_and_a_name_alone_takes_it_away() {
        let given: Vec<String> = ["A=1", "B=2", "A=3", "B", "HOME=/h"].iter().map(|entry| entry.to_string()).collect();
        assert_eq!(environment_of(&given, Path::new("/nonexistent"), 0), ["A=3", "HOME=/h"]);
    }

    #[test]
    fn a_program_is_looked_for_where_the_environment_says() {
        let paths = |program: &str, environment: &[&str]| {
            let environment: Vec<String> = environment.iter().map(|entry| entry.to_string()).collect();
            let found = candidates_of(&CString::new(program).unwrap(), &environment);
            found.into_iter().map(|path| path.into_string().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(paths("ls", &["PATH=/a::/b"]), ["/a/ls", "./ls", "/b/ls"]);
        assert_eq!(paths("./ls", &["PATH=/a"]), ["./ls"]);
        assert_eq!(paths("ls", &[]).len(), 6);
    }

    #[test]
    fn what_an_exec_leaves_open_is_the_containers_own() {
        let own = json!({ "env": ["PATH=/own"], "capabilities": { "bounding": ["CAP_KILL"], "effective": ["KILL"] } });
        let plan = plan(own, json!({ "args": ["true"], "cwd": "/" })).unwrap();
        assert_eq!(plan.candidates[0].to_bytes(), b"/own/true");
        assert_eq!((plan.capabilities.bounding, plan.capabilities.effective, plan.capabilities.permitted), (32, 32, 0));
        assert_eq!(plan.umask, 0o022);
    }

    #[test]
    fn what_is_not_known_here_is_for_crun() {
        let with = |name: &str, value: Value| {
            let mut process = json!({ "args": ["true"], "cwd": "/" });
            process[name] = value;
            plan(json!({}), process).is_some()
        };
        assert!(with("umask", Value::Null));
        assert!(!with("terminal", json!(true)));
        assert!(!with("scheduler", json!({ "policy": "SCHED_FIFO" })));
        assert!(!with("selinuxLabel", json!("x")));
        assert!(!with("capabilities", json!({ "bounding": ["CAP_FROM_THE_FUTURE"] })));
        assert!(!with("rlimits", json!([{ "type": "RLIMIT_NONSENSE", "soft": 1, "hard": 1 }])));
        assert!(!with("args", json!(["nul\u{0}inside"])));
        assert!(!with("user", json!({ "uid": -1 })));
    }
}
