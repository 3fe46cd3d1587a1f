//! URLs of servers: `redis://user:password@host:6379/0?prefix=app1`.

use ::redis::{ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, parse_redis_url};

use crate::error::{Error, Result, quoted};

const EXPECTED: &str = "expected \"redis://[user:password@]host[:port][/database]\", \
    with \"rediss:\" for TLS, or \"unix:///path/of/socket\"";

/// Where a server is, how to log in, and how the keys of the store begin. Its `Debug` and what
/// [`shown`](Address::shown) gives hold no password.
#[derive(Clone, Debug)]
pub struct Address {
    info: ConnectionInfo,
    prefix: String,
    ca: Option<String>,
    shown: String,
}

/// What may stand behind the `?`.
#[derive(Default)]
struct Extras {
    prefix: Option<String>,
    ca: Option<String>,
    /// Of a socket, whose URL has no other place for them.
    db: Option<String>,
    user: Option<String>,
    pass: Option<String>,
}

impl Address {
    /// Needs no connection. What is wrong is said without the URL, which may hold a password.
    pub fn parse(url: &str) -> Result<Address> {
        let mut parsed = parse_redis_url(url).ok_or_else(|| wrong("this cannot be read as one"))?;
        let socket = parsed.scheme().ends_with("unix");
        let extras = Extras::read(socket, parsed.query_pairs())?;
        if parsed.fragment().is_some() {
            return Err(wrong("there is a \"#\" in it; write it as %23"));
        }
        parsed.set_query(None);
        let login = parsed.clone().into_connection_info().map_err(|cause| wrong(&said(&cause)))?;
        let info = extras.apply(login)?;
        let prefix = extras.prefix.unwrap_or_else(|| "zigllms".to_owned());
        // None of these can fail where the connection info could be read.
        let _ = parsed.set_password(None);
        let shown = shown(parsed.as_str(), &info, &prefix);
        Ok(Address { info, prefix, ca: extras.ca, shown })
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The same for the same store, also where one of two URLs leaves out what is the default.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    pub(super) fn info(&self) -> ConnectionInfo {
        self.info.clone()
    }
}

impl Extras {
    fn read<K: AsRef<str>, V: AsRef<str>>(
        socket: bool,
        pairs: impl Iterator<Item = (K, V)>,
    ) -> Result<Extras> {
        let mut extras = Extras::default();
        for (name, value) in pairs {
            let value = value.as_ref().to_owned();
            let place = match name.as_ref() {
                "prefix" => &mut extras.prefix,
                "ca" => &mut extras.ca,
                "db" if socket => &mut extras.db,
                "user" if socket => &mut extras.user,
                "pass" if socket => &mut extras.pass,
                other => return Err(unknown(other, socket)),
            };
            *place = Some(value);
        }
        if let Some(prefix) = &extras.prefix {
            check_prefix(prefix)?;
        }
        Ok(extras)
    }

    fn apply(&self, info: ConnectionInfo) -> Result<ConnectionInfo> {
        let mut login: RedisConnectionInfo = info.redis_settings().clone().set_skip_set_lib_name();
        if let Some(db) = &self.db {
            login = login.set_db(db.parse().map_err(|_| wrong("the database is not a number"))?);
        }
        if login.db() < 0 {
            return Err(wrong("the database is a negative number"));
        }
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(pass) = &self.pass {
            login = login.set_password(pass);
        }
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        Ok(info.set_redis_settings(login).set_tcp_settings(tcp))
    }
}

/// A colon would let one store's keys be another's.
fn check_prefix(prefix: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if (1..=64).contains(&prefix.len()) && prefix.bytes().all(plain) {
        return Ok(());
    }
    let got = quoted(prefix);
    Err(wrong(&format!("its prefix must be 1 to 64 letters, digits, _ . or -, got {got}")))
}

fn unknown(name: &str, socket: bool) -> Error {
    let known = if socket { "prefix, db, user and pass" } else { "prefix and ca" };
    wrong(&format!("its parameter {} is unknown, there are {known}", quoted(name)))
}

fn said(cause: &::redis::RedisError) -> String {
    let text = cause.to_string();
    text.split(" - ").next().unwrap_or_default().to_lowercase()
}

fn wrong(what: &str) -> Error {
    Error::invalid(format!("URL of a Redis server: {EXPECTED}; {what}"))
}

fn shown(url: &str, info: &ConnectionInfo, prefix: &str) -> String {
    let scheme = url.split(':').next().unwrap_or_default();
    let user = info.redis_settings().username().map(|user| format!("{user}@")).unwrap_or_default();
    let db = info.redis_settings().db();
    let mut shown = match info.addr() {
        ::redis::ConnectionAddr::Unix(path) => format!("unix://{user}{}?db={db}", path.display()),
        server => format!("{scheme}://{user}{}/{db}", bracketed(&server.to_string())),
    };
    if prefix != "zigllms" {
        shown.push(if shown.contains('?') { '&' } else { '?' });
        shown.push_str(&format!("prefix={prefix}"));
    }
    shown
}

/// `::1:6379` as `[::1]:6379`.
fn bracketed(server: &str) -> String {
    match server.rsplit_once(':') {
        Some((host, port)) if host.contains(':') => format!("[{host}]:{port}"),
        _ => server.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_of(url: &str) -> String {
        Address::parse(url).map_or_else(|error| error.to_string(), |address| address.shown)
    }

    #[test]
    fn defaults_are_filled_in_and_passwords_left_out() {
        assert_eq!(shown_of("redis://host"), "redis://host:6379/0");
        assert_eq!(shown_of("redis://:secret@host:1/3"), "redis://host:1/3");
        assert_eq!(shown_of("rediss://me:sec%23ret@[::1]/"), "rediss://me@[::1]:6379/0");
        assert_eq!(shown_of("redis://host?prefix=app1"), "redis://host:6379/0?prefix=app1");
        let socket = "unix:///run/redis.sock?db=2&user=me&pass=secret&prefix=a";
        assert_eq!(shown_of(socket), "unix://me@/run/redis.sock?db=2&prefix=a");
    }

    #[test]
    fn the_login_is_read() {
        let address = Address::parse("redis://me:se%40cret@host/5").unwrap();
        let login = address.info.redis_settings();
        assert_eq!(login.username(), Some("me"));
        assert_eq!(login.password(), Some("se@cret"));
        assert_eq!(login.db(), 5);
        assert!(!format!("{address:?}").contains("cret"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (url, what) in [
            ("http://h", "cannot be read"),
            ("redis://:secret@h:99999", "cannot be read"),
            ("redis://:secret@h/x", "invalid database number"),
            ("redis://:secret@h/-1", "negative"),
            ("redis://:secret@h?db=1", "there are prefix and ca"),
            ("redis://:secret@h?prefix=a:b", "its prefix must be"),
            ("redis://:secret@h#insecure", "there is a \"#\""),
            ("redis://", "cannot be read|missing hostname"),
            ("redis://0.0.0.0", "wildcard"),
        ] {
            let error = Address::parse(url).unwrap_err();
            let text = error.to_string();
            assert!(what.split('|').any(|what| text.contains(what)), "{url}: {text}");
            assert!(text.contains("expected \"redis://"), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
