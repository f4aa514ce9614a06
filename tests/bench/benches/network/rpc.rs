//! The messages of Cap'n Proto's RPC that a played machine sends and reads.
//!
//! By hand, since the whole protocol, with its promises and its tables, costs a client as much as it costs
//! the coordinator, on the same cores; a machine needs very little of it. What the coordinator hosts and we
//! ask for, it hosts by itself (`senderHosted`), so nothing is ever resolved, and we host one object.

use capnp::Word;
use capnp::any_pointer;
use capnp::message::{Builder, HeapAllocator, ReaderOptions};
use capnp::serialize::{read_message_from_flat_slice_no_alloc, write_message};
use capnp::traits::{FromPointerReader, HasTypeId, ImbueMut};
use capnp_rpc::rpc_capnp::{cap_descriptor, message, payload, return_};
use froben_model::{ItemOutcome, LeaseToken, MachineSpec, Usage};
use froben_schema::common_capnp::PROTOCOL_VERSION;
use froben_schema::convert;
use froben_schema::operator_capnp::{machine, operator_session, registration};
use froben_schema::seeker_capnp::coordinator;

/// What a message fits into, unless it is a large one.
const MESSAGE_WORDS: u32 = 64;
const INBOX_WORDS: usize = 512;
/// Less than its task may have.
const USAGE: Usage = Usage {
    ram_bytes: 1 << 19,
    vram_bytes: 0,
};
/// The machine itself: the only object that we host.
const MACHINE: u32 = 0;

/// A method: its interface, and its number in it.
#[derive(Clone, Copy)]
struct Method(u64, u16);

const OPERATOR: Method = Method(<coordinator::Client as HasTypeId>::TYPE_ID, 0);
const PING: Method = Method(<coordinator::Client as HasTypeId>::TYPE_ID, 2);
const REGISTER: Method = Method(<operator_session::Client as HasTypeId>::TYPE_ID, 0);
const ITEM: Method = Method(<registration::Client as HasTypeId>::TYPE_ID, 0);

/// An object of the coordinator's.
#[derive(Clone, Copy)]
pub(crate) struct Import(u32);

/// Messages that wait to be sent, in order.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) bytes: Vec<u8>,
}

impl Outbox {
    fn send(&mut self, fill: impl FnOnce(message::Builder<'_>)) {
        let memory = HeapAllocator::new().first_segment_words(MESSAGE_WORDS);
        let mut message = Builder::new(memory);
        fill(message.init_root());
        write_message(&mut self.bytes, &message).expect("memory takes it");
    }

    fn call(
        &mut self,
        question: u32,
        on: Import,
        method: Method,
        fill: impl FnOnce(payload::Builder<'_>),
    ) {
        self.send(|root| {
            let mut call = root.init_call();
            call.set_question_id(question);
            call.set_interface_id(method.0);
            call.set_method_id(method.1);
            call.reborrow().init_target().set_imported_cap(on.0);
            call.reborrow().init_send_results_to().set_caller(());
            fill(call.init_params());
        });
    }

    pub(crate) fn bootstrap(&mut self, question: u32) {
        self.send(|root| {
            root.init_bootstrap().set_question_id(question);
        });
    }

    pub(crate) fn operator(&mut self, question: u32, door: Import) {
        self.call(question, door, OPERATOR, |params| {
            let mut params = params
                .get_content()
                .init_as::<coordinator::operator_params::Builder<'_>>();
            params.set_protocol_version(PROTOCOL_VERSION);
        });
    }

    pub(crate) fn register(&mut self, question: u32, session: Import, spec: &MachineSpec) {
        self.call(question, session, REGISTER, |mut params| {
            // Only for the pointer to it: whom it leads to, the table says.
            let machine: machine::Client = capnp_rpc::new_future_client(std::future::pending());
            let mut pointers = Vec::new();
            let mut content = params.reborrow().get_content();
            content.imbue_mut(&mut pointers);
            let mut content = content.init_as::<operator_session::register_params::Builder<'_>>();
            convert::write_machine(spec, content.reborrow().init_spec());
            content.set_machine(machine);
            params.init_cap_table(1).get(0).set_sender_hosted(MACHINE);
        });
    }

    pub(crate) fn ping(&mut self, question: u32, door: Import) {
        self.call(question, door, PING, |_| {});
    }

    pub(crate) fn item(
        &mut self,
        question: u32,
        registration: Import,
        token: &LeaseToken,
        index: u32,
        outcome: &ItemOutcome,
    ) {
        self.call(question, registration, ITEM, |params| {
            let mut params = params
                .get_content()
                .init_as::<registration::item_params::Builder<'_>>();
            convert::write_token(token, params.reborrow().init_token());
            params.set_index(index);
            convert::write_usage(&USAGE, params.reborrow().init_usage());
            convert::write_outcome(outcome, params.init_outcome());
        });
    }

    /// Lets go of an answer, and keeps the object that it gave.
    pub(crate) fn finish(&mut self, question: u32) {
        self.send(|root| {
            let mut finish = root.init_finish();
            finish.set_question_id(question);
            finish.set_release_result_caps(false);
        });
    }

    /// Answers a call. As in capnp-rpc, an answer without objects needs no finish.
    fn answer(&mut self, answer: u32, fill: impl FnOnce(payload::Builder<'_>)) {
        self.send(|root| {
            let mut done = root.init_return();
            done.set_answer_id(answer);
            done.set_release_param_caps(false);
            done.set_no_finish_needed(true);
            fill(done.init_results());
        });
    }

    /// Says of a task that it is taken.
    pub(crate) fn accept(&mut self, answer: u32) {
        self.answer(answer, |results| {
            let results = results
                .get_content()
                .init_as::<machine::assign_results::Builder<'_>>();
            results.init_answer().set_accepted(());
        });
    }

    /// Answers a call whose answer says nothing.
    pub(crate) fn done(&mut self, answer: u32) {
        self.answer(answer, |_| {});
    }
}

/// Bytes as they come, and the messages in them.
pub(crate) struct Inbox {
    /// Of words, since a message is read where it lies, and only at their bounds.
    words: Vec<Word>,
    filled: usize,
}

impl Inbox {
    pub(crate) fn new() -> Inbox {
        Inbox {
            words: Word::allocate_zeroed_vec(INBOX_WORDS),
            filled: 0,
        }
    }

    /// Where the next bytes go: never empty.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut Word::words_to_bytes_mut(&mut self.words)[self.filled..]
    }

    /// Takes the messages that are whole, now that so many bytes more have come.
    pub(crate) fn came(&mut self, bytes: usize, mut take: impl FnMut(message::Reader<'_>)) {
        self.filled += bytes;
        let mut rest = &Word::words_to_bytes(&self.words)[..self.filled];
        while message_bytes(rest).is_some_and(|bytes| bytes <= rest.len()) {
            let message = read_message_from_flat_slice_no_alloc(&mut rest, ReaderOptions::new());
            let message = message.expect("it is a message");
            take(message.get_root().expect("it reads"));
        }
        let (from, wanted) = (self.filled - rest.len(), message_bytes(rest).unwrap_or(0));
        Word::words_to_bytes_mut(&mut self.words).copy_within(from..self.filled, 0);
        self.filled -= from;
        if wanted > self.words.len() * size_of::<Word>() {
            let words = wanted.div_ceil(size_of::<Word>());
            self.words
                .extend(Word::allocate_zeroed_vec(words - self.words.len()));
        }
    }
}

/// The size of the message that begins here; `None` until the table of its segments is whole.
fn message_bytes(bytes: &[u8]) -> Option<usize> {
    let number = |at: usize| {
        let number = bytes.get(4 * at..4 * at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(number) as usize)
    };
    let segments = number(0)? + 1;
    let words: Option<usize> = (1..=segments).map(number).sum();
    Some((segments / 2 + 1 + words?) * size_of::<Word>())
}

/// What the coordinator says.
pub(crate) enum Said<'a> {
    /// It calls the machine.
    Call(u32, Asked<'a>),
    Return(return_::Reader<'a>),
    /// It lets go of something that we keep no account of.
    LetGo,
}

pub(crate) enum Asked<'a> {
    Assign(machine::assign_params::Reader<'a>),
    Cancel,
    Ping,
}

/// *Panics*: at everything that a coordinator has no reason to say to a machine.
pub(crate) fn read(message: message::Reader<'_>) -> Said<'_> {
    match message.which().expect("it is of a known kind") {
        message::Call(call) => {
            let call = call.expect("it reads");
            let interface = <machine::Client as HasTypeId>::TYPE_ID;
            assert_eq!(call.get_interface_id(), interface, "it calls a machine");
            let asked = match call.get_method_id() {
                0 => Asked::Assign(content(call.get_params().expect("it reads"))),
                1 => Asked::Cancel,
                2 => Asked::Ping,
                other => panic!("a machine has no method {other}"),
            };
            Said::Call(call.get_question_id(), asked)
        }
        message::Return(done) => Said::Return(done.expect("it reads")),
        message::Finish(_) | message::Release(_) => Said::LetGo,
        message::Abort(why) => {
            let why = why.and_then(|why| why.get_reason()).expect("it reads");
            panic!("the coordinator ended the connection: {why:?}")
        }
        _ => panic!("the coordinator says what no machine understands: {message:?}"),
    }
}

/// The results of a call, which has not failed.
pub(crate) fn results<'a>(done: return_::Reader<'a>) -> payload::Reader<'a> {
    match done.which().expect("it is of a known kind") {
        return_::Results(results) => results.expect("it reads"),
        return_::Exception(why) => {
            let why = why.and_then(|why| why.get_reason()).expect("it reads");
            panic!("a call failed: {why:?}")
        }
        _ => panic!("a call ended without a result: {done:?}"),
    }
}

pub(crate) fn content<'a, T: FromPointerReader<'a>>(payload: payload::Reader<'a>) -> T {
    let content: any_pointer::Reader<'a> = payload.get_content();
    content.get_as().expect("it reads")
}

/// The one object that an answer gives.
pub(crate) fn object(results: payload::Reader<'_>) -> Import {
    let table = results.get_cap_table().expect("it reads");
    assert_eq!(table.len(), 1, "one object is given");
    match table.get(0).which().expect("it is of a known kind") {
        cap_descriptor::SenderHosted(id) => Import(id),
        _ => panic!("the coordinator gives an object that it does not host"),
    }
}
