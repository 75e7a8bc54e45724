//! Volumes of the Pod: places outside any container that containers mount. Filling them with files is files.rs.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::agent::Agent;
use crate::calls::Answer;
use crate::failure::{Context, Failure, Outcome};
use crate::setup::SCRATCH;
use crate::{files, params, shares, sys};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VolumeKind {
    /// A tree the host fills and replaces as a whole.
    Files,
    /// One file the host fills.
    File,
    Tmpfs,
    Disk,
    /// A directory or file of the host (shares.rs).
    Share,
}

pub struct Volume {
    pub kind: VolumeKind,
    pub path: PathBuf,
}

impl Agent {
    pub fn volume(&self, id: &str) -> Outcome<&Volume> {
        self.volumes.get(id).ok_or_else(|| Failure::not_found(format!("this sandbox has no volume {}", id)))
    }

    pub fn create_volume(&mut self, request: &Value) -> Outcome<Answer> {
        let id = params::id(request, "id")?;
        if self.volumes.contains_key(&id) {
            return Ok(Answer::Done);
        }
        let kind = match params::text(request, "kind")? {
            "files" => VolumeKind::Files,
            "file" => VolumeKind::File,
            "tmpfs" => VolumeKind::Tmpfs,
            "disk" => VolumeKind::Disk,
            "share" => VolumeKind::Share,
            other => return Err(Failure::new("Unsupported", format!("volume {} of kind {:?}", id, other))),
        };
        let base = if kind == VolumeKind::Disk { SCRATCH } else { "/run/sampan" };
        let path = Path::new(base).join("volumes").join(&id);
        let path = match kind {
            VolumeKind::Share => shares::make_volume(request, &path, self.host.is_none())?,
            _ => make(kind, &path, request).context(|| format!("make volume {}", id)).map(|()| path)?,
        };
        self.volumes.insert(id, Volume { kind, path });
        Ok(Answer::Done)
    }

    pub fn put_files(&mut self, request: &Value, blob: &[u8]) -> Outcome<Answer> {
        let id = params::id(request, "volumeId")?;
        let volume = self.volume(&id)?;
        let entries = files::parse(params::list(request, "files"), blob)?;
        match (volume.kind, entries.as_slice()) {
            (VolumeKind::Files, _) => files::replace_all(&volume.path, &entries),
            (VolumeKind::File, [entry]) => files::overwrite(&volume.path, entry),
            (VolumeKind::File, _) => Err(Failure::bad(format!("volume {} is one file, but {} were sent", id, entries.len()))),
            (kind, _) => Err(Failure::precondition(format!("volume {} is of kind {:?}; only files and file are filled by the host", id, kind))),
        }
        .map(|()| Answer::Done)
    }

    pub fn read_file(&mut self, request: &Value) -> Outcome<Answer> {
        let id = params::id(request, "volumeId")?;
        let limit = params::number(request, "limitBytes")?.min(8 << 20);
        let volume = self.volume(&id)?;
        if volume.kind != VolumeKind::File {
            return Err(Failure::precondition(format!("volume {} is of kind {:?}, not file", id, volume.kind)));
        }
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = fs::File::open(&volume.path)?;
            let size = file.metadata()?.len();
            file.seek(SeekFrom::Start(size.saturating_sub(limit)))?;
            let mut content = Vec::new();
            file.take(limit).read_to_end(&mut content)?;
            Ok(content)
        };
        read().context(|| format!("read volume {}", id)).map(Answer::Blob)
    }
}

fn make(kind: VolumeKind, path: &Path, request: &Value) -> std::io::Result<()> {
    let number = |name: &str| params::optional_number(request, name).ok().flatten();
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    if kind == VolumeKind::File {
        fs::OpenOptions::new().create(true).append(true).open(path)?;
    } else {
        fs::create_dir_all(path)?;
    }
    if kind == VolumeKind::Tmpfs {
        let size = number("sizeBytes").map_or_else(String::new, |bytes| format!("size={}", bytes));
        sys::mount(Path::new("tmpfs"), path, "tmpfs", libc::MS_NODEV, &size)?;
    }
    let usual = match kind {
        VolumeKind::File => 0o644,
        VolumeKind::Files => 0o755,
        _ => 0o777,
    };
    sys::chown(path, number("uid").unwrap_or(0) as u32, number("gid").unwrap_or(0) as u32)?;
    // After chown, which clears set-id bits.
    fs::set_permissions(path, fs::Permissions::from_mode(number("mode").unwrap_or(usual) as u32))
}
