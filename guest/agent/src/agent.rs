//! Everything the agent knows, and the loop that feeds it. One thread owns it all; each event is handled to its end.

use std::collections::BTreeMap;
use std::os::unix::io::AsRawFd;
use std::os::unix::net::UnixListener;

use crate::channel::{Channel, Incoming};
use crate::children::{Children, Job};
use crate::container::Container;
use crate::device_filter::DeviceFilter;
use crate::disks::Devices;
use crate::failure::{Context, Outcome};
use crate::pace::Resting;
use crate::reactor::{Key, Reactor, Source, EDGE, READ, WRITE};
use crate::session::{Session, LARGEST_WINDOW};
use crate::setup::Sandbox;
use crate::stdio::LARGEST_PIECE;
use crate::volumes::Volume;
use crate::workers::Workers;
use crate::host::mode::HostMode;
use crate::{cgroup, sys, warm, wire};

const ALONE_NANOS: u64 = 2_000_000_000;

pub struct Agent {
    pub devices: Devices,
    pub channel: Channel,
    pub reactor: Reactor,
    pub children: Children,
    pub workers: Workers,
    pub sandbox: Sandbox,
    /// Set where the machine is a set of namespaces of the host.
    pub host: Option<HostMode>,
    /// Where the host hands it files.
    pub gifts: Option<UnixListener>,
    /// Absent where crun could not be warmed up.
    pub device_filter: Option<DeviceFilter>,
    pub volumes: BTreeMap<String, Volume>,
    pub containers: BTreeMap<Key, Container>,
    /// By stream id, which the host chose.
    pub sessions: BTreeMap<Key, Session>,
    /// Messages of which not all has come, by call id.
    pub partial: BTreeMap<u32, Vec<u8>>,
    /// Counts SYNCs: an answer to an older connection's call is dropped.
    pub connection: u32,
    pub next_key: Key,
    /// Containers to be made ready at the end of the turn.
    pub unready: Vec<Key>,
    /// What is read from pipes and sockets passes through here.
    pub buffer: Box<[u8]>,
    pub resting: Resting,
    /// Something waits for room in the channel.
    pub starved: bool,
    /// Since when the port says that no host is there.
    alone_since: Option<u64>,
}

impl Agent {
    pub fn new(devices: Devices, channel: Channel) -> Outcome<Agent> {
        let agent = Agent {
            devices,
            channel,
            reactor: Reactor::new().context(|| "make an epoll".into())?,
            children: Children::new().context(|| "catch SIGCHLD".into())?,
            workers: Workers::new().context(|| "make the workers' pipe".into())?,
            sandbox: Sandbox::default(),
            host: None,
            gifts: None,
            device_filter: DeviceFilter::of(&cgroup::path(warm::GROUP)).ok(),
            volumes: BTreeMap::new(),
            containers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            partial: BTreeMap::new(),
            connection: 0,
            next_key: 1,
            unready: Vec::new(),
            buffer: vec![0; LARGEST_PIECE].into_boxed_slice(),
            resting: Resting::default(),
            starved: false,
            alone_since: None,
        };
        Ok(agent)
    }

    pub fn watch_own(&mut self) {
        self.watch_channel();
        if let Some(gifts) = &self.gifts {
            self.reactor.watch(gifts.as_raw_fd(), Source::Gifts, READ);
        }
        self.reactor.watch(self.children.fd(), Source::Children, READ);
        self.reactor.watch(self.workers.fd(), Source::Workers, READ);
    }

    fn watch_channel(&mut self) {
        if let Some(listener) = self.channel.listener() {
            self.reactor.watch(listener, Source::Channel, READ);
        }
        if let Some(fd) = self.channel.fd() {
            self.reactor.watch(fd, Source::Channel, READ | WRITE | EDGE);
        }
    }

    pub fn run(&mut self) -> ! {
        loop {
            self.turn();
        }
    }

    /// Waits once and handles what has happened.
    pub fn turn(&mut self) {
        let alone = self.alone_since.map(|_| ALONE_NANOS / 1_000_000);
        let patience = alone.into_iter().chain(self.resting.patience()).min();
        for (source, _) in self.reactor.wait(patience) {
            match source {
                Source::Channel => {
                    self.welcome();
                    self.receive();
                }
                Source::Gifts => self.take_gift(),
                Source::Children => self.reap(),
                Source::Workers => {
                    for finish in self.workers.finished() {
                        finish(self);
                    }
                }
                Source::Output(key, part) => self.read_output(key, part),
                Source::ContainerStdin(key) => self.flush_stdin(key),
                Source::ContainerConsole(key) => self.container_terminal(key),
                Source::OomEvents(key) => self.oom_told(key),
                Source::SessionInput(key) => self.session_writable(key),
                Source::SessionOutput(key, part) => self.read_session(key, part),
                Source::SessionConsole(key) => self.session_terminal(key),
                Source::SessionReport(key) => self.session_told(key),
                Source::ExecReport(key) => self.exec_told(key),
            }
        }
        self.wake_rested();
        self.check_alone();
        self.send();
        self.make_ready();
    }

    /// The port tells "nobody is there" by a queue of its own, which may lag behind the data of a host that has just come: only when it
    /// still says so after a while has the host gone.
    fn check_alone(&mut self) {
        let waited = self.alone_since.map_or(0, |since| sys::monotonic_nanos() - since);
        if waited > ALONE_NANOS {
            self.alone_since = None;
            self.receive();
            if self.alone_since.take().is_some() {
                self.disconnect();
            }
        }
    }

    /// A socket takes the newest connection; the one before it ends.
    fn welcome(&mut self) {
        while let Some(newcomer) = self.channel.accept() {
            self.part();
            self.channel.join(newcomer);
            self.watch_channel();
        }
    }

    fn part(&mut self) {
        if let Some(fd) = self.channel.fd() {
            self.reactor.forget(fd);
        }
        self.channel.leave();
        self.disconnect();
    }

    fn receive(&mut self) {
        while let Some(incoming) = self.channel.receive() {
            match incoming {
                Incoming::NobodyThere => {
                    self.alone_since.get_or_insert_with(sys::monotonic_nanos);
                    return;
                }
                Incoming::Gone => return self.part(),
                Incoming::Frames(frames) => {
                    self.alone_since = None;
                    for frame in frames {
                        self.obey(frame);
                    }
                    // An answer should not wait for the calls behind it.
                    self.channel.flush();
                }
            }
        }
    }

    fn obey(&mut self, frame: wire::Frame) {
        match frame.kind {
            wire::SYNC => self.synchronise(&frame.payload),
            _ if !self.channel.connected => {}
            wire::CALL => self.take_call(frame),
            wire::DATA => self.session_data(frame.id, &frame.payload),
            wire::CREDIT => self.session_credit(frame.id, frame.part, &frame.payload),
            wire::END => self.session_end_input(frame.id),
            wire::CLOSE => self.close_session(frame.id),
            _ => {}
        }
    }

    fn synchronise(&mut self, nonce: &[u8]) {
        self.disconnect();
        self.connection += 1;
        self.channel.connected = true;
        let hello = serde_json::json!({ "protocol": 1, "agent": env!("CARGO_PKG_VERSION"), "largestWindow": LARGEST_WINDOW }).to_string();
        self.channel.send(wire::SYNC_ACK, 0, 0, &[nonce, hello.as_bytes()]);
    }

    /// The host has gone, or another has come: what belonged to the connection ends, containers do not.
    fn disconnect(&mut self) {
        self.channel.disconnect();
        self.partial.clear();
        for stream in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.close_session(stream);
        }
        for container in self.containers.values_mut() {
            container.reader = None;
        }
    }

    /// Writes what waits, and lets those go on that waited for room.
    fn send(&mut self) {
        self.channel.flush();
        while self.starved && self.channel.has_room() {
            self.starved = false;
            for key in self.containers.keys().copied().collect::<Vec<_>>() {
                self.send_output(key);
            }
            for stream in self.sessions.keys().copied().collect::<Vec<_>>() {
                self.watch_session(stream);
            }
            self.channel.flush();
        }
    }

    pub fn reap(&mut self) {
        for (_, job, ended) in self.children.reap() {
            match job {
                Job::ContainerStart(key) => self.container_started(key, ended),
                Job::Container(key) => self.container_exited(key, ended),
                Job::SessionStart(key) => self.session_started(key, ended),
                Job::Session(key) => self.session_exited(key, ended),
            }
        }
        self.children.forget_strays();
    }
}
