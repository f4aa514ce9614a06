//! Frames: a length, then that many bytes.
//!
//! *Shape*: `u32` little-endian, at least 1 and at most the direction's limit; then one CBOR item.
//!
//! The limits differ by direction. What a task may weigh decides how long a frame to a worker may
//! be; a worker sends nothing longer than a chunk or one item's value, and a decoded frame takes up
//! to 32 times its bytes, so that the daemon takes less from each of its workers.

use std::io::{ErrorKind, Read, Write};

use froben_model::limits;

use crate::Error;

/// Longest frame from a daemon to a worker, without the length.
pub const TO_WORKER_BYTES: usize = limits::FRAME_BYTES;
/// Longest frame from a worker to a daemon, without the length.
pub const TO_DAEMON_BYTES: usize = 1 << 20;

const LENGTH_BYTES: usize = 4;

/// `body` as a frame.
///
/// *Errors*: [`Error::FrameTooLarge`].
pub fn frame(body: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let length = checked(body.len() as u64, limit)?;
    let mut frame = Vec::with_capacity(LENGTH_BYTES + body.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(body);
    Ok(frame)
}

fn checked(size: u64, limit: usize) -> Result<u32, Error> {
    match u32::try_from(size) {
        Ok(0) => Err(Error::Malformed {
            cause: "it is empty".to_owned(),
        }),
        Ok(length) if size <= limit as u64 => Ok(length),
        _ => Err(Error::FrameTooLarge { size, limit }),
    }
}

/// Writes one frame.
pub fn write(to: &mut impl Write, body: &[u8], limit: usize) -> Result<(), Error> {
    to.write_all(&frame(body, limit)?)?;
    to.flush()?;
    Ok(())
}

/// Reads one frame; none if the peer closed the connection between two frames.
///
/// *Errors*: [`Error::Truncated`] if it closed inside one, [`Error::FrameTooLarge`] before a byte
/// of the body is read.
pub fn read(from: &mut impl Read, limit: usize) -> Result<Option<Vec<u8>>, Error> {
    let mut length = [0; LENGTH_BYTES];
    let mut filled = 0;
    while filled < LENGTH_BYTES {
        match from.read(&mut length[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(Error::Truncated),
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let length = checked(u32::from_le_bytes(length).into(), limit)?;
    let mut body = Vec::new();
    from.take(length.into()).read_to_end(&mut body)?;
    match body.len() == length as usize {
        true => Ok(Some(body)),
        false => Err(Error::Truncated),
    }
}

/// Frames out of bytes that arrive in pieces.
#[derive(Debug)]
pub struct Frames {
    /// What has arrived and is not given out yet.
    pub pending: Vec<u8>,
    limit: usize,
}

impl Frames {
    pub fn new(limit: usize) -> Self {
        Frames {
            pending: Vec::new(),
            limit,
        }
    }

    /// The next whole frame, if it is there.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let Some((length, rest)) = self.pending.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = checked(u32::from_le_bytes(*length).into(), self.limit)? as usize;
        if rest.len() < length {
            return Ok(None);
        }
        let body = rest[..length].to_vec();
        self.pending.drain(..LENGTH_BYTES + length);
        Ok(Some(body))
    }

    /// Says whether the peer may close now: nothing is half arrived.
    pub fn check_closed(&self) -> Result<(), Error> {
        match self.pending.is_empty() {
            true => Ok(()),
            false => Err(Error::Truncated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_is_a_little_endian_length_and_its_bytes() {
        assert_eq!(frame(b"abc", 8).unwrap(), b"\x03\0\0\0abc");
    }

    #[test]
    fn what_is_cut_empty_or_too_long_is_refused() {
        let cases: [(&[u8], &str); 6] = [
            (b"\x03\0", "the connection closed inside a frame"),
            (b"\x03\0\0\0", "the connection closed inside a frame"),
            (b"\x03\0\0\0ab", "the connection closed inside a frame"),
            (b"\0\0\0\0", "a frame holds no message: it is empty"),
            (b"\x09\0\0\0", "a frame of 9 bytes, the limit is 8"),
            (
                b"\xff\xff\xff\xffx",
                "a frame of 4294967295 bytes, the limit is 8",
            ),
        ];
        for (bytes, message) in cases {
            let error = read(&mut &bytes[..], 8).unwrap_err().to_string();
            assert_eq!(error, message, "{bytes:?}");
        }
        assert!(read(&mut &b""[..], 8).unwrap().is_none());
        assert!(frame(&[0; 9], 8).is_err());
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_they_are_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            cut in 1usize..20,
        ) {
            let mut wire = Vec::new();
            for body in &bodies {
                write(&mut wire, body, 64).unwrap();
            }
            let mut frames = Frames::new(64);
            let mut out = Vec::new();
            for piece in wire.chunks(cut) {
                frames.pending.extend_from_slice(piece);
                while let Some(body) = frames.next_frame().unwrap() {
                    out.push(body);
                }
            }
            prop_assert_eq!(&out, &bodies);
            prop_assert!(frames.check_closed().is_ok());

            let mut reader = &wire[..];
            let mut out = Vec::new();
            while let Some(body) = read(&mut reader, 64).unwrap() {
                out.push(body);
            }
            prop_assert_eq!(out, bodies);
        }

        #[test]
        fn both_readers_agree_on_garbage(wire in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut frames = Frames::new(16);
            frames.pending.extend_from_slice(&wire);
            let mut reader = &wire[..];
            loop {
                let whole = read(&mut reader, 16);
                let pieces = frames.next_frame().and_then(|frame| match frame {
                    Some(body) => Ok(Some(body)),
                    None => frames.check_closed().map(|()| None),
                });
                prop_assert_eq!(whole.is_ok(), pieces.is_ok());
                match (whole, pieces) {
                    (Ok(Some(a)), Ok(Some(b))) => prop_assert_eq!(a, b),
                    (Ok(None), Ok(None)) | (Err(_), Err(_)) => break,
                    (a, b) => prop_assert!(false, "{a:?} {b:?}"),
                }
            }
        }
    }
}
