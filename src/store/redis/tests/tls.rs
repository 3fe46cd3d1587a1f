//! A server behind TLS, certified by an authority of our own.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::server::Server;
use crate::store::conformance::put;
use crate::store::redis::Redis;

/// The files of an authority, and of a server of this machine; gone with it.
struct Files(PathBuf);

impl Files {
    fn new() -> Files {
        let directory = std::env::temp_dir().join(format!("zigllms-tls-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let files = Files(directory);
        let mut authority = CertificateParams::new(vec![]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(files.path("ca.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(authority, key);
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        fs::write(files.path("server.pem"), certificate.pem()).unwrap();
        fs::write(files.path("key.pem"), key.serialize_pem()).unwrap();
        files
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_server_behind_tls_is_reached_if_it_is_trusted() {
    let (files, port) = (Files::new(), free_port());
    let options = [
        ["--tls-port", &port.to_string()],
        ["--tls-cert-file", &files.path("server.pem")],
        ["--tls-key-file", &files.path("key.pem")],
        ["--tls-ca-cert-file", &files.path("ca.pem")],
        ["--tls-auth-clients", "no"],
    ];
    let Some(_server) = Server::start(&options.concat()) else { return };
    let with = |ca: &str| format!("rediss://127.0.0.1:{port}/0?{ca}");
    let mut store = Redis::open(&with(&format!("ca={}", files.path("ca.pem")))).unwrap();
    store.make(&[put("a", "x".repeat(100_000))]).unwrap();
    assert_eq!(store.text("a").map(|text| text.len()), Some(100_000));
    for (url, why) in [(with(""), "UnknownIssuer"), (with("ca=/none.pem"), "/none.pem: No such")] {
        let error = Redis::open(&url).err().expect("it is not trusted");
        assert!(error.message().contains(why), "{error}");
    }
}
