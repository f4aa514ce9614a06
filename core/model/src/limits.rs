//! The size of everything that crosses a process. One page, so that the limits agree.

/// A chunk of a blob on the wire.
pub const CHUNK_BYTES: usize = 256 << 10;
/// A blob.
pub const BLOB_BYTES: u64 = 4 << 30;
/// One Cap'n Proto message.
pub const MESSAGE_BYTES: usize = 8 << 20;
/// One frame between the daemon and a worker.
pub const FRAME_BYTES: usize = 8 << 20;
/// One value (a script's input, a task's input, an item's result), by [`crate::Value::weight`].
pub const VALUE_BYTES: usize = 256 << 10;
/// How deep a value nests.
pub const VALUE_DEPTH: usize = 16;
/// Items of one delegation.
pub const ITEMS: usize = 1024;
/// Delegations of one workflow.
pub const DELEGATIONS: usize = 10_000;
/// A message of an error or a log line.
pub const TEXT_BYTES: usize = 4 << 10;
/// A script file.
pub const SCRIPT_BYTES: usize = 256 << 10;
/// Files of one script set.
pub const SCRIPT_FILES: usize = 256;
/// All sources of one script set: it travels as one message.
pub const SCRIPT_SET_BYTES: usize = 4 << 20;
/// A file's path in a script set.
pub const SCRIPT_PATH_BYTES: usize = 128;
/// What whoever serves a revision says about it.
pub const NOTE_BYTES: usize = 200;
/// Kinds that one machine offers.
pub const KINDS: usize = 256;
/// Devices of one machine.
pub const DEVICES: usize = 64;
/// The longest timeout of a delegation: 24 h.
pub const TIMEOUT_MS: u64 = 24 * 60 * 60 * 1000;

/// `text`, cut at a character boundary to [`TEXT_BYTES`], with control characters made visible as
/// spaces: what came from outside stays one line in a terminal and in a log.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(TEXT_BYTES));
    for c in text.chars() {
        if line.len() + c.len_utf8() > TEXT_BYTES {
            break;
        }
        line.push(if c.is_control() { ' ' } else { c });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_short_and_has_no_control_characters() {
        assert_eq!(one_line("a\u{1b}[31m\nb"), "a [31m b");
        assert!(one_line(&"é".repeat(TEXT_BYTES)).len() <= TEXT_BYTES);
    }
}
