//! Preparing a container: its image mounted, its root laid over it, its spec completed. Starts no process.

use std::fs;
use std::os::unix::io::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use crate::agent::Agent;
use crate::calls::Answer;
use crate::container::{Container, State};
use crate::device_filter::take_rules;
use crate::entry::Door;
use crate::failure::{Context, Failure, Outcome};
use crate::host::{bounds, capabilities};
use crate::setup::ETC;
use crate::stopwatch::Stopwatch;
use crate::volumes::VolumeKind;
use crate::users::User;
use crate::{filter, modules, params, shares, sys, users};

/// Namespaces that the containers of a Pod share by being the machine's own.
const SHARED: [&str; 4] = ["network", "ipc", "uts", "user"];

impl Agent {
    /// A second call with the same id changes nothing.
    pub fn create_container(&mut self, request: &Value) -> Outcome<Answer> {
        let mut watch = Stopwatch::start();
        let id = params::id(request, "id")?;
        if self.find_container(&id).is_some() {
            return Ok(Answer::Done);
        }
        let mut container = Container::new(id);
        let user = match self.prepare(&mut container, request, &mut watch) {
            Ok(user) => user,
            Err(failure) => {
                discard(&container);
                return Err(failure);
            }
        };
        let key = self.next_key;
        self.next_key += 1;
        self.containers.insert(key, container);
        if params::flag(request, "ready") {
            self.unready.push(key);
        }
        let mut answer = json!({ "timingMicros": watch.parts() });
        if let Some(User { uid, gid, groups, .. }) = user {
            answer["user"] = json!({ "uid": uid, "gid": gid, "groups": groups });
        }
        Ok(Answer::With(answer))
    }

    /// Gives the user that was resolved.
    fn prepare(&mut self, container: &mut Container, request: &Value, watch: &mut Stopwatch) -> Outcome<Option<User>> {
        container.tty = params::flag(request, "tty");
        container.wants_stdin = params::flag(request, "stdin");
        let given = request.get("rootfs").filter(|given| !given.is_null());
        let rootfs = match given {
            Some(given) => self.take_root(container, given)?,
            None => self.lay_root(container, params::text(request, "imageSlot")?, watch)?,
        };
        let read_only = params::flag(request, "readOnlyRootfs") || given.map_or(false, |given| params::flag(given, "readOnly"));
        let mut spec = request.get("spec").cloned().unwrap_or(Value::Null);
        if !spec.get("process").map_or(false, Value::is_object) {
            return Err(Failure::bad("parameter spec must have a process"));
        }
        spec["root"] = json!({ "path": rootfs, "readonly": read_only });
        let user = set_user(&mut spec["process"], &rootfs, request.get("user"))?;
        spec["process"]["terminal"] = json!(container.tty);
        let own_pid = params::flag(request, "ownPidNamespace");
        self.set_namespaces(&mut spec, params::optional_text(request, "pidNamespaceOf"), own_pid)?;
        container.place = self.place_of(request)?;
        if let Some(name) = self.free_name(request) {
            container.called = name;
        }
        spec["linux"]["cgroupsPath"] = json!(format!("/{}", container.cgroup()));
        if self.host.is_some() {
            bounds::fit(&mut spec["process"]);
            capabilities::fit(&mut spec["process"]);
        } else {
            modules::load_for(&spec)?;
        }
        self.show_devices(&spec)?;
        container.device_rules = take_rules(&mut spec, self.device_filter.is_some());
        let listed = params::list(request, "mounts");
        let mut mounts = self.volume_mounts(container, listed)?;
        if let Some(propagation) = self.root_propagation(listed) {
            // Otherwise the OCI runtime cuts every mount off from where it came from before it makes the container's.
            spec["linux"]["rootfsPropagation"] = json!(propagation);
        }
        if has_blank_machine_id(&rootfs) {
            mounts.insert(0, bind(&Path::new(ETC).join("machine-id"), "/etc/machine-id", true));
        }
        match spec.get_mut("mounts").and_then(Value::as_array_mut) {
            Some(list) => list.extend(mounts),
            None => spec["mounts"] = json!(mounts),
        }
        // On a host, what crun knows of its control groups and of AppArmor is worth its time.
        container.door = if self.host.is_some() { Door::Crun } else { Door::of(&spec) };
        container.process = spec["process"].take();
        spec["process"] = container.process.clone();
        // After the door was chosen: it makes no difference to whoever enters, only to how long crun takes.
        filter::give(&mut spec, params::optional_text(request, "filter"))?;
        fs::write(container.directory().join("config.json"), spec.to_string()).context(|| "write config.json".into())?;
        watch.lap("spec");
        Ok(user)
    }

    /// Mounts the image and a writable layer over it; gives the container's root.
    fn lay_root(&mut self, container: &mut Container, slot: &str, watch: &mut Stopwatch) -> Outcome<PathBuf> {
        let image = self.mount_image(slot)?;
        watch.lap("image");
        let rootfs = container.directory().join("rootfs");
        let (upper, work) = (container.layer().join("upper"), container.layer().join("work"));
        for directory in [&rootfs, &upper, &work] {
            fs::create_dir_all(directory).context(|| format!("make {}", directory.display()))?;
        }
        // volatile: nothing of a Pod's writable layer is wanted after a crash of its machine.
        let options = format!("lowerdir={},upperdir={},workdir={},xino=off,volatile", image.display(), upper.display(), work.display());
        sys::mount(Path::new("overlay"), &rootfs, "overlay", libc::MS_NOATIME, &options)
            .context(|| format!("mount the root of container {}", container.id))?;
        container.mounts.push(rootfs.clone());
        watch.lap("overlay");
        Ok(rootfs)
    }

    /// A directory of a volume, as it is.
    fn take_root(&self, container: &mut Container, given: &Value) -> Outcome<PathBuf> {
        let volume = self.volume(params::text(given, "volumeId")?)?;
        let rootfs = container.directory().join("rootfs");
        let path = params::optional_text(given, "subPath").filter(|path| !path.is_empty()).unwrap_or(".");
        shares::pin(&volume.path, Path::new(path), &rootfs)?;
        container.mounts.push(rootfs.clone());
        if rootfs.is_dir() {
            return Ok(rootfs);
        }
        Err(Failure::precondition(format!("the root of container {} is no directory", container.id)))
    }

    /// One mount of an image serves all containers that use it.
    fn mount_image(&mut self, slot: &str) -> Outcome<PathBuf> {
        let place = Path::new("/run/sampan/image").join(slot);
        if !slot.starts_with("image") || slot.contains('/') {
            return Err(Failure::bad(format!("{:?} is no slot for an image", slot)));
        }
        if place.is_dir() {
            return Ok(place);
        }
        let node = self.devices.bind_disk(slot)?;
        fs::create_dir(&place).context(|| format!("make {}", place.display()))?;
        let mounted = sys::mount(&node, &place, "erofs", libc::MS_RDONLY | libc::MS_NODEV | libc::MS_NOATIME, "");
        if mounted.is_err() {
            let _ = fs::remove_dir(&place);
        }
        mounted.context(|| format!("mount the image in slot {}", slot))?;
        Ok(place)
    }

    /// What a container's caller calls it, where crun can call it that too.
    fn free_name(&self, request: &Value) -> Option<String> {
        let name = params::id(request, "name").ok()?;
        let is_taken = self.containers.values().any(|other| other.called == name || other.id == name);
        (!is_taken).then_some(name)
    }

    fn set_namespaces(&self, spec: &mut Value, pid_of: Option<&str>, own_pid: bool) -> Outcome<()> {
        for field in ["hostname", "domainname"] {
            spec.as_object_mut().expect("has a process").remove(field);
        }
        let given = spec["linux"].get("namespaces").and_then(Value::as_array).cloned().unwrap_or_default();
        let kind = |namespace: &Value| params::optional_text(namespace, "type").unwrap_or("").to_string();
        let needless = |namespace: &Value| SHARED.contains(&kind(namespace).as_str()) || ["pid", "mount", "cgroup"].contains(&kind(namespace).as_str());
        let mut namespaces: Vec<Value> = given.into_iter().filter(|namespace| !needless(namespace)).collect();
        let pid = match pid_of {
            Some(id) => Some(self.running_pid(id)?),
            None if own_pid => None,
            None => self.sandbox.pause_pid,
        };
        match pid {
            Some(pid) => namespaces.push(json!({ "type": "pid", "path": format!("/proc/{}/ns/pid", pid) })),
            None if !own_pid && self.host.as_ref().map_or(false, |host| host.host_pid) => {}
            None => namespaces.push(json!({ "type": "pid" })),
        }
        namespaces.push(json!({ "type": "mount" }));
        namespaces.push(json!({ "type": "cgroup" }));
        spec["linux"]["namespaces"] = json!(namespaces);
        Ok(())
    }

    /// What a container that asks for the machine's own /dev is to find there.
    fn show_devices(&mut self, spec: &Value) -> Outcome<()> {
        let mounts = params::list(spec, "mounts");
        match &mut self.host {
            Some(host) if mounts.iter().any(|mount| mount.get("source") == Some(&json!("/dev"))) => host.want_all_devices(),
            _ => Ok(()),
        }
    }

    fn running_pid(&self, id: &str) -> Outcome<i32> {
        let key = self.find_container(id).ok_or_else(|| Failure::not_found(format!("this sandbox has no container {}", id)))?;
        match self.containers[&key].state {
            State::Running => Ok(self.containers[&key].pid),
            _ => Err(Failure::precondition(format!("container {} is {}, not running", id, self.containers[&key].state_name()))),
        }
    }

    /// On a host, what is mounted below a shared directory later is to appear where the gift follows, and what the container mounts there where the gift
    /// is still the host's peer; a gift that is neither stays private. In a VM the share's file system shows it by itself.
    fn root_propagation(&self, mounts: &[Value]) -> Option<&'static str> {
        let is_share = |mount: &Value| match params::text(mount, "volumeId").map(|id| self.volume(id)) {
            Ok(Ok(volume)) => matches!(volume.kind, VolumeKind::Share),
            _ => false,
        };
        if self.host.is_none() || !mounts.iter().any(is_share) {
            return None;
        }
        Some(if mounts.iter().any(|mount| params::flag(mount, "bidirectional")) { "rshared" } else { "rslave" })
    }

    /// A parent's mount comes before what is mounted below it.
    fn volume_mounts(&self, container: &mut Container, list: &[Value]) -> Outcome<Vec<Value>> {
        let mut mounts = Vec::new();
        for (index, mount) in list.iter().enumerate() {
            let volume = self.volume(params::text(mount, "volumeId")?)?;
            let target = params::text(mount, "containerPath")?;
            let source = match params::optional_text(mount, "subPath").filter(|path| !path.is_empty()) {
                Some(path) => pin_sub_path(container, index, &volume.path, path)?,
                None => volume.path.clone(),
            };
            if params::flag(mount, "bidirectional") && (self.host.is_none() || volume.kind != VolumeKind::Share) {
                return Err(Failure::new("Unsupported", format!("mount at {}: nothing mounted there can reach the host", target)));
            }
            mounts.push((target.split('/').filter(|part| !part.is_empty()).count(), bind_volume(&source, target, mount)));
        }
        mounts.sort_by_key(|(depth, _)| *depth);
        Ok(mounts.into_iter().map(|(_, mount)| mount).collect())
    }
}

/// What the host mounts below appears too where the volume's own mount follows it, and only there.
fn bind_volume(source: &Path, target: &str, mount: &Value) -> Value {
    let access = match (params::flag(mount, "readOnly"), params::flag(mount, "recursive")) {
        (true, true) => "rro",
        (true, false) => "ro",
        _ => "rw",
    };
    let propagation = if params::flag(mount, "bidirectional") { "rshared" } else { "rslave" };
    let options = json!(["rbind", propagation, access]);
    json!({ "destination": target, "source": source, "type": "bind", "options": options })
}

fn bind(source: &Path, target: &str, read_only: bool) -> Value {
    let options = json!(["rbind", "rprivate", if read_only { "ro" } else { "rw" }]);
    json!({ "destination": target, "source": source, "type": "bind", "options": options })
}

/// Resolves a path inside a volume where a container may have put links, and holds what it found by a mount of the agent's own, so that a
/// link changed later leads nowhere new.
fn pin_sub_path(container: &mut Container, index: usize, volume: &Path, path: &str) -> Outcome<PathBuf> {
    let found = open_or_make(volume, Path::new(path)).context(|| format!("resolve subPath {:?} of {}", path, volume.display()))?;
    let source = PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd()));
    let is_directory = fs::metadata(&source).context(|| format!("look at subPath {:?}", path))?.is_dir();
    let place = container.directory().join(format!("mount{}", index));
    let made = if is_directory { fs::create_dir_all(&place) } else { fs::File::create(&place).map(drop) };
    made.context(|| format!("make {}", place.display()))?;
    sys::bind_mount(&source, &place).context(|| format!("mount subPath {:?}", path))?;
    container.mounts.push(place.clone());
    Ok(place)
}

fn open_or_make(volume: &Path, path: &Path) -> std::io::Result<OwnedFd> {
    let root = fs::File::open(volume)?;
    let open = |path: &Path| sys::open_in_root(root.as_raw_fd(), path, libc::O_PATH);
    match open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        other => return other,
    }
    // Parents one after another, each resolved anew inside the volume.
    let mut so_far = PathBuf::new();
    for part in path.components() {
        let parent = open(if so_far.as_os_str().is_empty() { Path::new(".") } else { &so_far })?;
        so_far.push(part);
        if open(&so_far).is_err() {
            let name = sys::c_path(Path::new(part.as_os_str()))?;
            sys::check(unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), 0o750) })?;
        }
    }
    open(path)
}

fn set_user(process: &mut Value, rootfs: &Path, wanted: Option<&Value>) -> Outcome<Option<User>> {
    let wanted = match wanted.filter(|wanted| !wanted.is_null()) {
        Some(wanted) => wanted,
        None => return Ok(None),
    };
    let (name, groups) = (params::text(wanted, "name")?, params::list(wanted, "supplementalGroups"));
    let groups: Vec<u32> = groups.iter().filter_map(Value::as_u64).map(|group| group as u32).collect();
    let user = users::resolve(rootfs, name, &groups, params::flag(wanted, "strictGroups"))?;
    let umask = process["user"].get("umask").cloned();
    process["user"] = json!({ "uid": user.uid, "gid": user.gid, "additionalGids": user.groups });
    if let Some(umask) = umask {
        process["user"]["umask"] = umask;
    }
    let home = format!("HOME={}", user.home);
    match process.get_mut("env").and_then(Value::as_array_mut) {
        Some(env) if env.iter().any(|entry| entry.as_str().map_or(false, |entry| entry.starts_with("HOME="))) => {}
        Some(env) => env.push(json!(home)),
        None => process["env"] = json!([home]),
    }
    Ok(Some(user))
}

/// systemd's way of saying "give me one": an empty file, or the word uninitialized.
fn has_blank_machine_id(rootfs: &Path) -> bool {
    let path = rootfs.join("etc/machine-id");
    let is_file = fs::symlink_metadata(&path).map_or(false, |kind| kind.is_file() && kind.len() < 64);
    is_file && fs::read_to_string(&path).map_or(false, |text| matches!(text.trim(), "" | "uninitialized"))
}

/// Takes back what a container was given outside its cgroup.
pub fn discard(container: &Container) {
    take_back(&container.mounts, &container.directory(), &container.layer());
}

/// Deletes only when nothing is mounted below any more: a volume mounted there would lose its files.
pub fn take_back(mounts: &[PathBuf], directory: &Path, layer: &Path) {
    let gone = |mount: &PathBuf| match sys::unmount_here(mount) {
        Err(error) => matches!(error.raw_os_error(), Some(libc::EINVAL) | Some(libc::ENOENT)),
        Ok(()) => true,
    };
    if mounts.iter().rev().filter(|mount| !gone(mount)).count() == 0 {
        let _ = fs::remove_dir_all(directory);
        let _ = fs::remove_dir_all(layer);
    }
}
