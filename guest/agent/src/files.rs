//! Files that the host puts into a volume. A tree is replaced as kubelet's AtomicWriter does it: the payload goes to a new hidden directory,
//! the link `..data` is moved over to it, and what the user sees are links through `..data`; readers see the old or the new, never a mixture.
//!
//!   config.yaml -> ..data/config.yaml      ..data -> ..1700000000.12      ..1700000000.12/config.yaml

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{symlink, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::failure::{Context, Failure, Outcome};
use crate::{params, sys};

const DATA: &str = "..data";

#[derive(Debug)]
pub enum Kind<'a> {
    File(&'a [u8]),
    Directory,
    Link(&'a str),
}

#[derive(Debug)]
pub struct Entry<'a> {
    path: PathBuf,
    kind: Kind<'a>,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// Reads a call's file list; the contents stand one after another in the blob.
pub fn parse<'a>(list: &'a [Value], blob: &'a [u8]) -> Outcome<Vec<Entry<'a>>> {
    let mut rest = blob;
    list.iter().map(|value| parse_entry(value, &mut rest)).collect()
}

fn parse_entry<'a>(value: &'a Value, rest: &mut &'a [u8]) -> Outcome<Entry<'a>> {
    let path = PathBuf::from(params::text(value, "path")?);
    let stays_inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !stays_inside || path.as_os_str().len() > 4096 {
        return Err(Failure::bad(format!("file path {} must be relative, without '..', of at most 4096 bytes", path.display())));
    }
    let kind = match params::text(value, "type")? {
        "file" => {
            let size = params::number(value, "size")? as usize;
            if size > rest.len() {
                return Err(Failure::bad(format!("{}: the call has fewer bytes than its files", path.display())));
            }
            let (content, behind) = rest.split_at(size);
            *rest = behind;
            Kind::File(content)
        }
        "dir" => Kind::Directory,
        "symlink" => Kind::Link(params::text(value, "target")?),
        other => return Err(Failure::new("Unsupported", format!("{} of type {:?}", path.display(), other))),
    };
    let id = |name: &str| params::optional_number(value, name).map(|number| number.unwrap_or(0) as u32);
    Ok(Entry { path, kind, mode: params::number(value, "mode")? as u32 & 0o7777, uid: id("uid")?, gid: id("gid")? })
}

/// A single file keeps its inode, because it is bind-mounted into containers.
pub fn overwrite(path: &Path, entry: &Entry) -> Outcome<()> {
    let content = match entry.kind {
        Kind::File(content) => content,
        _ => return Err(Failure::bad("a volume of kind file takes a file")),
    };
    let write = || -> io::Result<()> {
        fs::OpenOptions::new().write(true).create(true).truncate(true).open(path)?.write_all(content)?;
        set_owner(path, entry)
    };
    write().context(|| format!("write {}", path.display()))
}

pub fn replace_all(volume: &Path, entries: &[Entry]) -> Outcome<()> {
    let place = PathBuf::from(format!("..{}.{}", sys::wall_nanos() / 1_000_000_000, sys::monotonic_nanos()));
    let old = fs::read_link(volume.join(DATA)).ok();
    let write = || -> io::Result<()> {
        let directory = volume.join(&place);
        fs::create_dir(&directory)?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755))?;
        for entry in entries {
            write_entry(&directory, entry)?;
        }
        let new = volume.join("..data_tmp");
        let _ = fs::remove_file(&new);
        symlink(&place, &new)?;
        fs::rename(&new, volume.join(DATA))?;
        show(volume, entries)
    };
    if let Err(error) = write() {
        let _ = fs::remove_dir_all(volume.join(&place));
        return Err(error).context(|| format!("write the files of {}", volume.display()));
    }
    if let Some(old) = old {
        let _ = fs::remove_dir_all(volume.join(old));
    }
    Ok(())
}

fn write_entry(directory: &Path, entry: &Entry) -> io::Result<()> {
    let path = directory.join(&entry.path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match entry.kind {
        Kind::File(content) => {
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(content)?;
            set_owner(&path, entry)
        }
        Kind::Directory => {
            fs::create_dir_all(&path)?;
            set_owner(&path, entry)
        }
        Kind::Link(target) => {
            symlink(target, &path)?;
            sys::chown(&path, entry.uid, entry.gid)
        }
    }
}

fn set_owner(path: &Path, entry: &Entry) -> io::Result<()> {
    sys::chown(path, entry.uid, entry.gid)?;
    fs::set_permissions(path, fs::Permissions::from_mode(entry.mode))
}

/// Makes the links the user sees, and removes those whose file is no longer there.
fn show(volume: &Path, entries: &[Entry]) -> io::Result<()> {
    let first = |entry: &Entry| entry.path.components().next().map(|part| part.as_os_str().to_os_string());
    let wanted: BTreeSet<OsString> = entries.iter().filter_map(first).collect();
    for present in fs::read_dir(volume)?.flatten() {
        let name = present.file_name();
        if !name.to_string_lossy().starts_with("..") && !wanted.contains(&name) {
            fs::remove_file(volume.join(name))?;
        }
    }
    for name in wanted {
        let link = volume.join(&name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(&name), &link)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn put(volume: &Path, files: &[(&str, &str)]) -> Outcome<()> {
        let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
        let list: Vec<Value> = files
            .iter()
            .map(|(path, content)| json!({ "path": path, "type": "file", "mode": 0o440, "uid": uid, "gid": gid, "size": content.len() }))
            .collect();
        let blob: String = files.iter().map(|(_, content)| *content).collect();
        replace_all(volume, &parse(&list, blob.as_bytes())?)
    }

    #[test]
    fn a_volume_changes_as_a_whole_and_forgets_what_was_removed() {
        let volume = std::env::temp_dir().join(format!("sampan-files-{}", std::process::id()));
        fs::create_dir(&volume).unwrap();
        put(&volume, &[("a", "one"), ("sub/b", "two")]).unwrap();
        assert_eq!(fs::read_to_string(volume.join("a")).unwrap(), "one");
        assert_eq!(fs::read_to_string(volume.join("sub/b")).unwrap(), "two");
        put(&volume, &[("sub/b", "three")]).unwrap();
        assert_eq!(fs::read_to_string(volume.join("sub/b")).unwrap(), "three");
        assert!(fs::symlink_metadata(volume.join("a")).is_err());
        let hidden = fs::read_dir(&volume).unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("..")).count();
        assert_eq!(hidden, 2, "..data and one payload");
        fs::remove_dir_all(&volume).unwrap();
    }

    #[test]
    fn a_path_cannot_leave_the_volume() {
        for path in ["../x", "/etc/passwd", "a/../../x"] {
            assert!(parse(&[json!({ "path": path, "type": "dir", "mode": 0 })], b"").is_err(), "{}", path);
        }
    }
}
