//! Peers that freeze, flood or send too much: each hurts only itself.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::host::{Greeter, Host, Network, PATIENCE, QUICK, run};
use capnp::message;
use capnp_rpc::rpc_capnp::message as rpc;
use froben_schema::common_capnp::PROTOCOL_VERSION;
use froben_wire::{
    CA_FILE, CERT_FILE, Disposition, Heartbeat, Identity, KEY_FILE, Limits, Policy, Role, call,
    dial,
};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The interface id of `Coordinator` and the number of `operator` and `ping` in it.
const COORDINATOR: u64 =
    <froben_schema::seeker_capnp::coordinator::Client as capnp::traits::HasTypeId>::TYPE_ID;
const OPERATOR: u16 = 0;
const PING: u16 = 2;

/// A peer with a good certificate and no manners: TLS, and whatever bytes a test writes.
struct Raw(TlsStream<TcpStream>);

impl Raw {
    async fn connect(host: &Host, dir: &Path) -> Raw {
        let pem = |file| CertificateDer::pem_file_iter(dir.join(file)).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        pem(CA_FILE).for_each(|ca| roots.add(ca.unwrap()).unwrap());
        let chain = pem(CERT_FILE).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(dir.join(KEY_FILE)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"froben/1".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = TcpStream::connect(host.address).await.unwrap();
        let name = ServerName::try_from(froben_wire::SERVER_NAME).unwrap();
        Raw(connector.connect(name, stream).await.unwrap())
    }

    async fn send(&mut self, fill: impl FnOnce(rpc::Builder<'_>)) -> std::io::Result<()> {
        let mut message = message::Builder::new_default();
        fill(message.init_root());
        let bytes = capnp::serialize::write_message_to_words(&message);
        self.0.write_all(&bytes).await?;
        self.0.flush().await
    }

    async fn bootstrap(&mut self) {
        self.send(|root| root.init_bootstrap().set_question_id(0))
            .await
            .unwrap();
    }

    /// Calls a method of what question 0 gave.
    async fn call(&mut self, question: u32, method: u16) -> std::io::Result<()> {
        self.send(|root| {
            let mut call = root.init_call();
            call.set_question_id(question);
            call.set_interface_id(COORDINATOR);
            call.set_method_id(method);
            call.reborrow()
                .init_target()
                .init_promised_answer()
                .set_question_id(0);
            call.reborrow().init_send_results_to().set_caller(());
            call.init_params();
        })
        .await
    }

    async fn finish(&mut self, question: u32) -> std::io::Result<()> {
        self.send(|root| root.init_finish().set_question_id(question))
            .await
    }
}

#[test]
fn a_frozen_peer_is_cut_within_the_heartbeat_budget() {
    let network = Network::new();
    let mut host = Host::start(
        &network.issue(Role::Coordinator, "c"),
        QUICK,
        Greeter::new(0),
    );
    run(async {
        let begin = Instant::now();
        let _frozen = Raw::connect(&host, &network.issue(Role::Operator, "frozen")).await;
        let reason = host.end().await;
        assert!(reason.contains("silent"), "{reason}");
        assert!(
            begin.elapsed() >= QUICK.heartbeat.silence,
            "{:?}",
            begin.elapsed()
        );
    });
}

#[test]
fn a_peer_that_never_reads_is_cut_though_it_goes_on_writing() {
    let network = Network::new();
    // Each answer is a megabyte, so that the kernel's buffers are full soon.
    let greeter = Greeter {
        version: "x".repeat(1 << 20).into(),
        ..Greeter::new(0)
    };
    let mut host = Host::start(&network.issue(Role::Coordinator, "c"), QUICK, greeter);
    run(async {
        let mut deaf = Raw::connect(&host, &network.issue(Role::Operator, "deaf")).await;
        deaf.bootstrap().await;
        let asking = async {
            let mut question = 0;
            while deaf.call(question + 1, PING).await.is_ok() {
                question += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let (reason, ()) = tokio::join!(host.end(), asking);
        assert!(reason.contains("it took nothing"), "{reason}");
    });
}

#[test]
fn a_client_notices_that_its_coordinator_has_frozen() {
    let network = Network::new();
    let greeter = Greeter::new(0);
    // The host itself is patient: it is frozen, not we.
    let host = Host::start(
        &network.issue(Role::Coordinator, "c"),
        Policy::SEEKER,
        greeter.clone(),
    );
    let identity = network.identity(Role::Seeker, "s");
    run(async {
        let link = dial(&host.address.to_string(), &identity, QUICK)
            .await
            .unwrap();
        let frozen = link.coordinator.seeker_request().send().promise;
        let error = call("asking", PATIENCE, frozen).await.err().unwrap();
        assert_eq!(error.disposition(), Disposition::Unreachable);
        assert!(error.to_string().contains("silent"), "{error}");
        let again = link.coordinator.ping_request().send().promise;
        let error = call("asking", PATIENCE, again).await.err().unwrap();
        assert_eq!(error.disposition(), Disposition::Unreachable, "{error}");
        greeter.gate.add_permits(1);
    });
}

#[test]
fn an_idle_connection_lives_on_by_its_heartbeats() {
    let network = Network::new();
    let host = Host::start(
        &network.issue(Role::Coordinator, "c"),
        QUICK,
        Greeter::new(0),
    );
    let identity = network.identity(Role::Seeker, "s");
    run(async {
        let link = dial(&host.address.to_string(), &identity, QUICK)
            .await
            .unwrap();
        tokio::time::sleep(QUICK.heartbeat.silence * 3).await;
        assert_eq!(link.connection.cutter().end_reason(), None);
        let ping = link.coordinator.ping_request().send().promise;
        call("asking", PATIENCE, ping).await.unwrap();
    });
}

#[test]
fn an_oversize_message_ends_its_own_connection_only() {
    let network = Network::new();
    let mut host = Host::start(
        &network.issue(Role::Coordinator, "c"),
        QUICK,
        Greeter::new(0),
    );
    let identity = network.identity(Role::Seeker, "s");
    run(async {
        let link = dial(&host.address.to_string(), &identity, QUICK)
            .await
            .unwrap();
        let mut large = Raw::connect(&host, &network.issue(Role::Operator, "large")).await;
        // A frame of one segment of 8 MiB and a word.
        let words = (Limits::DEFAULT.message_bytes / 8 + 1) as u32;
        let header = [[0; 4], words.to_le_bytes()].concat();
        large.0.write_all(&header).await.unwrap();
        large.0.flush().await.unwrap();
        let reason = host.end().await;
        assert!(reason.contains("too large"), "{reason}");
        let ping = link.coordinator.ping_request().send().promise;
        call("asking", PATIENCE, ping).await.unwrap();
    });
}

#[test]
fn what_is_no_message_ends_its_own_connection_only() {
    let network = Network::new();
    let mut host = Host::start(
        &network.issue(Role::Coordinator, "c"),
        QUICK,
        Greeter::new(0),
    );
    let identity = network.identity(Role::Seeker, "s");
    run(async {
        let link = dial(&host.address.to_string(), &identity, QUICK)
            .await
            .unwrap();
        let mut noise = Raw::connect(&host, &network.issue(Role::Operator, "noise")).await;
        noise.0.write_all(&[0xff; 64]).await.unwrap();
        noise.0.flush().await.unwrap();
        host.end().await;
        // A return to a question that was never asked.
        let mut liar = Raw::connect(&host, &network.issue(Role::Operator, "liar")).await;
        liar.send(|root| root.init_return().set_answer_id(7))
            .await
            .unwrap();
        host.end().await;
        let ping = link.coordinator.ping_request().send().promise;
        call("asking", PATIENCE, ping).await.unwrap();
    });
}

#[test]
fn a_flood_of_calls_waits_and_all_are_answered() {
    let network = Network::new();
    let greeter = Greeter::new(0);
    let mut policy = QUICK;
    policy.limits.calls = 16;
    // Nothing is read while the gate is closed, pings neither: the test releases it by and by.
    policy.heartbeat.silence = PATIENCE;
    let host = Host::start(
        &network.issue(Role::Coordinator, "c"),
        policy,
        greeter.clone(),
    );
    let identity = network.identity(Role::Operator, "flood");
    run(async {
        let link = dial(&host.address.to_string(), &identity, policy)
            .await
            .unwrap();
        let mut calls: FuturesUnordered<_> = (0..400)
            .map(|_| {
                let mut request = link.coordinator.operator_request();
                request.get().set_protocol_version(PROTOCOL_VERSION);
                call("asking", PATIENCE, request.send().promise)
            })
            .collect();
        let mut answered = 0;
        while answered < 400 {
            greeter.gate.add_permits(1);
            calls.next().await.unwrap().unwrap();
            answered += 1;
        }
        // Pings count as calls, too.
        let most = greeter.most.load(Ordering::SeqCst);
        assert!((15..=16).contains(&most), "{most} calls ran at once");
    });
}

#[test]
fn who_leaves_answers_open_or_gives_up_call_after_call_is_cut() {
    let network = Network::new();
    let mut policy = QUICK;
    policy.limits.open_answers = 100;
    policy.limits.held_bytes = 4096;
    let mut host = Host::start(
        &network.issue(Role::Coordinator, "c"),
        policy,
        Greeter::new(usize::MAX >> 4),
    );
    run(async {
        // Every answer holds an object and waits for its finish.
        let mut hoarder = Raw::connect(&host, &network.issue(Role::Operator, "hoarder")).await;
        hoarder.bootstrap().await;
        for question in 1..=100 {
            if hoarder.call(question, OPERATOR).await.is_err() {
                break;
            }
        }
        let reason = host.end().await;
        assert!(reason.contains("answers open"), "{reason}");
    });
    let mut host = Host::start(
        &network.issue(Role::Coordinator, "c2"),
        policy,
        Greeter::new(0),
    );
    run(async {
        // Calls that never return, given up one by one.
        let mut fickle = Raw::connect(&host, &network.issue(Role::Operator, "fickle")).await;
        fickle.bootstrap().await;
        for question in 1..=90 {
            if fickle.call(question, OPERATOR).await.is_err()
                || fickle.finish(question).await.is_err()
            {
                break;
            }
        }
        let reason = host.end().await;
        assert!(reason.contains("gave up calls"), "{reason}");
    });
}

#[test]
fn a_slow_link_that_delivers_is_not_silent() {
    let network = Network::new();
    let policy = Policy {
        heartbeat: Heartbeat {
            every: Duration::from_millis(20),
            silence: Duration::from_secs(1),
        },
        ..QUICK
    };
    let mut host = Host::start(
        &network.issue(Role::Coordinator, "c"),
        policy,
        Greeter::new(0),
    );
    run(async {
        let mut slow = Raw::connect(&host, &network.issue(Role::Operator, "slow")).await;
        // One message that takes four times the silence to come, a byte now and then.
        let mut message = message::Builder::new_default();
        message
            .init_root::<rpc::Builder<'_>>()
            .init_bootstrap()
            .set_question_id(0);
        let bytes = capnp::serialize::write_message_to_words(&message);
        let begin = Instant::now();
        for byte in &bytes {
            slow.0.write_all(&[*byte]).await.unwrap();
            slow.0.flush().await.unwrap();
            tokio::time::sleep(policy.heartbeat.silence * 4 / bytes.len() as u32).await;
        }
        assert!(begin.elapsed() > policy.heartbeat.silence * 3);
        // It is cut only after it falls silent.
        let sent = Instant::now();
        host.end().await;
        assert!(
            sent.elapsed() > policy.heartbeat.silence / 2,
            "{:?}",
            sent.elapsed()
        );
    });
}

/// A coordinator that greets, and who an operator is to it.
fn greeted() -> (Network, Host, Identity) {
    let network = Network::new();
    let host = Host::start(
        &network.issue(Role::Coordinator, "c"),
        QUICK,
        Greeter::new(0),
    );
    let identity = network.identity(Role::Operator, "op");
    (network, host, identity)
}

#[test]
fn pings_go_on_while_answers_are_on_their_way_and_one_that_never_comes_is_the_end() {
    let (_network, host, identity) = greeted();
    run(async {
        let link = dial(&host.address.to_string(), &identity, QUICK)
            .await
            .unwrap();
        let sent = Rc::new(Cell::new(0));
        let count = sent.clone();
        let cutter = link.connection.cutter();
        let (every, within) = (Duration::from_millis(10), Duration::from_secs(1));
        cutter.beat(every, within, move || {
            count.set(count.get() + 1);
            Some(std::future::pending())
        });
        let reason = cutter.ended().await;
        assert!(reason.starts_with("no answer to a ping"), "{reason}");
        // Several, and not without a limit.
        assert!((2..=16).contains(&sent.get()), "{}", sent.get());
    });
}

#[test]
fn a_connection_that_is_busy_needs_no_pings() {
    let (_network, host, identity) = greeted();
    run(async {
        let link = dial(&host.address.to_string(), &identity, QUICK)
            .await
            .unwrap();
        let sent = Rc::new(Cell::new(0));
        let count = sent.clone();
        let (every, within) = (Duration::from_millis(200), Duration::from_secs(2));
        let cutter = link.connection.cutter();
        cutter.beat(every, within, move || {
            count.set(count.get() + 1);
            Some(std::future::ready(Ok(())))
        });
        let begin = Instant::now();
        while begin.elapsed() < within * 3 / 4 {
            link.coordinator
                .ping_request()
                .send()
                .promise
                .await
                .unwrap();
            tokio::time::sleep(every / 20).await;
        }
        // One for its program, which is not its socket, and one or two for times when we were held up.
        assert!((1..=3).contains(&sent.get()), "{} of 7", sent.get());
    });
}
