//! sampan-launch: starts one VMM (QEMU) in a jail and hands it what it may have as open descriptors.
//!
//! Owns: the moment between "the server wants a VMM" and "QEMU runs without powers". Does not own: QEMU's arguments, cgroup
//! limits, what a machine is (platform/src/vmm does).
//!
//!   run  OPTIONS -- PROGRAM ARGS   start it, print `pid PID STARTTIME`, end
//!   hold OPTIONS -- PROGRAM ARGS   start it, print the same, then serve commands on stdin (see serve.rs); when stdin closes
//!                                  before `release` or `keep`, the VMM is killed: it cannot outlive a server that died;
//!                                  DIRECTORY/holder names the holder itself
//!   tsc                            print the rate of the time stamp counter, kHz
//!   mount ...                      make a directory of the host appear in a share (see mount.rs)
//!   binds                          serve mounts of the host on stdin (see binds.rs)
//!   pass SOCKET                    serve `send` commands for the QMP monitor of a VMM that runs already
//!
//! The VMM sees an empty network namespace, its own process namespace, a read-only root with nothing but the system's
//! libraries, and no file of the machine: disks, sockets, the tap and guest memory come as inherited descriptors.
//! Directories that the guest shares with the host are served by processes of their own (share.rs), which the VMM has a connection to.

mod binds;
mod descriptors;
mod identity;
mod jail;
mod memory;
mod mount;
mod netlink;
mod options;
mod process;
mod qmp;
mod seccomp;
mod serve;
mod share;
mod sys;
mod tap;
mod tsc;

use options::{Command, Launch};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Err(message) = dispatch(&arguments) {
        eprintln!("sampan-launch: {}", message);
        std::process::exit(1);
    }
}

fn dispatch(arguments: &[String]) -> Result<(), String> {
    match options::parse(arguments)? {
        Command::Run(launch) => start(&launch).map(|_| ()),
        Command::Hold(launch) => {
            process::record_holder(&launch.directory)?;
            let mut started = start(&launch)?;
            serve::serve(serve::Target {
                socket: started.monitor.take(),
                vmm: Some(started),
            })
        }
        Command::Pass(socket) => serve::serve(serve::Target {
            socket: Some(socket),
            vmm: None,
        }),
        Command::Mount(wanted) => mount::mount(&wanted),
        Command::Binds => binds::serve(),
        Command::Tsc => serve::say(&tsc::khz()?.to_string()),
        Command::Version => {
            println!("sampan-launch {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    }
}

/// Starts the VMM and reports its process on stdout.
fn start(launch: &Launch) -> Result<process::Started, String> {
    let started = process::start(launch)?;
    serve::say(&format!("pid {} {}", started.pid, started.start_time))?;
    Ok(started)
}
