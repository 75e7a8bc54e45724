//! The network interface, by ioctl: address, route, size; no other program is run.

use std::io;
use std::mem::zeroed;
use std::net::Ipv4Addr;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd};

use serde_json::Value;

use crate::failure::{Context, Failure, Outcome};
use crate::{params, sys};

mod six;

pub struct Plan {
    mac: [u8; 6],
    address: Ipv4Addr,
    mask: Ipv4Addr,
    gateway: Option<Ipv4Addr>,
    mtu: u32,
    extras: six::Extras,
}

impl Plan {
    pub fn parse(network: &Value) -> Outcome<Plan> {
        let prefix = params::number(network, "prefixLength")?;
        if prefix > 32 {
            return Err(Failure::bad("parameter network.prefixLength must be at most 32"));
        }
        let gateway = params::optional_text(network, "gateway").filter(|gateway| !gateway.is_empty());
        Ok(Plan {
            mac: parse_mac(params::text(network, "mac")?)?,
            address: parse_address("address", params::text(network, "address")?)?,
            mask: mask_of(prefix),
            gateway: gateway.map(|gateway| parse_address("gateway", gateway)).transpose()?,
            mtu: params::optional_number(network, "mtu")?.unwrap_or(1500) as u32,
            extras: six::Extras::parse(network)?,
        })
    }

    fn gateway_is_beyond(&self, gateway: Ipv4Addr) -> bool {
        let network = |address: Ipv4Addr| u32::from(address) & u32::from(self.mask);
        network(gateway) != network(self.address)
    }
}

/// `prefix` is at most 32.
pub fn mask_of(prefix: u64) -> Ipv4Addr {
    Ipv4Addr::from(if prefix == 0 { 0 } else { u32::MAX << (32 - prefix) })
}

fn parse_address(name: &str, text: &str) -> Outcome<Ipv4Addr> {
    text.parse().map_err(|_| Failure::bad(format!("parameter network.{} must be an IPv4 address, not {:?}", name, text)))
}

fn parse_mac(text: &str) -> Outcome<[u8; 6]> {
    let bytes: Vec<u8> = text.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
    bytes.try_into().map_err(|_| Failure::bad(format!("parameter network.mac must be six hex pairs, not {:?}", text)))
}

pub fn configure(interface: &str, plan: &Plan) -> Outcome<()> {
    let socket = Socket::open().context(|| "open a socket".into())?;
    let steps = || -> io::Result<()> {
        if socket.mac(interface)? != plan.mac {
            socket.set_mac(interface, plan.mac)?;
        }
        socket.set_mtu(interface, plan.mtu)?;
        socket.set_ipv4(interface, plan.address, plan.mask)?;
        if let Some(gateway) = plan.gateway {
            if plan.gateway_is_beyond(gateway) {
                socket.add_route(interface, gateway, Ipv4Addr::BROADCAST, None)?;
            }
            socket.add_route(interface, Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED, Some(gateway))?;
        }
        Ok(())
    };
    steps().context(|| format!("configure {}", interface))?;
    six::configure(interface, &plan.extras)
}

/// Before the machine may be frozen: the interface is up, with all that costs, and has nothing to say.
pub fn prepare(interface: &str) -> Outcome<()> {
    // Only what the host decides may appear on the interface: no address of its own making.
    let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", interface), "1");
    bring_up(interface).context(|| format!("bring up {}", interface))
}

/// Takes the address away; the routes go with it.
pub fn forget(interface: &str) -> Outcome<()> {
    let forget = || Socket::open()?.set_address(interface, libc::SIOCSIFADDR as _, Ipv4Addr::UNSPECIFIED);
    forget().context(|| format!("take the address from {}", interface))
}

pub fn bring_up(interface: &str) -> io::Result<()> {
    Socket::open()?.set_up(interface)
}

pub struct Socket(OwnedFd);

impl Socket {
    pub fn open() -> io::Result<Socket> {
        let fd = sys::check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
        Ok(Socket(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    fn ask<T>(&self, request: libc::c_ulong, argument: &mut T) -> io::Result<()> {
        sys::check(unsafe { libc::ioctl(self.0.as_raw_fd(), request as _, argument as *mut T) }).map(drop)
    }

    fn set_up(&self, interface: &str) -> io::Result<()> {
        let mut request = request_for(interface);
        self.ask(libc::SIOCGIFFLAGS as _, &mut request)?;
        unsafe { request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short };
        self.ask(libc::SIOCSIFFLAGS as _, &mut request)
    }

    fn set_mtu(&self, interface: &str, mtu: u32) -> io::Result<()> {
        let mut request = request_for(interface);
        request.ifr_ifru.ifru_mtu = mtu as libc::c_int;
        self.ask(libc::SIOCSIFMTU as _, &mut request)
    }

    fn mac(&self, interface: &str) -> io::Result<[u8; 6]> {
        let mut request = request_for(interface);
        self.ask(libc::SIOCGIFHWADDR as _, &mut request)?;
        let data = unsafe { request.ifr_ifru.ifru_hwaddr.sa_data };
        Ok([0, 1, 2, 3, 4, 5].map(|at: usize| data[at] as u8))
    }

    fn set_mac(&self, interface: &str, mac: [u8; 6]) -> io::Result<()> {
        let mut request = request_for(interface);
        let mut address: libc::sockaddr = unsafe { zeroed() };
        address.sa_family = 1; // ARPHRD_ETHER
        for (to, from) in address.sa_data.iter_mut().zip(mac) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_hwaddr = address;
        self.ask(libc::SIOCSIFHWADDR as _, &mut request)
    }

    fn set_address(&self, interface: &str, which: libc::c_ulong, address: Ipv4Addr) -> io::Result<()> {
        let mut request = request_for(interface);
        request.ifr_ifru.ifru_addr = socket_address(address);
        self.ask(which, &mut request)
    }

    /// `interface` may be an alias such as eth0:1: a further address.
    pub fn set_ipv4(&self, interface: &str, address: Ipv4Addr, mask: Ipv4Addr) -> io::Result<()> {
        self.set_address(interface, libc::SIOCSIFADDR as _, address)?;
        self.set_address(interface, libc::SIOCSIFNETMASK as _, mask)
    }

    pub fn add_route(&self, interface: &str, to: Ipv4Addr, mask: Ipv4Addr, by: Option<Ipv4Addr>) -> io::Result<()> {
        const RTF_UP: u16 = 1;
        const RTF_GATEWAY: u16 = 2;
        let device = sys::c_string(interface)?;
        let mut route: libc::rtentry = unsafe { zeroed() };
        route.rt_dst = socket_address(to);
        route.rt_genmask = socket_address(mask);
        route.rt_flags = RTF_UP;
        route.rt_dev = device.as_ptr() as *mut libc::c_char;
        if let Some(gateway) = by {
            route.rt_gateway = socket_address(gateway);
            route.rt_flags |= RTF_GATEWAY;
        }
        match self.ask(libc::SIOCADDRT as _, &mut route) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            other => other,
        }
    }
}

fn request_for(interface: &str) -> libc::ifreq {
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes().take(15)) {
        *to = from as libc::c_char;
    }
    request
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let mut internet: libc::sockaddr_in = unsafe { zeroed() };
    internet.sin_family = libc::AF_INET as libc::sa_family_t;
    internet.sin_addr.s_addr = u32::from(address).to_be();
    unsafe { std::mem::transmute(internet) }
}
