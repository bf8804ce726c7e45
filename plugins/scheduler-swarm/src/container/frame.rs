//! How Docker carries output: frames with an 8-byte head without a terminal, raw bytes with one.

use bytes::{BufMut, Bytes, BytesMut};

/// Which stream a piece is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Stdout,
    Stderr,
}

/// A piece of output as it goes to the client.
pub(super) fn frame(tty: bool, source: Source, bytes: Bytes) -> Bytes {
    if tty {
        return bytes;
    }
    let mut out = BytesMut::with_capacity(8 + bytes.len());
    out.put_u8(match source {
        Source::Stdout => 1,
        Source::Stderr => 2,
    });
    out.put_bytes(0, 3);
    // A piece is a read of an agent or a line of a log, far below 4 GiB.
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put(bytes);
    out.freeze()
}

/// The media type of what [`frame`] makes.
pub(super) fn media_type(tty: bool) -> &'static str {
    if tty {
        "application/vnd.docker.raw-stream"
    } else {
        "application/vnd.docker.multiplexed-stream"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_stream_and_its_length_and_a_terminal_has_none() {
        let text = Bytes::from_static(b"hello");
        assert_eq!(
            &frame(false, Source::Stderr, text.clone())[..],
            b"\x02\0\0\0\0\0\0\x05hello"
        );
        assert_eq!(&frame(false, Source::Stdout, text.clone())[..5], b"\x01\0\0\0\0");
        assert_eq!(frame(true, Source::Stdout, text.clone()), text);
    }
}
