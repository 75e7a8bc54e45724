//! Who a container runs as: names resolved in the image's own /etc/passwd and /etc/group, read without leaving the image.

use std::fs;
use std::io::Read;
use std::os::unix::io::AsRawFd;
use std::path::Path;

use crate::failure::{Context, Failure, Outcome};
use crate::sys;

const LARGEST_FILE: u64 = 1 << 20;

#[derive(Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub home: String,
}

/// `wanted` is "name", "uid", "name:group" or "uid:gid"; empty means root. `strict`: groups that the image says the user is in do not count.
pub fn resolve(rootfs: &Path, wanted: &str, supplemental: &[u32], strict: bool) -> Outcome<User> {
    let passwd = read_in(rootfs, "/etc/passwd")?;
    let group = read_in(rootfs, "/etc/group")?;
    resolve_in(&passwd, &group, wanted, supplemental, strict)
}

fn read_in(rootfs: &Path, path: &str) -> Outcome<String> {
    let root = fs::File::open(rootfs).context(|| format!("open {}", rootfs.display()))?;
    let file = match sys::open_in_root(root.as_raw_fd(), Path::new(path), libc::O_RDONLY | libc::O_NONBLOCK) {
        Ok(fd) => fs::File::from(fd),
        Err(_) => return Ok(String::new()),
    };
    let mut bytes = Vec::new();
    let _ = file.take(LARGEST_FILE).read_to_end(&mut bytes);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn resolve_in(passwd: &str, group: &str, wanted: &str, supplemental: &[u32], strict: bool) -> Outcome<User> {
    let wanted = if wanted.is_empty() { "0" } else { wanted };
    let (name, group_name) = match wanted.split_once(':') {
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (wanted, None),
    };
    let number: Option<u32> = name.parse().ok();
    let fields = |line: &str| line.split(':').map(str::to_string).collect::<Vec<_>>();
    let is_it = |entry: &Vec<String>| {
        entry.len() >= 6 && (entry[0] == name || number.is_some() && entry[2].parse().ok() == number)
    };
    let entry = passwd.lines().map(fields).find(is_it);
    let uid = match (&entry, number) {
        (_, Some(uid)) => uid,
        (Some(entry), None) => entry[2].parse().map_err(|_| broken("passwd", name))?,
        (None, None) => return Err(Failure::new("Invalid", format!("unable to find user {}: no matching entries in passwd file", name))),
    };
    let own_gid = entry.as_ref().and_then(|entry| entry[3].parse().ok()).unwrap_or(0);
    let gid = group_name.map(|wanted| resolve_group(group, wanted)).transpose()?.unwrap_or(own_gid);
    let mut groups = supplemental.to_vec();
    // Also under an explicit group (Kubernetes, "Implicit group memberships defined in /etc/group in the container image").
    if let (Some(entry), false) = (&entry, strict) {
        groups.extend(memberships(group, &entry[0]));
    }
    groups.push(gid);
    groups.sort_unstable();
    groups.dedup();
    let home = entry.map(|entry| entry[5].clone()).filter(|home| !home.is_empty()).unwrap_or_else(|| "/".into());
    Ok(User { uid, gid, groups, home })
}

fn resolve_group(group: &str, wanted: &str) -> Outcome<u32> {
    if let Ok(gid) = wanted.parse() {
        return Ok(gid);
    }
    let line = group.lines().find(|line| line.split(':').next() == Some(wanted));
    let line = line.ok_or_else(|| Failure::new("Invalid", format!("unable to find group {}: no matching entries in group file", wanted)))?;
    line.split(':').nth(2).and_then(|gid| gid.parse().ok()).ok_or_else(|| broken("group", wanted))
}

fn memberships(group: &str, user: &str) -> Vec<u32> {
    let membership = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_member = fields.get(3)?.split(',').any(|member| member.trim() == user);
        fields[2].parse().ok().filter(|_| is_member)
    };
    group.lines().filter_map(membership).collect()
}

fn broken(file: &str, name: &str) -> Failure {
    Failure::new("Invalid", format!("the entry of {} in the image's {} file has no number", name, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44::/srv:/bin/false\n";
    const GROUP: &str = "root:x:0:\nweb:x:44:\nextra:x:50:root,web\n";

    fn user(wanted: &str) -> Outcome<User> {
        resolve_in(PASSWD, GROUP, wanted, &[7], false)
    }

    #[test]
    fn a_name_brings_its_group_memberships_and_home() {
        assert_eq!(user("web").unwrap(), User { uid: 33, gid: 44, groups: vec![7, 44, 50], home: "/srv".into() });
    }

    #[test]
    fn a_number_need_not_be_in_the_image() {
        assert_eq!(user("1234").unwrap(), User { uid: 1234, gid: 0, groups: vec![0, 7], home: "/".into() });
        assert_eq!(user("33:5").unwrap(), User { uid: 33, gid: 5, groups: vec![5, 7, 50], home: "/srv".into() });
    }

    #[test]
    fn strict_groups_are_those_that_were_asked_for_and_the_primary_one() {
        let strict = |wanted: &str| resolve_in(PASSWD, GROUP, wanted, &[7], true).unwrap().groups;
        assert_eq!((strict("web"), strict("33:5"), strict("root")), (vec![7, 44], vec![5, 7], vec![0, 7]));
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert!(user("nobody").unwrap_err().message.contains("unable to find user nobody"));
        assert!(user("web:nogroup").unwrap_err().message.contains("unable to find group nogroup"));
    }
}
