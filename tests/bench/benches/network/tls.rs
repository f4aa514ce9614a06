//! A played machine's way in: mutual TLS, with an operator's certificate.

use std::sync::Arc;

use froben_wire::{CA_FILE, CERT_FILE, Identity, KEY_FILE, SERVER_NAME};
use rustls::client::Resumption;
use rustls::version::TLS13;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) type Stream = TlsStream<TcpStream>;

/// The settings of [`froben_wire::dial`], made once for all machines of an operator.
pub(crate) fn connector(identity: &Identity) -> TlsConnector {
    let pem = |file| {
        let certificates = CertificateDer::pem_file_iter(identity.dir.join(file));
        certificates
            .expect("a file")
            .map(|one| one.expect("a certificate"))
    };
    let mut roots = rustls::RootCertStore::empty();
    pem(CA_FILE).for_each(|ca| roots.add(ca).expect("it can be a root"));
    let key = PrivateKeyDer::from_pem_file(identity.dir.join(KEY_FILE)).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider);
    let config = config
        .with_protocol_versions(&[&TLS13])
        .expect("it can do that");
    let config = config.with_root_certificates(roots);
    let config = config.with_client_auth_cert(pem(CERT_FILE).collect(), key);
    let mut config = config.expect("they belong together");
    config.alpn_protocols = vec![b"froben/1".to_vec()];
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

pub(crate) async fn dial(address: &str, connector: &TlsConnector) -> Stream {
    let stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("it takes settings");
    let name = ServerName::try_from(SERVER_NAME).expect("a name");
    connector.connect(name, stream).await.expect("it is let in")
}
