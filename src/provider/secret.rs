//! Keys and tokens: held so that they cannot be shown by accident, and taken out of texts that
//! came from elsewhere (servers echo what they were sent).

use std::fmt;
use std::ops::Range;

use base64::prelude::{BASE64_STANDARD, Engine};
use memchr::memmem;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::net::Proxy;
use crate::value::percent;

/// Shown in place of a secret.
pub const MASK: &str = "***";
/// Where a long text was cut.
const CUT: char = '…';
/// Shorter texts are no secrets; masking them would garble ordinary words.
const SHORTEST: usize = 6;

/// A text that is never printed and is wiped from memory when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// What tells a secret from others, also in another process, and nothing else of it.
pub fn fingerprint(secret: impl AsRef<[u8]>) -> [i64; 4] {
    let digest = digest(&SHA256, secret.as_ref());
    let (words, _) = digest.as_ref().as_chunks::<8>();
    let word = |at: usize| words.get(at).map_or(0, |word| i64::from_be_bytes(*word));
    [word(0), word(1), word(2), word(3)]
}

/// Takes secrets out of texts, in every form in which servers and proxies write a text.
pub struct Redactor(Vec<Zeroizing<String>>);

impl Redactor {
    pub fn new(secrets: &[Secret]) -> Redactor {
        let long = |secret: &&Secret| secret.expose().len() >= SHORTEST;
        let all: Vec<&str> = secrets.iter().filter(long).map(Secret::expose).collect();
        // `Bearer sk-…` is masked where `sk-…` is.
        let has_inner = |text: &str| all.iter().any(|one| *one != text && text.contains(one));
        let least: Vec<&str> = all.iter().copied().filter(|text| !has_inner(text)).collect();
        let mut forms: Vec<_> = least.into_iter().flat_map(forms).collect();
        // The longer first: a form may be the start of another.
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Redactor(forms)
    }

    pub fn text(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for form in &self.0 {
            if clean.contains(form.as_str()) {
                clean = clean.replace(form.as_str(), MASK);
            }
            clean = redact_cut(clean, form);
        }
        clean
    }

    /// Where secrets stand, in order and apart.
    pub fn spans(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let whole = self.0.iter().flat_map(|form| {
            let found = memmem::find_iter(bytes, form.as_bytes());
            found.map(|at| at..at + form.len()).collect::<Vec<_>>()
        });
        let mut all: Vec<_> = whole.chain(self.cut_spans(bytes)).collect();
        all.sort_by_key(|span| span.start);
        all.into_iter().fold(Vec::new(), |mut apart: Vec<Range<usize>>, span| {
            match apart.last_mut().filter(|last| span.start <= last.end) {
                Some(last) => last.end = last.end.max(span.end),
                None => apart.push(span),
            }
            apart
        })
    }

    /// Beginnings of secrets in front of where a text was cut.
    fn cut_spans(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let cuts =
            ["…", "...", "\\u2026"].map(|mark| memmem::find_iter(bytes, mark).collect::<Vec<_>>());
        let cuts = cuts.into_iter().flatten();
        cuts.flat_map(|end| {
            let begins = |form: &Zeroizing<String>| {
                let ends = (SHORTEST..form.len()).rev();
                let mut ends = ends.filter_map(|length| Some((form.get(..length)?, length)));
                let found = ends.find(|(part, _)| bytes[..end].ends_with(part.as_bytes()));
                found.map(|(_, length)| end - length..end)
            };
            self.0.iter().filter_map(begins).collect::<Vec<_>>()
        })
        .collect()
    }

    /// With something else in place of every secret.
    pub fn replaced_bytes(&self, bytes: &[u8], mask: &str) -> Vec<u8> {
        let (mut clean, mut rest) = (Vec::with_capacity(bytes.len()), 0);
        for span in self.spans(bytes) {
            clean.extend_from_slice(&bytes[rest..span.start]);
            clean.extend_from_slice(mask.as_bytes());
            rest = span.end;
        }
        clean.extend_from_slice(&bytes[rest..]);
        clean
    }

    /// The same of a text.
    pub fn replaced(&self, text: &str, mask: &str) -> String {
        String::from_utf8_lossy(&self.replaced_bytes(text.as_bytes(), mask)).into_owned()
    }

    pub fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(members) => members
                .into_iter()
                .map(|(key, value)| (self.text(&key), self.value(value)))
                .collect(),
            other => other,
        }
    }

    /// An error whose message and details hold no secret.
    pub fn error(&self, error: Error) -> Error {
        let mut fields = error.fields().clone();
        fields.details = fields.details.map(|details| self.value(details));
        fields.request_id = fields.request_id.map(|id| self.text(&id));
        Error::new(error.code(), self.text(error.message())).with(|f| *f = fields)
    }
}

/// The text without the secrets that stand in it as they are: where an answer is good, a server has
/// no reason to write them otherwise, and every answer comes this way.
pub fn masked_as_is(text: &str, secrets: &[Secret]) -> String {
    let secrets = secrets.iter().map(Secret::expose).filter(|secret| secret.len() >= SHORTEST);
    secrets.fold(text.to_owned(), |text, secret| match text.contains(secret) {
        true => text.replace(secret, MASK),
        false => text,
    })
}

/// A text as it is, escaped for HTML, for a URL and inside of base64, and each of these escaped for
/// JSON once more, as in a body that is shown as it came.
fn forms(text: &str) -> Vec<Zeroizing<String>> {
    let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let upper = percent::encoded(text);
    let lower = percent::encoded_by(text, |byte| format!("%{byte:02x}"));
    let mut all = vec![
        text.to_owned(),
        escaped(text),
        escaped(text).replace('/', "\\/"),
        html.replace('"', "&quot;").replace('\'', "&#39;"),
        html.replace('"', "&#34;").replace('\'', "&#x27;"),
        upper.replace("%20", "+"),
        lower.replace("%20", "+"),
        upper,
        lower,
    ];
    for encoded in (0..3).filter_map(|before| inside_base64(text, before)) {
        all.push(encoded.replace('+', "-").replace('/', "_"));
        all.push(encoded);
    }
    let again = all.iter().flat_map(|form| [escaped(form), escaped(form).replace('/', "\\/")]);
    let again: Vec<String> = again.collect();
    all.into_iter().chain(again).map(Zeroizing::new).collect()
}

/// As JSON writes it between quotes.
fn escaped(text: &str) -> String {
    let json = Value::from(text).to_string();
    json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&json).to_owned()
}

/// What base64 makes of a text behind so many other bytes, without the letters at both ends that
/// depend on what stands beside it.
fn inside_base64(text: &str, before: usize) -> Option<String> {
    let bytes = [&[0; 3][..before], text.as_bytes()].concat();
    let encoded = BASE64_STANDARD.encode(&bytes);
    let inside = encoded.get((before * 8).div_ceil(6)..bytes.len() * 8 / 6)?;
    (inside.len() >= SHORTEST).then(|| inside.to_owned())
}

/// Masks the rest of a secret where a text was cut in the middle of it.
fn redact_cut(text: String, secret: &str) -> String {
    if !text.contains(CUT) {
        return text;
    }
    let ends = secret.char_indices().map(|(at, _)| at).filter(|at| *at >= SHORTEST);
    let found = ends.rev().map(|at| format!("{}{CUT}", &secret[..at])).find(|p| text.contains(p));
    found.map_or(text.clone(), |part| text.replace(&part, &format!("{MASK}{CUT}")))
}

/// What a request to `url` with these headers must not reveal: values of headers, with and without
/// their scheme, and what stands before the host.
pub fn of_request(url: &str, headers: &[(String, String)]) -> Vec<Secret> {
    let telling = headers.iter().filter(|(name, _)| !is_harmless(name));
    let values = telling.flat_map(|(_, value)| [value.as_str(), last_word(value)]);
    let mut all: Vec<Secret> = values.map(Secret::new).collect();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let values = query.split('&').filter_map(|pair| pair.split_once('='));
    all.extend(values.flat_map(|(_, value)| as_sent(value)));
    all.extend(of_userinfo(url));
    all
}

/// Headers as they may be shown: of those that may hold a secret the name alone.
pub fn shown_headers(headers: &[(String, String)]) -> Vec<(String, String)> {
    let shown = |(name, value): &(String, String)| {
        let value = if is_harmless(name) { value } else { MASK };
        (name.clone(), value.to_owned())
    };
    headers.iter().map(shown).collect()
}

fn is_harmless(header: &str) -> bool {
    const HARMLESS: [&str; 11] = [
        "accept",
        "accept-language",
        "anthropic-beta",
        "anthropic-version",
        "content-type",
        "http-referer",
        "mcp-protocol-version",
        "openai-organization",
        "openai-project",
        "user-agent",
        "x-title",
    ];
    HARMLESS.iter().any(|name| header.eq_ignore_ascii_case(name))
}

/// `Bearer sk-…` is echoed without its scheme too.
fn last_word(value: &str) -> &str {
    value.rsplit(' ').next().unwrap_or(value)
}

fn userinfo(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.rsplit_once('@').map(|(user, _)| user)
}

/// What stands before the host, and the password in it.
fn of_userinfo(url: &str) -> Vec<Secret> {
    let Some(user) = userinfo(url) else { return Vec::new() };
    let password = user.split_once(':').map_or("", |(_, password)| password);
    [user, password].into_iter().flat_map(as_sent).collect()
}

/// A part of a URL as it stands there, and as it is meant.
pub fn as_sent(part: &str) -> [Secret; 2] {
    [Secret::new(part), Secret::new(percent::decoded(part))]
}

/// What a proxy asks for before it lets anybody through. Read where the request starts: the
/// environment is the host's.
pub fn of_proxy(proxy: &Proxy) -> Vec<Secret> {
    let set = |name: &str| [name.to_owned(), name.to_ascii_uppercase()];
    match proxy {
        Proxy::None => Vec::new(),
        Proxy::Url(url) => of_userinfo(url),
        Proxy::Environment => ["https_proxy", "http_proxy", "all_proxy"]
            .into_iter()
            .flat_map(set)
            .filter_map(|name| std::env::var(name).ok())
            .flat_map(|url| of_userinfo(&url))
            .collect(),
    }
}

/// Texts in a document whose names say that they are secrets.
pub fn of_members(members: &Map<String, Value>) -> Vec<Secret> {
    members.iter().flat_map(|(name, value)| of_member(name, value)).collect()
}

fn of_member(name: &str, value: &Value) -> Vec<Secret> {
    match value {
        Value::String(text) if is_telling(name) => vec![Secret::new(text.as_str())],
        Value::Array(items) => items.iter().flat_map(|item| of_member(name, item)).collect(),
        Value::Object(members) => of_members(members),
        _ => Vec::new(),
    }
}

/// The document with such texts masked.
pub fn masked(name: &str, value: &Value) -> Value {
    match value {
        Value::String(_) if is_telling(name) => Value::from(MASK),
        Value::Array(items) => items.iter().map(|item| masked(name, item)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), masked(name, value))).collect()
        }
        other => other.clone(),
    }
}

/// A name that stands before a secret: `api_key`, `accessToken`, but not `prompt_cache_key`.
pub fn is_telling(name: &str) -> bool {
    const TELLING: [&str; 7] =
        ["key", "token", "secret", "password", "auth", "authorization", "credentials"];
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|word| name.ends_with(word)) && !name.ends_with("cache_key")
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_URL_SAFE;
    use serde_json::json;

    use super::*;
    use crate::error::Code;

    #[test]
    fn a_secret_does_not_show() {
        let secret = Secret::new("sk-CANARY-1");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(secret.expose(), "sk-CANARY-1");
    }

    fn redactor(secret: &str) -> Redactor {
        Redactor::new(&[Secret::new(secret)])
    }

    #[test]
    fn echoed_secrets_are_masked_wherever_an_error_holds_them() {
        let error = Error::new(Code::Auth, "bad key sk-CANARY-1").with(|f| {
            f.details =
                Some(json!({"error": {"message": "key: sk-CANARY-1", "list": ["sk-CANARY-1"]}}));
        });
        let clean = redactor("sk-CANARY-1").error(error);
        assert_eq!(clean.message(), "bad key ***");
        assert!(!format!("{clean:?}").contains("CANARY"));
    }

    #[test]
    fn short_texts_are_left_alone() {
        assert_eq!(redactor("to").text("to be or not"), "to be or not");
        assert_eq!(redactor("").text("to be or not"), "to be or not");
    }

    #[test]
    fn a_secret_that_was_cut_is_masked_too() {
        let redactor = redactor("sk-CANARY-123456");
        assert_eq!(redactor.text("bad key sk-CANARY-12…"), "bad key ***…");
        assert_eq!(redactor.text("short sk-C… stays"), "short sk-C… stays");
    }

    #[test]
    fn every_way_to_write_a_secret_is_masked() {
        let secret = "sk/CAN\"AR'Y <1>&+ü";
        let redactor = redactor(secret);
        for echo in [
            json!(secret).to_string(),
            json!(secret).to_string().replace('/', "\\/"),
            "sk%2FCAN%22AR%27Y%20%3C1%3E%26%2B%C3%BC".into(),
            "sk%2fCAN%22AR%27Y+%3c1%3e%26%2b%c3%bc".into(),
            "sk/CAN&quot;AR&#39;Y &lt;1&gt;&amp;+ü".into(),
        ] {
            assert!(redactor.text(&format!("<{echo}>")).contains(MASK), "{echo}");
        }
        for before in ["", "x", "ab", "user:", "Bearer "] {
            let whole = format!("{before}{secret} and more");
            for encoded in [
                BASE64_STANDARD.encode(&whole),
                BASE64_URL_SAFE.encode(&whole),
                BASE64_STANDARD.encode(format!("{before}{secret}")),
            ] {
                let clean = redactor.text(&encoded);
                assert!(clean.contains(MASK), "{before}: {encoded}");
                assert!(clean.len() < encoded.len() - secret.len(), "{clean}");
            }
        }
    }

    #[test]
    fn what_a_request_must_not_reveal() {
        let headers = [
            ("Authorization".to_owned(), "Bearer sk-CANARY".to_owned()),
            ("Accept".to_owned(), "text/event-stream".to_owned()),
        ];
        let mut all = of_request("http://user:pw-CAN%41RY@host/v1?k=qu-CANARY", &headers);
        all.extend(of_proxy(&Proxy::Url("http://me:px-CANARY@proxy:3128".into())));
        let extra =
            json!({"deep": [{"accessToken": "ex-CANARY"}], "max_tokens": 5, "user": "Ann Bee"});
        all.extend(of_members(extra.as_object().unwrap()));
        let redactor = Redactor::new(&all);
        let encoded = BASE64_STANDARD.encode("user:pw-CANARY");
        for secret in ["sk-CANARY", "Bearer sk-CANARY", "pw-CANARY", "pw-CAN%41RY", "qu-CANARY"] {
            assert!(!redactor.text(secret).contains("CAN"), "{secret}");
        }
        for secret in ["px-CANARY", "ex-CANARY", encoded.as_str()] {
            assert!(redactor.text(secret).contains(MASK), "{secret}");
        }
        for harmless in ["text/event-stream", "Ann Bee"] {
            assert_eq!(redactor.text(harmless), harmless);
        }
        assert_eq!(masked("", &extra)["deep"][0]["accessToken"], MASK);
        assert_eq!(masked("", &extra)["user"], "Ann Bee");
    }
}
