//! What a network gives beyond one IPv4 address: IPv6, further addresses, routes. By ioctl, as net.rs; only where the host asks for it.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd};

use serde_json::Value;

use crate::failure::{Context, Failure, Outcome};
use crate::net::{mask_of, Socket};
use crate::{params, sys};

/// As many as anybody has use for; the host is trusted, its list is not endless all the same.
const MOST: usize = 256;
const METRIC: u32 = 1024;

#[derive(Debug, PartialEq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

#[derive(Debug, PartialEq, Default)]
pub struct Extras {
    addresses: Vec<Network>,
    gateway: Option<Ipv6Addr>,
    routes: Vec<(Network, Option<IpAddr>)>,
}

impl Extras {
    pub fn parse(network: &Value) -> Outcome<Extras> {
        let mut extras = Extras::default();
        if let Some(ipv6) = network.get("ipv6").filter(|ipv6| !ipv6.is_null()) {
            extras.addresses.push(address_of(ipv6)?);
            extras.gateway = match params::optional_text(ipv6, "gateway") {
                Some(text) => Some(text.parse().map_err(|_| wrong("ipv6.gateway", text))?),
                None => None,
            };
        }
        for more in params::list(network, "moreAddresses") {
            extras.addresses.push(address_of(more)?);
        }
        for route in params::list(network, "routes") {
            let text = params::text(route, "destination")?;
            let (address, prefix) = text.split_once('/').ok_or_else(|| wrong("routes.destination", text))?;
            let destination = network_of(address, prefix.parse().ok()).ok_or_else(|| wrong("routes.destination", text))?;
            let gateway = params::optional_text(route, "gateway");
            let gateway = gateway.map(|text| text.parse().map_err(|_| wrong("routes.gateway", text))).transpose()?;
            extras.routes.push((destination, gateway));
        }
        if extras.addresses.len() > MOST || extras.routes.len() > MOST {
            return Err(Failure::bad(format!("parameter network has more than {} addresses or routes", MOST)));
        }
        Ok(extras)
    }

    fn has_ipv6(&self) -> bool {
        self.addresses.iter().any(|one| one.address.is_ipv6())
    }
}

fn wrong(name: &str, text: &str) -> Failure {
    Failure::bad(format!("parameter network.{} must be an address, not {:?}", name, text))
}

fn address_of(value: &Value) -> Outcome<Network> {
    let text = params::text(value, "address")?;
    network_of(text, Some(params::number(value, "prefixLength")?)).ok_or_else(|| wrong("address", text))
}

fn network_of(address: &str, prefix: Option<u64>) -> Option<Network> {
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv6() { 128 } else { 32 };
    prefix.filter(|&prefix| prefix <= most).map(|prefix| Network { address, prefix: prefix as u8 })
}

pub fn configure(interface: &str, extras: &Extras) -> Outcome<()> {
    if *extras == Extras::default() {
        return Ok(());
    }
    let steps = || -> io::Result<()> {
        if extras.has_ipv6() {
            allow(interface)?;
        }
        let six = Six::open(interface)?;
        let four = Socket::open()?;
        let mut aliases = 0;
        for Network { address, prefix } in &extras.addresses {
            match address {
                IpAddr::V6(address) => six.add_address(*address, *prefix)?,
                IpAddr::V4(address) => {
                    aliases += 1;
                    let alias = format!("{}:{}", interface, aliases);
                    four.set_ipv4(&alias, *address, mask_of(u64::from(*prefix)))?;
                }
            }
        }
        for (to, by) in &extras.routes {
            match (to.address, by) {
                (IpAddr::V4(address), Some(IpAddr::V4(by))) => four.add_route(interface, address, mask_of(to.prefix.into()), Some(*by))?,
                (IpAddr::V4(address), None) => four.add_route(interface, address, mask_of(to.prefix.into()), None)?,
                (IpAddr::V6(address), Some(IpAddr::V6(by))) => six.add_route(address, to.prefix, Some(*by))?,
                (IpAddr::V6(address), None) => six.add_route(address, to.prefix, None)?,
                _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "a route's gateway is of the other family")),
            }
        }
        if let Some(gateway) = extras.gateway {
            six.add_route(Ipv6Addr::UNSPECIFIED, 0, Some(gateway))?;
        }
        Ok(())
    };
    steps().context(|| format!("configure the further addresses of {}", interface))
}

/// The host vouches for the addresses: no second is lost asking the link whether somebody has them, and no router is listened to.
fn allow(interface: &str) -> io::Result<()> {
    let settings = [("accept_ra", "0"), ("autoconf", "0"), ("accept_dad", "0"), ("dad_transmits", "0"), ("disable_ipv6", "0")];
    for (name, value) in settings {
        fs::write(format!("/proc/sys/net/ipv6/conf/{}/{}", interface, name), value)?;
    }
    Ok(())
}

/// linux/ipv6.h struct in6_ifreq
#[repr(C)]
struct AddressRequest {
    address: [u8; 16],
    prefix: u32,
    index: libc::c_int,
}

/// linux/ipv6_route.h struct in6_rtmsg
#[repr(C)]
struct RouteRequest {
    destination: [u8; 16],
    source: [u8; 16],
    gateway: [u8; 16],
    kind: u32,
    destination_length: u16,
    source_length: u16,
    metric: u32,
    info: libc::c_ulong,
    flags: u32,
    index: libc::c_int,
}

struct Six {
    socket: OwnedFd,
    index: libc::c_int,
}

impl Six {
    fn open(interface: &str) -> io::Result<Six> {
        let name = sys::c_string(interface)?;
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) } as libc::c_int;
        let fd = sys::check(unsafe { libc::socket(libc::AF_INET6, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
        Ok(Six { socket: unsafe { OwnedFd::from_raw_fd(fd) }, index })
    }

    /// What is there already is no error: setup may be called again.
    fn ask<T>(&self, request: libc::c_ulong, argument: &mut T) -> io::Result<()> {
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), request as _, argument as *mut T) };
        match sys::check(result) {
            Err(error) if error.raw_os_error() != Some(libc::EEXIST) => Err(error),
            _ => Ok(()),
        }
    }

    fn add_address(&self, address: Ipv6Addr, prefix: u8) -> io::Result<()> {
        let mut request = AddressRequest { address: address.octets(), prefix: prefix.into(), index: self.index };
        self.ask(libc::SIOCSIFADDR as _, &mut request)
    }

    fn add_route(&self, to: Ipv6Addr, prefix: u8, by: Option<Ipv6Addr>) -> io::Result<()> {
        const RTF_UP: u32 = 1;
        const RTF_GATEWAY: u32 = 2;
        let mut request = RouteRequest {
            destination: to.octets(),
            source: [0; 16],
            gateway: by.unwrap_or(Ipv6Addr::UNSPECIFIED).octets(),
            kind: 0,
            destination_length: prefix.into(),
            source_length: 0,
            metric: METRIC,
            info: 0,
            flags: if by.is_some() { RTF_UP | RTF_GATEWAY } else { RTF_UP },
            index: self.index,
        };
        self.ask(libc::SIOCADDRT as _, &mut request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_addresses_and_routes_of_both_families() {
        let network = json!({
            "ipv6": { "address": "fd00::5", "prefixLength": 64, "gateway": "fd00::1" },
            "moreAddresses": [{ "address": "10.9.0.2", "prefixLength": 24 }],
            "routes": [{ "destination": "10.8.0.0/16", "gateway": "10.9.0.1" }, { "destination": "fd01::/32" }],
        });
        let extras = Extras::parse(&network).unwrap();
        assert_eq!(extras.addresses.len(), 2);
        assert_eq!(extras.gateway, Some("fd00::1".parse().unwrap()));
        assert_eq!(extras.routes[0].1, Some("10.9.0.1".parse().unwrap()));
        assert_eq!(extras.routes[1].0.prefix, 32);
        assert_eq!(Extras::parse(&json!({})).unwrap(), Extras::default());
    }

    #[test]
    fn refuses_what_is_no_network_by_name() {
        for (network, name) in [
            (json!({ "routes": [{ "destination": "10.0.0.0" }] }), "routes.destination"),
            (json!({ "routes": [{ "destination": "fd00::/129" }] }), "routes.destination"),
            (json!({ "routes": [{ "destination": "10.0.0.0/8", "gateway": "x" }] }), "routes.gateway"),
            (json!({ "moreAddresses": [{ "address": "10.0.0.1", "prefixLength": 33 }] }), "address"),
        ] {
            assert!(format!("{:?}", Extras::parse(&network).unwrap_err()).contains(name), "{}", name);
        }
    }
}
