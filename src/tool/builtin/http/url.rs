//! URLs, read strictly: what two programs could read in two ways is refused.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

const LONGEST: usize = 8192;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub is_https: bool,
    /// In lower case, an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
    /// Path and query.
    target: String,
}

type Why = &'static str;

impl Url {
    pub fn parse(text: &str) -> Result<Url, Why> {
        let text = text.trim_matches(' ');
        check_characters(text)?;
        let (scheme, rest) = text.split_once("://").ok_or("must begin with http:// or https://")?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err("must begin with http:// or https://"),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let (host, port) = authority_of(authority)?;
        let port = port.unwrap_or(if is_https { 443 } else { 80 });
        Ok(Url { is_https, host, port, target: target_of(target) })
    }

    /// Where a redirect leads.
    pub fn join(&self, location: &str) -> Result<Url, Why> {
        let location = location.trim_matches(' ');
        check_characters(location)?;
        if has_scheme(location) {
            return Url::parse(location);
        }
        if location.starts_with("//") {
            return Url::parse(&format!("{}:{location}", self.scheme()));
        }
        let path = self.target.split('?').next().unwrap_or("/");
        let target = match location.chars().next() {
            None | Some('#') => self.target.clone(),
            Some('/') => target_of(location),
            Some('?') => target_of(&format!("{path}{location}")),
            Some(_) => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                target_of(&format!("{folder}/{location}"))
            }
        };
        Ok(Url { target, ..self.clone() })
    }

    /// Without path and query.
    pub fn origin(&self) -> String {
        let bare = Url { target: String::new(), ..self.clone() };
        bare.to_string()
    }

    pub fn has_origin_of(&self, other: &Url) -> bool {
        (self.is_https, &self.host, self.port) == (other.is_https, &other.host, other.port)
    }

    fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = if self.is_https { 443 } else { 80 };
        write!(f, "{}://", self.scheme())?;
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        if self.port != usual {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.target)
    }
}

fn check_characters(text: &str) -> Result<(), Why> {
    match text {
        _ if text.len() > LONGEST => Err("is longer than 8192 bytes"),
        _ if text.chars().any(char::is_control) => Err("has a control character in it"),
        _ if text.contains('\\') => Err("has a backslash in it"),
        _ => Ok(()),
    }
}

/// `mailto:x`, but not `a/b:c`
fn has_scheme(text: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    text.split_once(':').is_some_and(|(word, _)| is_word(word))
}

fn authority_of(authority: &str) -> Result<(String, Option<u16>), Why> {
    if authority.contains('@') {
        return Err("must not hold a user name or password");
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (inner, port) = rest.split_once(']').ok_or("has an unclosed [")?;
        let address: Ipv6Addr =
            inner.parse().map_err(|_| "has no IPv6 address between [ and ] (zones are refused)")?;
        let port = match port {
            "" => None,
            port => Some(port_of(port.strip_prefix(':').ok_or("has something behind ]")?)?),
        };
        return Ok((address.to_string(), port));
    }
    match authority.split_once(':') {
        None => Ok((host_of(authority)?, None)),
        Some((host, port)) => Ok((host_of(host)?, Some(port_of(port)?))),
    }
}

fn port_of(text: &str) -> Result<u16, Why> {
    let is_number = !text.is_empty() && text.len() <= 5 && text.bytes().all(|c| c.is_ascii_digit());
    let port = text.parse().ok().filter(|port| is_number && *port != 0);
    port.ok_or("has a port that is no number from 1 to 65535")
}

fn host_of(text: &str) -> Result<String, Why> {
    if text.is_empty() {
        return Err("has no host");
    }
    if !text.is_ascii() {
        return Err("has a host with letters beyond ASCII: write it in punycode");
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.chars().all(is_name) {
        return Err("has a host with a sign in it that names do not have");
    }
    let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if host.len() > 253 || host.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return Err("has a host that is no name");
    }
    // As browsers tell addresses from names, so that 0x7f.1 and 2130706433 are no names.
    let last = host.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").map(|hex| hex.bytes().all(|c| c.is_ascii_hexdigit()));
    let is_number = last.bytes().all(|c| c.is_ascii_digit()) || hex == Some(true);
    if is_number && text.parse::<Ipv4Addr>().is_err() {
        return Err("has an IPv4 address in an unusual spelling");
    }
    Ok(host)
}

/// What is sent: without the fragment, and with everything encoded that may not stand as it is.
fn target_of(text: &str) -> String {
    let text = text.split('#').next().unwrap_or_default();
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let mut target = without_dots(path);
    if let Some(query) = query {
        target.push('?');
        target.push_str(query);
    }
    encoded(&target)
}

fn without_dots(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    for (i, part) in parts.iter().enumerate() {
        let is_last = i + 1 == parts.len();
        match *part {
            "." | ".." => {
                if *part == ".." {
                    names.pop();
                }
                if is_last {
                    names.push("");
                }
            }
            part => names.push(part),
        }
    }
    format!("/{}", names.join("/"))
}

fn encoded(target: &str) -> String {
    let mut out = String::with_capacity(target.len());
    for byte in target.bytes() {
        match byte {
            b' ' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80.. => {
                out.push_str(&format!("%{byte:02X}"));
            }
            byte => out.push(byte.into()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        Url::parse(text).map(|url| url.to_string()).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn urls_are_brought_into_one_form() {
        let known = [
            ("http://example.com", "http://example.com/"),
            ("HtTpS://EXAMPLE.com:443/A?b#c", "https://example.com/A?b"),
            ("http://example.com.:8080/", "http://example.com:8080/"),
            ("http://1.2.3.4/x", "http://1.2.3.4/x"),
            ("http://[2001:DB8:0::1]:81/", "http://[2001:db8::1]:81/"),
            (" http://h/a b?q=ä ", "http://h/a%20b?q=%C3%A4"),
            ("http://h/a/../b/./c/..", "http://h/b/"),
            ("http://h/../../etc", "http://h/etc"),
            ("http://h?x=1", "http://h/?x=1"),
            ("http://127.0.0.1.nip.example/", "http://127.0.0.1.nip.example/"),
            ("http://h/a@b:c", "http://h/a@b:c"),
        ];
        for (text, expected) in known {
            assert_eq!(read(text), expected);
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let refused = [
            "",
            "example.com",
            "//example.com",
            "http:example.com",
            "http:/example.com",
            "http://",
            "http:///x",
            "ftp://h/",
            "file:///etc/passwd",
            "gopher://h",
            "javascript:alert(1)",
            "http://user@h/",
            "http://user:password@h/",
            "http://h@127.0.0.1/",
            "http://@h/",
            "http://127.0.0.1%2f@h/",
            "http://h\\@i/",
            "http://h/\\x",
            "http://h/\r\nHost: i",
            "http://h\t/",
            "http://h\0/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.0.0.1/",
            "http://017700000001/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.1/",
            "http://127.0.0.1./",
            "http://0/",
            "http://0x/",
            "http://1.2.3.4.5/",
            "http://256.1.1.1/",
            "http://127.0.0.01/",
            "http://%31%32%37.0.0.1/",
            "http://h%00/",
            "http://[::1",
            "http://[::1%25lo]/",
            "http://[fe80::1%eth0]/",
            "http://[::1]x/",
            "http://[127.0.0.1]/",
            "http://[]/",
            "http://h:/",
            "http://h:0/",
            "http://h:65536/",
            "http://h:+80/",
            "http://h:80:81/",
            "http://h:8o/",
            "http://::1/",
            "http://a..b/",
            "http://.h/",
            "http://h../",
            "http://ⓛocalhost/",
            "http://127。0。0。1/",
            "http://１２７.0.0.1/",
            "http://a b/",
            "http://h,i/",
            "http://h;i/",
            "http://h|i/",
        ];
        for text in refused {
            assert!(Url::parse(text).is_err(), "{text}: {:?}", Url::parse(text));
        }
    }

    #[test]
    fn redirects_lead_where_they_say() {
        let base = Url::parse("https://h:444/a/b?q").unwrap();
        let known = [
            ("/x?y", "https://h:444/x?y"),
            ("x", "https://h:444/a/x"),
            ("../x", "https://h:444/x"),
            ("?z", "https://h:444/a/b?z"),
            ("", "https://h:444/a/b?q"),
            ("#f", "https://h:444/a/b?q"),
            ("//i/x", "https://i/x"),
            ("HTTP://i/x", "http://i/x"),
        ];
        for (location, expected) in known {
            let url = base.join(location).unwrap();
            assert_eq!(url.to_string(), expected, "{location}");
        }
        assert!(base.has_origin_of(&base.join("/x").unwrap()));
        for other in ["http://h:444/", "https://h/", "https://i:444/"] {
            assert!(!base.has_origin_of(&base.join(other).unwrap()), "{other}");
        }
        for bad in
            ["file:///etc/passwd", "http://u@i/", "/\\i", "//\\i", "http:/i", "//2130706433/"]
        {
            assert!(base.join(bad).is_err(), "{bad}");
        }
    }
}
