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
/// Keys of a keystore, and keys that one task needs.
pub const SETUP_KEYS: usize = 1024;
/// What an item may cost, in millionths of a unit: 10,000 units. The price of all items that a coordinator
/// has memory for can still be counted.
pub const PRICE: u64 = 10_000_000_000;
/// Devices of one machine.
pub const DEVICES: usize = 64;
/// The timeout of a delegation whose script names none, unless less suits its kind: 10 min.
pub const DEFAULT_TIMEOUT_MS: u64 = 10 * 60 * 1000;
/// The longest timeout of a delegation: 24 h.
pub const TIMEOUT_MS: u64 = 24 * 60 * 60 * 1000;

/// `text`, cut at a character boundary to [`TEXT_BYTES`], with what steers a terminal made visible as
/// spaces: what came from outside stays one line there and in a log, and reads in its own order.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(TEXT_BYTES));
    for c in text.chars() {
        if line.len() + c.len_utf8() > TEXT_BYTES {
            break;
        }
        line.push(if steers(c) { ' ' } else { c });
    }
    line
}

/// Control characters, line separators, and what turns the direction of the text that follows: with it a
/// text is shown as another one than it is ("Trojan Source", Boucher and Anderson 2021).
pub(crate) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_short_and_has_no_control_characters() {
        assert_eq!(one_line("a\u{1b}[31m\nb"), "a [31m b");
        assert!(one_line(&"é".repeat(TEXT_BYTES)).len() <= TEXT_BYTES);
    }

    #[test]
    fn a_line_reads_in_its_own_order() {
        let marks = ['\u{61c}', '\u{200e}', '\u{200f}'];
        let turns = ('\u{2028}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        for c in turns.chain(marks) {
            assert_eq!(one_line(&format!("a{c}b")), "a b", "{:x}", c as u32);
        }
        // Letters of both directions, and what joins them, stay.
        let kept = "ab \u{5d0}\u{5d1} \u{627}\u{628} x\u{200d}y\u{200c}z \u{202f}\u{2065}\u{206a}";
        assert_eq!(one_line(kept), kept);
    }
}
