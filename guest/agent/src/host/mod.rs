//! The agent on the host itself: a Pod's "machine" is this process as PID 1 of fresh namespaces, with the miniOS as its root. No guest kernel, no VMM;
//! the same channel and the same calls (PROTOCOL.md section 7).
//!
//!   sampan-agent machine OPTIONS            make a machine, print `pid PID STARTTIME`, end; the machine goes on (options.rs)
//!   sampan-agent give SOCKET disk NAME r|rw PATH    hand a running machine a file (gifts.rs)
//!   sampan-agent lines                      both, for one line on stdin after another (lines.rs)
//!
//! Everything the machine holds (mounts, loop devices, network) hangs on its processes: when they are gone, the kernel takes it back.

mod boot;
pub mod bounds;
pub mod capabilities;
pub mod devices;
pub mod gifts;
mod groups;
mod lines;
pub mod loops;
pub mod mode;
mod options;
mod start;

use crate::failure::Outcome;

/// What the command line asks for; none of it: this is the guest of a VM.
pub fn command(arguments: &[String]) -> Option<Outcome<()>> {
    match arguments.first().map(String::as_str) {
        Some("machine") => Some(options::parse(&arguments[1..]).and_then(|options| start::start(&options))),
        Some("give") => Some(gifts::give(&arguments[1..])),
        Some("lines") => Some(lines::serve()),
        _ => None,
    }
}
