//! PID 1 of a Sampan machine: boots it, runs containers with crun, and obeys the host (guest/PROTOCOL.md).

mod agent;
mod boot;
mod calls;
mod cgroup;
mod cgroup_v1;
mod channel;
mod children;
mod console;
mod container;
mod create;
mod crun;
mod device_filter;
mod dial;
mod disks;
mod entry;
mod exec;
mod failure;
mod files;
mod filter;
mod freeze;
mod host;
mod input;
mod kept;
mod modules;
mod net;
mod output;
mod pace;
mod params;
mod pause;
mod reactor;
mod ready;
mod ring;
mod session;
mod setup;
mod shares;
mod start;
mod stats;
mod stdio;
mod stopwatch;
mod sys;
mod terminal;
mod users;
mod volumes;
mod warm;
mod wire;
mod workers;

use failure::Outcome;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().map(String::as_str) == Some(warm::DO_NOTHING) {
        return;
    }
    if let Some(outcome) = host::command(&arguments) {
        if let Err(failure) = outcome {
            eprintln!("{}: {}", failure.reason, failure.message);
            std::process::exit(1);
        }
        return;
    }
    if let Err(failure) = run() {
        console::say(&format!("cannot boot: {}", failure));
        // PID 1 ending is a kernel panic: the machine's end, and a reason on its console.
        std::process::exit(1);
    }
}

fn run() -> Outcome<()> {
    let devices = boot::boot()?;
    let slots = devices.count();
    let mut agent = agent::Agent::new(devices, channel::Channel::open()?)?;
    agent.watch_own();
    console::say(&format!("{} disk slots, up after {} ms", slots, sys::monotonic_nanos() / 1_000_000));
    console::say("ready");
    agent.run()
}
