//! TLS against an authority of our own, and proxies.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use crate::net::testing::*;
use crate::net::{Failure, Proxy, Request, Roots};

/// A certificate authority, in a PEM file as long as it lives.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let file = std::env::temp_dir().join(format!("zigllms-{name}-{}.pem", std::process::id()));
        std::fs::write(&file, pem).unwrap();
        Authority { issuer: Issuer::new(params, key), file }
    }

    fn serves(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        Arc::new(config.unwrap())
    }

    fn trusted(&self, mut request: Request) -> Request {
        request.roots = Roots::File(self.file.to_str().unwrap().into());
        request
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

fn https(server: &Server) -> String {
    format!("https://127.0.0.1:{}/", server.address.port())
}

fn replying(tls: Arc<ServerConfig>) -> Server {
    Server::start_tls(tls, |peer| {
        while peer.request()?.is_some() {
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
        }
        Ok(())
    })
}

#[test]
fn a_trusted_server_is_reached_and_its_connection_kept() {
    let authority = Authority::new("trusted");
    let server = replying(authority.serves("127.0.0.1", |_| {}));
    for _ in 0..5 {
        let (got, outcome) = fetch(authority.trusted(post(&https(&server), "x")));
        assert_eq!((outcome, got.text().as_str()), (Ok(()), "ok"));
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn who_is_not_trusted_is_told_apart() {
    let authority = Authority::new("reasons");
    let mut seen = Vec::new();
    let mut refused = |server: Server, request: Request, reason: &str| {
        let Err(Failure::Tls(why)) = fetch(request).1 else { panic!("{reason}") };
        assert!(why.contains(reason), "{why}");
        assert_eq!(server.requests(), 0);
        seen.push(why);
    };
    for roots in [Roots::Platform, Roots::Webpki] {
        let server = replying(authority.serves("127.0.0.1", |_| {}));
        let request = Request { roots, ..get(&https(&server)) };
        refused(server, request, "UnknownIssuer");
    }
    let server = replying(authority.serves("other.test", |_| {}));
    let request = authority.trusted(get(&https(&server)));
    refused(server, request, "not valid for");
    let server = replying(authority.serves("127.0.0.1", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }));
    let request = authority.trusted(get(&https(&server)));
    refused(server, request, "expired");
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[test]
fn what_is_not_tls_is_a_tls_failure_and_silence_a_connect_failure() {
    let authority = Authority::new("nottls");
    let server = Server::start(|peer| peer.write("HTTP/1.1 400 plain HTTP here\r\n\r\n"));
    let (_, outcome) = fetch(authority.trusted(get(&https(&server))));
    assert!(matches!(outcome, Err(Failure::Tls(_))), "{outcome:?}");
    let server = Server::start(|peer| {
        // Reads the hello, so that closing is no reset.
        let mut hello = [0; 4096];
        std::io::Read::read(&mut peer.stream, &mut hello).map(drop)
    });
    let (_, outcome) = fetch(authority.trusted(get(&https(&server))));
    assert!(matches!(outcome, Err(Failure::Connect(_))), "{outcome:?}");
}

#[test]
fn certificate_files_that_cannot_be_used() {
    let server = replying(Authority::new("files").serves("127.0.0.1", |_| {}));
    let file = std::env::temp_dir().join(format!("zigllms-empty-{}.pem", std::process::id()));
    let mut request = get(&https(&server));
    request.roots = Roots::File(file.to_str().unwrap().into());
    assert!(matches!(fetch(request.clone()).1, Err(Failure::Invalid(_))));
    std::fs::write(&file, "no certificate").unwrap();
    let Err(Failure::Invalid(why)) = fetch(request).1 else { panic!() };
    std::fs::remove_file(&file).unwrap();
    assert!(why.contains("holds no certificate"), "{why}");
}

#[test]
fn dribbled_and_large_streams_are_byte_exact() {
    let authority = Authority::new("exact");
    for (size, events, length) in [(1, 60, 10), (7, 200, 10), (usize::MAX, 300, 9000)] {
        let text: String =
            (0..events).map(|n| format!("data: {n}{}\n\n", "x".repeat(length))).collect();
        let sent = text.clone();
        let server = Server::start_tls(authority.serves("127.0.0.1", |_| {}), move |peer| {
            peer.request()?;
            peer.dribble(SSE_HEAD, size)?;
            for event in sent.split_inclusive("\n\n") {
                peer.dribble(&format!("{:x}\r\n{event}\r\n", event.len()), size)?;
            }
            peer.dribble("0\r\n\r\n", size)
        });
        let (got, outcome) = fetch(authority.trusted(get(&https(&server))));
        assert_eq!(outcome, Ok(()), "writes of {size}");
        assert!(got.text() == text, "writes of {size}");
    }
}

#[test]
fn a_body_must_end_with_the_end_of_tls() {
    let authority = Authority::new("cut");
    for proper in [true, false] {
        let server = Server::start_tls(authority.serves("127.0.0.1", |_| {}), move |peer| {
            peer.request()?;
            peer.write("HTTP/1.1 200 OK\r\n\r\nhello")?;
            if proper { peer.end_tls() } else { Ok(()) }
        });
        let (got, outcome) = fetch(authority.trusted(get(&https(&server))));
        assert_eq!(got.text(), "hello");
        if proper {
            assert_eq!(outcome, Ok(()));
        } else {
            assert!(matches!(outcome, Err(Failure::Broken(_))), "{outcome:?}");
        }
    }
}

#[test]
fn a_stream_can_be_cancelled() {
    let authority = Authority::new("cancel");
    let server = Server::start_tls(authority.serves("127.0.0.1", |_| {}), |peer| {
        peer.request()?;
        peer.write("HTTP/1.1 200 OK\r\n\r\nhello")?;
        peer.wait_for_close();
        Ok(())
    });
    let (got, call) = start(authority.trusted(get(&https(&server))));
    got.until(|got| got.deliveries > 0);
    call.cancel();
    assert_eq!(got.outcome(), Err(Failure::Cancelled));
}

#[test]
fn proxies_lead_to_plain_and_tls_servers() {
    let authority = Authority::new("proxy");
    let (plain, tls) = (
        Server::replying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        replying(authority.serves("local.test", |_| {})),
    );
    let proxy = Server::proxy();
    for url in [
        format!("http://local.test:{}/", plain.address.port()),
        format!("https://local.test:{}/", tls.address.port()),
    ] {
        for _ in 0..3 {
            let mut request = authority.trusted(get(&url));
            request.proxy = Proxy::Url(format!("http://{}", proxy.address));
            request.limits.connect = ms(5000);
            request.limits.first_token = ms(5000);
            let (got, outcome) = fetch(request);
            assert_eq!((outcome, got.text().as_str()), (Ok(()), "ok"), "{url}");
        }
    }
    assert_eq!((proxy.connections(), plain.requests(), tls.requests()), (2, 3, 3));
}

#[test]
fn a_proxy_that_refuses_is_a_connect_failure() {
    let proxy = Server::replying("HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n");
    let mut request = get("http://local.test/");
    request.proxy = Proxy::Url(format!("http://user:secret@{}", proxy.address));
    let Err(Failure::Connect(why)) = fetch(request).1 else { panic!() };
    assert!(why.contains("407") && !why.contains("secret"), "{why}");
}
