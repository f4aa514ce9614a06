//! TLS settings, in one place: which version, which verifier, which names, and what its errors mean.

use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use froben_model::limits;
use rustls::client::Resumption;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, RootCertStore, ServerConfig, version::TLS13,
};
use rustls_pki_types::ServerName;

use crate::identity::{Identity, date};
use crate::{Error, Rejection, RevocationList, SERVER_NAME};

/// The application protocol; its number grows when two versions could not even say "ping".
pub(crate) const ALPN: &[u8] = b"froben/1";

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(identity: &Identity) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in &identity.ca {
        roots
            .add(certificate.clone())
            .map_err(|error| unusable(identity, "CA certificate", &error))?;
    }
    Ok(Arc::new(roots))
}

/// A server that talks only to clients with a certificate of its own CA that is not `revoked`.
///
/// A list past its date goes on being used: what it revokes stays revoked, and the rest of the network
/// does not stop because nobody made a new one.
///
/// Sessions are never resumed: a resumed one would skip the certificate's verification, and with it
/// an expiry or a revocation that came in between.
pub(crate) fn server_config(
    identity: &Identity,
    revoked: Option<&RevocationList>,
) -> Result<Arc<ServerConfig>, Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(identity)?, provider())
        .with_crls(revoked.map(|list| list.der.clone()))
        .build()
        .map_err(|error| unusable(identity, "CA certificate", &error))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| unusable(identity, "TLS setting", &error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(|error| unusable(identity, "certificate with its key", &error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

pub(crate) fn client_config(identity: &Identity) -> Result<Arc<ClientConfig>, Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| unusable(identity, "TLS setting", &error))?
        .with_root_certificates(roots(identity)?)
        .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(|error| unusable(identity, "certificate with its key", &error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The name that every coordinator's certificate carries, and that every client verifies.
pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::try_from(SERVER_NAME).expect("invariant: a constant DNS name")
}

fn unusable(identity: &Identity, what: &'static str, error: &dyn std::fmt::Display) -> Error {
    Error::Malformed {
        path: identity.dir.display().to_string(),
        what,
        reason: error.to_string(),
    }
}

/// Why we refuse the other side, by the error of our own handshake. `None` if TLS did not fail.
pub(crate) fn our_rejection(error: &io::Error) -> Option<Rejection> {
    let rustls::Error::InvalidCertificate(why) = tls_error(error)? else {
        return other_rejection(error);
    };
    Some(match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Rejection::UnknownCa,
        CertificateError::Expired => Rejection::Expired { on: None },
        CertificateError::ExpiredContext { not_after, .. } => Rejection::Expired {
            on: i64::try_from(not_after.as_secs()).ok().map(date),
        },
        CertificateError::NotValidYet => Rejection::NotYetValid { before: None },
        CertificateError::NotValidYetContext { not_before, .. } => Rejection::NotYetValid {
            before: i64::try_from(not_before.as_secs()).ok().map(date),
        },
        CertificateError::Revoked => Rejection::Revoked,
        CertificateError::NotValidForName
        | CertificateError::NotValidForNameContext { .. }
        | CertificateError::InvalidPurpose
        | CertificateError::InvalidPurposeContext { .. } => Rejection::NotACoordinator,
        other => Rejection::Other(limits::one_line(&other.to_string())),
    })
}

/// Why the other side refuses us, by the alert that it sent. `None` if it sent none.
///
/// TLS does not tell "expired" from "not valid yet"; our own certificate does.
pub(crate) fn their_rejection(error: &io::Error, own: &Identity) -> Option<Rejection> {
    let rustls::Error::AlertReceived(alert) = tls_error(error)? else {
        return None;
    };
    Some(match alert {
        AlertDescription::UnknownCA => Rejection::UnknownCa,
        AlertDescription::CertificateExpired => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now_s = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
            match own.validity_s() {
                Some((from, _)) if now_s < from => Rejection::NotYetValid {
                    before: Some(date(from)),
                },
                Some((_, until)) if now_s > until => Rejection::Expired {
                    on: Some(date(until)),
                },
                _ => Rejection::Expired { on: None },
            }
        }
        AlertDescription::CertificateRequired => Rejection::Missing,
        AlertDescription::CertificateRevoked => Rejection::Revoked,
        AlertDescription::NoApplicationProtocol => Rejection::Version {
            ours: String::from_utf8_lossy(ALPN).into_owned(),
            theirs: "it offers no protocol of ours".to_owned(),
        },
        other => Rejection::Other(format!("the other side said {other:?}")),
    })
}

/// What else can be wrong with a handshake.
fn other_rejection(error: &io::Error) -> Option<Rejection> {
    Some(match tls_error(error)? {
        rustls::Error::NoCertificatesPresented => Rejection::Missing,
        rustls::Error::NoApplicationProtocol => Rejection::Version {
            ours: String::from_utf8_lossy(ALPN).into_owned(),
            theirs: "it offers no protocol of ours".to_owned(),
        },
        rustls::Error::InvalidMessage(_)
        | rustls::Error::InappropriateMessage { .. }
        | rustls::Error::InappropriateHandshakeMessage { .. }
        | rustls::Error::PeerIncompatible(_) => {
            Rejection::NotTls(limits::one_line(&error.to_string()))
        }
        _ => Rejection::Other(limits::one_line(&error.to_string())),
    })
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
