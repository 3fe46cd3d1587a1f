//! What it means that a request did not get an answer: failures of the network as errors.

use serde_json::json;

use crate::error::{Code, Error};
use crate::net::Failure;

pub fn broken(failure: Failure) -> Error {
    let network = |text: String| Error::new(Code::Network, text);
    match failure {
        Failure::Cancelled => Error::new(Code::Cancelled, "the request was cancelled"),
        Failure::Timeout(phase) => {
            Error::timeout(phase, format!("no answer within the {} time limit", phase.name()))
        }
        Failure::Invalid(why) => Error::invalid(why),
        Failure::Unrecorded(what) => what.error(),
        Failure::Dns(why) => network(format!("name lookup failed: {why}")),
        Failure::Connect(why) => network(format!("cannot connect: {why}")),
        Failure::Tls(why) => tls(&why),
        Failure::Broken(why) => network(format!("the connection broke: {why}")),
        Failure::Forbidden(address) => network(format!("the address {address} is forbidden")),
        Failure::TooLarge(limit) => Error::new(
            Code::BadResponse,
            format!("the answer is larger than max_response_bytes ({limit})"),
        ),
        Failure::Malformed(why) => {
            Error::new(Code::BadResponse, format!("the answer is not HTTP: {why}"))
        }
    }
}

/// What TLS says, the word for it in `details.reason`, and what helps.
const REASONS: [(&str, &str, &str); 9] = [
    ("certificate expired", "expired", ""),
    ("not valid yet", "not_yet_valid", ""),
    ("not valid for", "wrong_host", ""),
    ("UnknownIssuer", "unknown_issuer", NO_AUTHORITY),
    ("CaUsedAsEndEntity", "unknown_issuer", NO_AUTHORITY),
    ("Revoked", "revoked", ""),
    ("ProtocolVersion", "version", ": the server speaks no TLS 1.2 and nothing newer"),
    (
        "InvalidContentType",
        "not_tls",
        ": the server speaks no TLS, should the URL begin with http://?",
    ),
    ("invalid peer certificate", "bad_certificate", ""),
];

const NO_AUTHORITY: &str =
    ": no trusted authority signed the certificate; `ca` names the PEM file of one to trust";

/// Nothing of it passes by itself, so it is not tried again.
fn tls(why: &str) -> Error {
    let known = REASONS.iter().find(|(part, ..)| why.contains(part));
    let (_, reason, advice) = known.copied().unwrap_or(("", "handshake", ""));
    Error::new(Code::Network, format!("TLS failed: {why}{advice}")).with(|f| {
        f.retryable = Some(false);
        f.details = Some(json!({ "reason": reason }));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_tells_why() {
        for (why, reason) in [
            ("invalid peer certificate: certificate expired: verification time 2", "expired"),
            ("invalid peer certificate: certificate not valid yet: verification", "not_yet_valid"),
            ("invalid peer certificate: certificate not valid for name \"x\"", "wrong_host"),
            ("invalid peer certificate: UnknownIssuer", "unknown_issuer"),
            ("invalid peer certificate: Revoked", "revoked"),
            ("invalid peer certificate: BadSignature", "bad_certificate"),
            ("received fatal alert: ProtocolVersion", "version"),
            ("received corrupt message of type InvalidContentType", "not_tls"),
            ("received fatal alert: HandshakeFailure", "handshake"),
        ] {
            let error = broken(Failure::Tls(why.into()));
            assert_eq!((error.code(), error.retryable()), (Code::Network, false));
            assert_eq!(error.fields().details, Some(json!({ "reason": reason })), "{why}");
            assert!(error.message().contains(why));
        }
    }
}
