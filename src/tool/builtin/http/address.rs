//! Which addresses are public, and which others were opened.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use crate::error::{Error, Result, quoted};

/// Addresses that are not public, and allowed all the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Private {
    all: bool,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq)]
enum Entry {
    /// Whatever it resolves to.
    Host(String),
    /// An address, and how many of its first bits count.
    Block(IpAddr, u32),
}

/// Blocks of IPv4 that are not the public Internet.
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved and broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// All that is public in IPv6; what maps, translates or tunnels IPv4 lies outside of it or below.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Within it: Teredo, benchmarks and ORCHID; documentation, twice; 6to4.
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|block| in_v4(address, *block)),
        IpAddr::V6(address) => {
            in_v6(address, GLOBAL_V6) && !SPECIAL_V6.iter().any(|block| in_v6(address, *block))
        }
    }
}

fn in_v4(address: Ipv4Addr, (block, bits): (Ipv4Addr, u32)) -> bool {
    let differ = address.to_bits() ^ block.to_bits();
    differ.checked_shr(32 - bits).unwrap_or(0) == 0
}

fn in_v6(address: Ipv6Addr, (block, bits): (Ipv6Addr, u32)) -> bool {
    let differ = address.to_bits() ^ block.to_bits();
    differ.checked_shr(128 - bits).unwrap_or(0) == 0
}

impl Private {
    /// As it is configured: a boolean or a list.
    pub fn of(given: &Value) -> Result<Private> {
        let none = Vec::new();
        let listed = given.as_array().unwrap_or(&none).iter().enumerate();
        let entry = |(i, item): (usize, &Value)| {
            let text = item.as_str().unwrap_or_default();
            Entry::parse(text).ok_or_else(|| {
                let what = "expected a host, an address or a CIDR block";
                Error::invalid(format!("[{}]: {what}, got {}", i + 1, quoted(text)))
            })
        };
        let entries = listed.map(entry).collect::<Result<_>>()?;
        Ok(Private { all: given.as_bool() == Some(true), entries })
    }

    /// Whether a request to `host` may connect to `address`.
    pub fn admits(&self, host: &str, address: IpAddr) -> bool {
        self.all
            || is_public(address)
            || self.entries.iter().any(|entry| entry.admits(host, address))
    }

    pub fn shown(&self) -> Value {
        if self.entries.is_empty() {
            return self.all.into();
        }
        self.entries.iter().map(|entry| Value::from(entry.to_string())).collect()
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Entry> {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Some(Entry::Block(address, if address.is_ipv4() { 32 } else { 128 }));
        }
        if let Some((address, bits)) = text.split_once('/') {
            let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse().ok()?);
            let most = if address.is_ipv4() { 32 } else { 128 };
            return (bits <= most).then_some(Entry::Block(address, bits));
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let host = text.trim_end_matches('.').to_ascii_lowercase();
        (!host.is_empty() && host.chars().all(is_name)).then_some(Entry::Host(host))
    }

    fn admits(&self, host: &str, address: IpAddr) -> bool {
        match (self, address) {
            (Entry::Host(name), _) => name.eq_ignore_ascii_case(host),
            (Entry::Block(IpAddr::V4(block), bits), IpAddr::V4(address)) => {
                in_v4(address, (*block, *bits))
            }
            (Entry::Block(IpAddr::V6(block), bits), IpAddr::V6(address)) => {
                in_v6(address, (*block, *bits))
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Entry::Host(name) => f.write_str(name),
            Entry::Block(address, bits) => write!(f, "{address}/{bits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        let refused = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "3fff::1",
            "4000::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ];
        for text in refused {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        let allowed = [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.0.0.1",
            "128.0.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860::8888",
            "2a00::1",
        ];
        for text in allowed {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_was_opened_is_open_and_nothing_beside_it() {
        let private = |given: Value| Private::of(&given).unwrap();
        let admits = |private: &Private, host: &str, address: &str| {
            private.admits(host, address.parse().unwrap())
        };
        let blocks =
            private(json!(["10.1.0.0/16", "127.0.0.1", "[::1]", "Internal.Example", "0.0.0.0/0"]));
        let some = private(json!(["10.1.0.0/16", "127.0.0.1", "[::1]", "Internal.Example"]));
        assert!(admits(&some, "x", "10.1.255.1") && !admits(&some, "x", "10.2.0.1"));
        assert!(admits(&some, "x", "127.0.0.1") && !admits(&some, "x", "127.0.0.2"));
        assert!(admits(&some, "x", "::1") && !admits(&some, "x", "::2"));
        assert!(!admits(&some, "x", "::ffff:127.0.0.1"));
        assert!(admits(&some, "internal.example", "192.168.1.1"));
        assert!(!admits(&some, "a.internal.example", "192.168.1.1"));
        assert!(admits(&blocks, "x", "169.254.169.254") && !admits(&blocks, "x", "fe80::1"));
        assert!(admits(&private(json!(true)), "x", "fe80::1"));
        assert!(!admits(&private(json!(false)), "x", "127.0.0.1"));
        for bad in ["10.0.0.0/33", "::/129", "10.0.0.0/x", "a b", "", "http://x", "host:80", "*"] {
            let error = Private::of(&json!(["localhost", bad])).unwrap_err();
            assert!(error.message().starts_with("[2]: "), "{error}");
        }
        assert_eq!(
            some.shown(),
            json!(["10.1.0.0/16", "127.0.0.1/32", "::1/128", "internal.example"])
        );
    }
}
