//! Which proxy a request goes through.

use std::net::IpAddr;

use ureq::ProxyProtocol;
use ureq::http::Uri;

use super::names::{host, port};
use super::{Failure, Proxy};

/// Read where the request starts, on the host's own thread: the environment is the host's.
pub(super) fn choose(proxy: &Proxy, uri: &Uri) -> Result<Option<ureq::Proxy>, Failure> {
    match proxy {
        Proxy::None => Ok(None),
        Proxy::Url(url) => parse(url).map(Some),
        Proxy::Environment => from_environment(uri, |name| std::env::var(name).ok()),
    }
}

fn parse(url: &str) -> Result<ureq::Proxy, Failure> {
    // The URL may hold a password, so no message shows it.
    let invalid = |why: &str| Failure::Invalid(format!("proxy: {why}"));
    let proxy = ureq::Proxy::new(url).map_err(|_| invalid("not a URL of an HTTP proxy"))?;
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https => Ok(proxy),
        other => Err(invalid(&format!("{other} proxies are not supported"))),
    }
}

fn from_environment(
    uri: &Uri,
    get: impl Fn(&str) -> Option<String>,
) -> Result<Option<ureq::Proxy>, Failure> {
    let set = |name: &str| get(name).filter(|value| !value.is_empty());
    let either = |name: &str| set(name).or_else(|| set(&name.to_ascii_uppercase()));
    if is_loopback(host(uri)) || either("no_proxy").is_some_and(|list| is_exempt(uri, &list)) {
        return Ok(None);
    }
    let own = match uri.scheme_str() {
        Some("https") => either("https_proxy"),
        // In a CGI process HTTP_PROXY is a request header of a stranger.
        _ if set("REQUEST_METHOD").is_some() => set("http_proxy"),
        _ => either("http_proxy"),
    };
    own.or_else(|| either("all_proxy")).map(|url| parse(&url)).transpose()
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `NO_PROXY`: names with their subdomains, each with or without a port, or `*`.
fn is_exempt(uri: &Uri, list: &str) -> bool {
    let (host, port) = (host(uri).to_ascii_lowercase(), port(uri).to_string());
    list.split([',', ' ']).any(|entry| {
        let entry = entry.trim().to_ascii_lowercase();
        let (name, its_port) = match entry.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') => (name, Some(port)),
            _ => (entry.as_str(), None),
        };
        let name = name.trim_start_matches("*.").trim_start_matches('.');
        its_port.is_none_or(|its| its == port) && (name == "*" || is_within(&host, name))
    })
}

/// `api.example.com` is within `example.com`, `badexample.com` is not.
fn is_within(host: &str, domain: &str) -> bool {
    !domain.is_empty()
        && host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(url: &str, environment: &[(&str, &str)]) -> Option<String> {
        let get = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
        };
        let proxy = from_environment(&url.parse().unwrap(), get).unwrap();
        proxy.map(|proxy| proxy.host().to_string())
    }

    #[test]
    fn the_scheme_picks_the_variable() {
        let both = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "http://p:1")];
        assert_eq!(chosen("https://api.example", &both).as_deref(), Some("s"));
        assert_eq!(chosen("http://api.example", &both).as_deref(), Some("p"));
        let all = [("ALL_PROXY", "http://a:1")];
        assert_eq!(chosen("https://api.example", &all).as_deref(), Some("a"));
        assert_eq!(chosen("https://api.example", &[]), None);
    }

    #[test]
    fn loopback_and_listed_hosts_go_direct() {
        let set = |list| [("all_proxy", "http://a:1"), ("NO_PROXY", list)];
        assert_eq!(chosen("http://localhost:11434", &set("")), None);
        assert_eq!(chosen("http://127.0.0.1:11434", &set("")), None);
        assert_eq!(chosen("http://[::1]:11434", &set("")), None);
        for list in ["*", "example.com", ".example.com", "x, example.com:8080", "api.example.com"] {
            assert_eq!(chosen("http://api.example.com:8080", &set(list)), None, "{list}");
        }
        for list in ["ample.com", "example.com:81", "example.org", "", "www.api.example.com"] {
            assert!(chosen("http://api.example.com:8080", &set(list)).is_some(), "{list}");
        }
    }

    #[test]
    fn a_request_header_is_not_taken_for_a_proxy() {
        let cgi = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://evil:1")];
        assert_eq!(chosen("http://api.example", &cgi), None);
    }

    #[test]
    fn unusable_proxies_are_refused_without_showing_them() {
        for url in ["socks5://user:secret@h:1", "ftp://user:secret@h", "http://user:secret@h:x:y"] {
            let Err(Failure::Invalid(message)) = parse(url) else { panic!("{url}") };
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
