//! What makes this machine this Pod's and no other's: fresh entropy, clock, names, addresses, limits, disks. Done once; a second call changes nothing.

use std::fs;
use std::os::unix::io::AsRawFd;
use std::path::Path;

use serde_json::{json, Value};

use crate::agent::Agent;
use crate::calls::Answer;
use crate::failure::{Context, Failure, Outcome};
use crate::stopwatch::Stopwatch;
use crate::{cgroup, net, params, pause, sys};

pub const ETC: &str = "/run/sampan/etc";
pub const SCRATCH: &str = "/run/sampan/scratch";
const IMAGES: &str = "/run/sampan/image";

#[derive(Default)]
pub struct Sandbox {
    done: bool,
    /// Holds the Pod's PID namespace, where its containers share one.
    pub pause_pid: Option<i32>,
    pub interface: Option<String>,
    /// The scratch disk is mounted.
    has_scratch: bool,
}

impl Agent {
    pub fn setup(&mut self, setup: &Value) -> Outcome<Answer> {
        if self.sandbox.done {
            return Ok(Answer::Done);
        }
        let mut watch = Stopwatch::start();
        // First of all: whatever reads random bytes from here on gets this Pod's own.
        // On the host, generator and clock are the host's.
        if self.host.is_none() {
            reseed(params::text(setup, "entropy")?)?;
            let time = params::number(setup, "timeUnixNanos")?;
            sys::set_wall_nanos(time).context(|| "set the clock".into())?;
        }
        name_machine(setup)?;
        watch.lap("identity");
        self.set_up_network(setup)?;
        watch.lap("network");
        self.set_sysctls(setup)?;
        if let Some(limit) = params::optional_number(setup, "memoryLimitBytes")? {
            cgroup::limit_memory(&cgroup::pod(), limit)?;
        }
        for slot in params::texts(setup, "disks")? {
            self.bring_up_disk(&slot)?;
            watch.lap(&slot);
        }
        if params::flag(setup, "sharePidNamespace") && self.sandbox.pause_pid.is_none() {
            self.sandbox.pause_pid = Some(pause::start().context(|| "start the pause process".into())?);
        }
        self.sandbox.done = true;
        Ok(Answer::With(json!({ "timingMicros": watch.parts() })))
    }

    /// The end of a rehearsal: a host may let a machine that nobody has asked for yet go through a whole start, with a made-up identity and disks of no
    /// account, because code that ran once runs several times faster under an emulator. Afterwards the machine has neither identity nor disks
    /// nor network, and the next `setup` makes it a Pod's. Refused while there is anything of a Pod: it is no way to use a machine twice.
    pub fn forget(&mut self) -> Outcome<Answer> {
        if self.host.is_some() {
            return Err(Failure::new("Unsupported", "a machine on the host has nothing to rehearse"));
        }
        if !self.containers.is_empty() || !self.volumes.is_empty() || self.sandbox.pause_pid.is_some() {
            return Err(Failure::precondition("the machine has containers, volumes or a pause process; only an empty one forgets"));
        }
        for image in fs::read_dir(IMAGES).context(|| format!("list {}", IMAGES))?.flatten() {
            let place = image.path();
            unmount(&place)?;
            fs::remove_dir(&place).context(|| format!("remove {}", place.display()))?;
        }
        unmount(Path::new(SCRATCH))?;
        if let Some(interface) = &self.sandbox.interface {
            net::forget(interface)?;
        }
        self.devices.forget_disks()?;
        self.sandbox = Sandbox::default();
        Ok(Answer::Done)
    }

    pub fn bind_disk(&mut self, call: &Value) -> Outcome<Answer> {
        self.bring_up_disk(params::text(call, "slot")?).map(|()| Answer::Done)
    }

    fn bring_up_disk(&mut self, slot: &str) -> Outcome<()> {
        let node = self.devices.bind_disk(slot)?;
        if slot == "scratch" && !self.sandbox.has_scratch {
            // No thread that initialises or reads ahead the whole disk; and space that dies with its Pod needs no barriers.
            let options = "noinit_itable,no_prefetch_block_bitmaps,nobarrier,nodiscard";
            sys::mount(&node, Path::new(SCRATCH), "ext4", libc::MS_NOATIME | libc::MS_NODEV, options)
                .context(|| "mount the scratch disk".into())?;
            self.sandbox.has_scratch = true;
        }
        Ok(())
    }

    fn set_up_network(&mut self, setup: &Value) -> Outcome<()> {
        let network = match setup.get("network") {
            Some(network) if !network.is_null() => network,
            _ => return Ok(()),
        };
        if self.host.is_some() {
            // Configured by the host, in our namespace.
            self.sandbox.interface = Some("eth0".into());
            return Ok(());
        }
        let interface = self.devices.interface()?;
        net::configure(interface, &net::Plan::parse(network)?)?;
        self.sandbox.interface = Some(interface.to_string());
        Ok(())
    }

    fn set_sysctls(&self, setup: &Value) -> Outcome<()> {
        for (name, value) in setup.get("sysctls").and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().ok_or_else(|| Failure::bad(format!("sysctl {} must be a string", name)))?;
            if name.split(|c| c == '.' || c == '/').any(str::is_empty) {
                return Err(Failure::new("Invalid", format!("no sysctl has the name {:?}", name)));
            }
            if let Some(host) = &self.host {
                host.check_sysctl(name)?;
            }
            let path = format!("/proc/sys/{}", name.replace('.', "/"));
            fs::write(&path, value).map_err(|error| Failure::new("Invalid", format!("set sysctl {}: {}", name, error)))?;
        }
        Ok(())
    }
}

/// What is no mount point any more is fine.
fn unmount(place: &Path) -> Outcome<()> {
    match sys::unmount(place) {
        Err(error) if error.raw_os_error() != Some(libc::EINVAL) => Err(error).context(|| format!("unmount {}", place.display())),
        _ => Ok(()),
    }
}

/// Credits the host's bytes to the kernel's generator and makes every CPU draw a new key from it at once.
fn reseed(entropy: &str) -> Outcome<()> {
    const RNDADDENTROPY: libc::c_ulong = 0x4008_5203;
    const RNDRESEEDCRNG: libc::c_ulong = 0x5207;
    let bytes = decode_base64(entropy).filter(|bytes| (32..=512).contains(&bytes.len()));
    let bytes = bytes.ok_or_else(|| Failure::bad("parameter entropy must be base64 of 32 to 512 bytes"))?;
    let mut pool = Vec::with_capacity(8 + bytes.len());
    pool.extend_from_slice(&(bytes.len() as i32 * 8).to_ne_bytes());
    pool.extend_from_slice(&(bytes.len() as i32).to_ne_bytes());
    pool.extend_from_slice(&bytes);
    let device = fs::OpenOptions::new().write(true).open("/dev/urandom").context(|| "open /dev/urandom".into())?;
    sys::check(unsafe { libc::ioctl(device.as_raw_fd(), RNDADDENTROPY as _, pool.as_ptr()) }).context(|| "add entropy".into())?;
    sys::check(unsafe { libc::ioctl(device.as_raw_fd(), RNDRESEEDCRNG as _, 0) }).context(|| "re-seed".into()).map(drop)
}

fn name_machine(setup: &Value) -> Outcome<()> {
    let hostname = params::text(setup, "hostname")?;
    let domain = params::optional_text(setup, "domainname").unwrap_or("");
    let machine_id = params::text(setup, "machineId")?;
    if machine_id.len() != 32 || !machine_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::bad("parameter machineId must be 32 hex digits"));
    }
    sys::check(unsafe { libc::sethostname(hostname.as_ptr().cast(), hostname.len()) }).context(|| "set the hostname".into())?;
    if !domain.is_empty() {
        fs::write("/proc/sys/kernel/domainname", domain).context(|| "set the domain name".into())?;
    }
    let address = setup.get("network").and_then(|network| params::optional_text(network, "address"));
    let full = if domain.is_empty() { hostname.to_string() } else { format!("{}.{} {}", hostname, domain, hostname) };
    let own = address.map_or_else(String::new, |address| format!("{}\t{}\n", address, full));
    let hosts = format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{}", own);
    let files = [
        ("hostname", format!("{}\n", hostname)),
        ("machine-id", format!("{}\n", machine_id)),
        ("resolv.conf", params::text(setup, "resolvConf")?.to_string()),
        ("hosts", hosts),
    ];
    for (name, content) in files {
        fs::write(Path::new(ETC).join(name), content).context(|| format!("write {}", name))?;
    }
    Ok(())
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::decode_base64;

    #[test]
    fn base64_is_read_with_and_without_padding() {
        assert_eq!(decode_base64("aGVsbG8=").unwrap(), b"hello");
        assert_eq!(decode_base64("aGVsbG8").unwrap(), b"hello");
        assert_eq!(decode_base64("").unwrap(), b"");
        assert!(decode_base64("a b").is_none());
    }
}
