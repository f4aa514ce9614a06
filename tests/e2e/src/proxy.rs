//! A link that can break without a word: bytes stop, both ways, and nobody is told. Later it heals.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Passes TCP connections on. What was under way when it is parted waits, as in a network's queues, and
/// arrives when it heals. New connections come to nothing meanwhile.
pub struct Proxy {
    address: String,
    link: Arc<Link>,
}

#[derive(Default)]
struct Link {
    parted: Mutex<bool>,
    healed: Condvar,
    over: AtomicBool,
}

impl Proxy {
    /// Listens on a port of its own for what is meant for `target`.
    pub fn start(target: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let link = Arc::new(Link::default());
        let (target, shared) = (target.to_string(), link.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                let (target, link) = (target.clone(), shared.clone());
                thread::spawn(move || carry(&stream, &target, &link));
            }
        });
        Proxy { address, link }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn part(&self) {
        *self.link.parted.lock().expect("nobody panics") = true;
    }

    pub fn heal(&self) {
        *self.link.parted.lock().expect("nobody panics") = false;
        self.link.healed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.link.over.store(true, Ordering::SeqCst);
        self.heal();
        // So that the listener looks up.
        let _ = TcpStream::connect(&self.address);
    }
}

impl Link {
    fn wait(&self) {
        let parted = self.parted.lock().expect("nobody panics");
        drop(self.healed.wait_while(parted, |parted| *parted));
    }
}

fn carry(client: &TcpStream, target: &str, link: &Arc<Link>) {
    link.wait();
    let Ok(server) = TcpStream::connect(target) else {
        return;
    };
    thread::scope(|scope| {
        scope.spawn(|| pump(client, &server, link));
        pump(&server, client, link);
    });
}

/// One direction. An end is news, too, and waits like everything else.
fn pump(from: &TcpStream, to: &TcpStream, link: &Link) {
    let _ = from.set_read_timeout(Some(Duration::from_secs(1)));
    let (mut reader, mut writer) = (from, to);
    let mut buffer = [0; 16 << 10];
    while !link.over.load(Ordering::SeqCst) {
        let read = match reader.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(_) => 0,
        };
        link.wait();
        if read == 0 || writer.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
