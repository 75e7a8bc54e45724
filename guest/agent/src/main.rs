//! PID 1 of a Sampan machine. See guest/PROTOCOL.md for what it is told and what it answers.

mod boot;
mod console;
mod disks;
mod failure;
mod sys;

fn main() {
    match boot::boot() {
        Ok(devices) => {
            console::say(&format!("{} disk slots, up after {} ms", devices.count(), sys::monotonic_nanos() / 1_000_000));
            console::say("ready");
            loop { unsafe { libc::pause(); } }
        }
        Err(failure) => {
            console::say(&format!("cannot boot: {}", failure));
            std::process::exit(1);
        }
    }
}
