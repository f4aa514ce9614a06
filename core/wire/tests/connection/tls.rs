//! Who is let in, and what is said to those who are not, on both sides.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::host::{Event, Greeter, Host, Network, QUICK, run};
use froben_wire::{
    Acceptor, CA_FILE, CERT_FILE, Disposition, Error, Identity, KEY_FILE, LIST_VALIDITY, Policy,
    Rejection, RevocationList, Role, Validity, Which, dial,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn refused(address: impl ToString, identity: &Identity) -> Error {
    match dial(&address.to_string(), identity, QUICK).await {
        Ok(_) => panic!("it was let in"),
        Err(error) => error,
    }
}

fn one_line(error: &Error, words: &[&str]) {
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn a_valid_certificate_opens_the_door_under_its_name() {
    let network = Network::new();
    let mut host = Host::start(
        &network.issue(Role::Coordinator, "c"),
        QUICK,
        Greeter::new(0),
    );
    let identity = network.identity(Role::Operator, "op-1");
    run(async {
        let link = dial(&host.address.to_string(), &identity, QUICK)
            .await
            .unwrap();
        assert_eq!(link.server_version, "test");
        let name = host.event(|event| match event {
            Event::In(name) => Some(name),
            _ => None,
        });
        assert_eq!(name.await, "operator op-1");
        link.connection.close().await;
        host.end().await;
    });
}

#[test]
fn another_ca_is_told_apart_on_both_sides() {
    let (ours, theirs) = (Network::new(), Network::new());
    let mut host = Host::start(&ours.issue(Role::Coordinator, "c"), QUICK, Greeter::new(0));
    // A stranger trusts its own CA: it refuses our coordinator.
    let stranger = theirs.issue(Role::Seeker, "s");
    run(async {
        let error = refused(host.address, &Identity::load(&stranger).unwrap()).await;
        let why = Rejection::UnknownCa;
        assert!(
            matches!(&error, Error::Untrusted { why: w, .. } if *w == why),
            "{error}"
        );
        one_line(
            &error,
            &["not to be trusted", "another CA", "froben ca issue"],
        );
        assert_eq!(error.disposition(), Disposition::Denied);

        // One that got hold of our CA's certificate is refused by our coordinator.
        fs::remove_file(stranger.join(CA_FILE)).unwrap();
        fs::write(stranger.join(CA_FILE), ours.ca.certificate_pem()).unwrap();
        let error = refused(host.address, &Identity::load(&stranger).unwrap()).await;
        assert!(
            matches!(&error, Error::Rejected { why: w, .. } if *w == why),
            "{error}"
        );
        one_line(&error, &["does not let us in", "another CA"]);

        // The stranger's alert first, then our own verdict.
        host.refusal().await;
        let error = host.refusal().await;
        assert!(
            matches!(&error, Error::Peer { why: w, .. } if *w == why),
            "{error}"
        );
    });
}

#[test]
fn expired_and_early_certificates_are_told_apart() {
    let network = Network::new();
    let mut host = Host::start(
        &network.issue(Role::Coordinator, "c"),
        QUICK,
        Greeter::new(0),
    );
    let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    let cases = [
        (
            "late",
            now - 2 * hour,
            now - hour,
            "has expired on",
            "FRB-TLS-002",
        ),
        (
            "early",
            now + hour,
            now + 2 * hour,
            "not valid before",
            "FRB-TLS-003",
        ),
    ];
    run(async {
        for (name, from, until, words, code) in cases {
            let dir = network.issue_valid(Role::Operator, name, Validity { from, until });
            let error = refused(host.address, &Identity::load(&dir).unwrap()).await;
            assert!(matches!(error, Error::Rejected { .. }), "{error}");
            one_line(&error, &[words]);
            assert_eq!(error.code(), Some(code));
            let error = host.refusal().await;
            assert!(matches!(error, Error::Peer { .. }), "{error}");
            one_line(&error, &[words]);
        }
    });
}

#[test]
fn an_expired_coordinator_is_not_trusted() {
    let network = Network::new();
    let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    let validity = Validity {
        from: now - 2 * hour,
        until: now - hour,
    };
    let dir = network.issue_valid(Role::Coordinator, "c", validity);
    let host = Host::start(&dir, QUICK, Greeter::new(0));
    run(async {
        let error = refused(host.address, &network.identity(Role::Seeker, "s")).await;
        assert!(matches!(error, Error::Untrusted { .. }), "{error}");
        one_line(&error, &["has expired on"]);
    });
}

/// A client that shows no certificate, or none that Froben issues, made with rustls alone.
fn bare_client(ca_pem: &str) -> tokio_rustls::TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"froben/1".to_vec()];
    tokio_rustls::TlsConnector::from(Arc::new(config))
}

#[test]
fn a_revoked_certificate_is_cut_and_refused_and_another_of_its_name_is_not() {
    let network = Network::new();
    let coordinator = Identity::load(&network.issue(Role::Coordinator, "c")).unwrap();
    let list = |path| RevocationList::load(path, &coordinator).unwrap();
    let first = list(&network.ca.list_path());
    let acceptor = Acceptor::new(&coordinator, Some(first.clone())).unwrap();
    let mut host = Host::accept(acceptor.clone(), QUICK, Greeter::new(0));
    let address = host.address.to_string();
    let (bad, good) = (
        network.identity(Role::Operator, "bad"),
        network.identity(Role::Operator, "good"),
    );
    run(async {
        let stays = dial(&address, &good, QUICK).await.unwrap();
        let goes = dial(&address, &bad, QUICK).await.unwrap();
        let which = Which::Name {
            name: "bad".to_owned(),
            role: None,
        };
        let (_, newer) = network.ca.revoke(&which, LIST_VALIDITY).unwrap();
        acceptor.revoke(newer.clone()).unwrap();
        assert_eq!(host.end().await, "the certificate was revoked");
        goes.connection.cutter().ended().await;

        let error = refused(&address, &bad).await;
        assert_eq!(error.code(), Some("FRB-TLS-006"), "{error}");
        one_line(&error, &["does not let us in", "has been revoked"]);
        assert_eq!(host.refusal().await.code(), Some("FRB-TLS-006"));

        // An older list does not bring it back; the same one again changes nothing.
        let error = acceptor.revoke(first).unwrap_err();
        assert!(matches!(error, Error::OlderList { .. }), "{error}");
        acceptor.revoke(newer).unwrap();
        refused(&address, &bad).await;

        assert_eq!(stays.connection.cutter().end_reason(), None);
        let folder = network.dir.path().join("bad");
        fs::rename(&folder, network.dir.path().join("taken-back")).unwrap();
        let again = network.identity(Role::Operator, "bad");
        dial(&address, &again, QUICK).await.unwrap();
    });
}

#[test]
fn a_list_past_its_date_still_refuses_whom_it_names_and_nobody_else() {
    let network = Network::new();
    let coordinator = Identity::load(&network.issue(Role::Coordinator, "c")).unwrap();
    let (bad, good) = (
        network.identity(Role::Operator, "bad"),
        network.identity(Role::Operator, "good"),
    );
    let which = Which::File(network.dir.path().join("bad").join(CERT_FILE));
    let (_, list) = network.ca.revoke(&which, Duration::ZERO).unwrap();
    let acceptor = Acceptor::new(&coordinator, Some(list)).unwrap();
    let host = Host::accept(acceptor, QUICK, Greeter::new(0));
    run(async {
        let error = refused(host.address, &bad).await;
        assert_eq!(error.code(), Some("FRB-TLS-006"), "{error}");
        dial(&host.address.to_string(), &good, QUICK).await.unwrap();
    });
}

#[test]
fn without_a_certificate_nobody_comes_in() {
    let network = Network::new();
    let mut host = Host::start(
        &network.issue(Role::Coordinator, "c"),
        QUICK,
        Greeter::new(0),
    );
    run(async {
        let stream = TcpStream::connect(host.address).await.unwrap();
        let name = ServerName::try_from(froben_wire::SERVER_NAME).unwrap();
        let connector = bare_client(network.ca.certificate_pem());
        let mut stream = connector.connect(name, stream).await.unwrap();
        let error = stream.read(&mut [0; 1]).await.unwrap_err();
        assert!(error.to_string().contains("CertificateRequired"), "{error}");
        let error = host.refusal().await;
        one_line(&error, &["no certificate was shown"]);
    });
}

#[test]
fn only_a_coordinators_certificate_makes_a_coordinator() {
    let network = Network::new();
    let dir = network.issue(Role::Operator, "pretender");
    let pretender = Identity::load(&dir).unwrap();
    assert!(Acceptor::new(&pretender, None).is_err());

    // Served all the same, by other software.
    let chain: Vec<_> = CertificateDer::pem_file_iter(dir.join(CERT_FILE))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_file(dir.join(KEY_FILE)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"froben/1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = acceptor.accept(stream).await;
        });
        let error = refused(address, &network.identity(Role::Seeker, "s")).await;
        let why = Rejection::NotACoordinator;
        assert!(
            matches!(&error, Error::Untrusted { why: w, .. } if *w == why),
            "{error}"
        );
    });
}

#[test]
fn what_is_no_coordinator_at_all_is_said_so() {
    let network = Network::new();
    let identity = network.identity(Role::Seeker, "s");
    run(async {
        // Nobody listens.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = refused(address, &identity).await;
        assert_eq!(error.disposition(), Disposition::Unreachable);
        one_line(
            &error,
            &["cannot reach", &address.to_string(), "check the address"],
        );

        // A web server.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read(&mut [0; 1024]).await;
        });
        let error = refused(address, &identity).await;
        assert!(
            matches!(
                error,
                Error::Untrusted {
                    why: Rejection::NotTls(_),
                    ..
                }
            ),
            "{error}"
        );

        // Somebody who listens and says nothing.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let policy = Policy {
            handshake: Duration::from_millis(100),
            ..QUICK
        };
        let error = dial(&address, &identity, policy).await.err().unwrap();
        assert_eq!(error.disposition(), Disposition::Unreachable, "{error}");
        drop(listener);
    });
}

#[test]
fn a_handshake_that_never_ends_is_given_up() {
    let network = Network::new();
    let policy = Policy {
        handshake: Duration::from_millis(100),
        ..QUICK
    };
    let mut host = Host::start(
        &network.issue(Role::Coordinator, "c"),
        policy,
        Greeter::new(0),
    );
    run(async {
        let _silent = TcpStream::connect(host.address).await.unwrap();
        let error = host.refusal().await;
        assert_eq!(error.disposition(), Disposition::Timeout, "{error}");
    });
}
