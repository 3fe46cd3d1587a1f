//! ureq agents: one for each set of trusted roots, each with its own connection pool.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ureq::Agent;
use ureq::config::AutoHeaderValue;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use super::ctl::{Ctl, Ended};
use super::dial;
use super::flight::{Flight, join};
use super::names::Lookup;
use super::process::process;
use super::{Failure, Roots, lock};

/// Holds a whole response head, which ureq needs to parse it; the default of 128 KiB costs up to
/// 0.6 MB per TLS connection.
const BUFFER: usize = 16 * 1024;

type Built = Result<Agent, Failure>;

/// Plain HTTP has an agent of its own: certificates are loaded for the first https call only.
#[derive(Default)]
pub(super) struct Agents(Mutex<HashMap<Option<Roots>, Arc<Flight<Built>>>>);

impl Agents {
    /// The agent for these roots; `None` is an agent that will not speak TLS. Waits, as part of
    /// the call, while certificates are being loaded.
    pub fn get(&'static self, roots: Option<&Roots>, ctl: &Arc<Ctl>) -> Result<Built, Ended> {
        let (flight, first) = join(&mut lock(&self.0), roots.cloned());
        if first {
            self.build(roots.cloned(), flight.clone());
        }
        match flight.result() {
            Some(built) => Ok(built),
            None => flight.wait(ctl),
        }
    }

    fn build(&'static self, roots: Option<Roots>, flight: Arc<Flight<Built>>) {
        let Some(roots) = roots else {
            return flight.land(Ok(agent(RootCerts::WebPki)));
        };
        process().loading.send(move || {
            let built = load(&roots).map(agent);
            if built.is_err() {
                // The file may be there next time.
                lock(&self.0).remove(&Some(roots));
            }
            flight.land(built);
        });
    }
}

fn agent(roots: RootCerts) -> Agent {
    let tls = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(roots).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // The default reads the environment for every request.
        .proxy(None)
        .user_agent(concat!("zigllms/", env!("CARGO_PKG_VERSION")))
        .accept_encoding(AutoHeaderValue::None)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        // Below the buffer, or an over-long head is reported as a closed connection.
        .max_response_header_size(BUFFER - 1)
        .max_idle_connections(64)
        .max_idle_connections_per_host(16)
        .max_idle_age(Duration::from_secs(15))
        .build();
    Agent::with_parts(config, dial::connector(), Lookup)
}

fn load(roots: &Roots) -> Result<RootCerts, Failure> {
    match roots {
        Roots::Webpki => Ok(RootCerts::WebPki),
        Roots::Platform => Ok(platform()),
        Roots::File(path) => from_file(path),
    }
}

/// Takes about 30 ms. Honours SSL_CERT_FILE and SSL_CERT_DIR.
fn platform() -> RootCerts {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return RootCerts::WebPki;
    }
    let owned = |der: &_| Certificate::from_der(AsRef::<[u8]>::as_ref(der)).to_owned();
    RootCerts::new_with_certs(&found.iter().map(owned).collect::<Vec<_>>())
}

fn from_file(path: &str) -> Result<RootCerts, Failure> {
    let invalid = |why: String| Failure::Invalid(format!("certificate file {path:?}: {why}"));
    let text = fs::read(path).map_err(|error| invalid(error.to_string()))?;
    let mut found = Vec::new();
    for item in parse_pem(&text) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(_) => return Err(invalid("not in PEM format".into())),
        }
    }
    if found.is_empty() {
        return Err(invalid("holds no certificate".into()));
    }
    Ok(RootCerts::new_with_certs(&found))
}
