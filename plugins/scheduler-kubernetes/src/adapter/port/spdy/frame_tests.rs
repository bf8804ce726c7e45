use super::*;

fn round(frames: &[Frame]) -> Vec<Frame> {
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
    let mut bytes = BytesMut::new();
    frames.iter().for_each(|f| encoder.encode(f, &mut bytes));
    let mut out = Vec::new();
    // as it comes from a socket: a byte at a time
    let mut buffer = BytesMut::new();
    for byte in bytes {
        buffer.put_u8(byte);
        if let Some(frame) = decoder.decode(&mut buffer).unwrap() {
            out.push(frame);
        }
    }
    assert!(buffer.is_empty());
    out
}

fn headers(kind: &str, port: &str) -> Headers {
    [("streamtype", kind), ("port", port), ("requestid", "0")]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .into()
}

#[test]
fn what_is_written_is_read_back_whatever_the_pieces() {
    let long = (0..200).map(|i| (format!("h{i}"), "x".repeat(i))).collect();
    let frames = [
        Frame::SynStream {
            id: 1,
            headers: headers("error", "80"),
            fin: true,
        },
        Frame::SynStream {
            id: 3,
            headers: headers("data", "80"),
            fin: false,
        },
        Frame::SynReply {
            id: 3,
            headers: Vec::new(),
            fin: false,
        },
        Frame::Data {
            id: 3,
            bytes: Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n"),
            fin: false,
        },
        Frame::SynStream {
            id: 5,
            headers: long,
            fin: false,
        },
        Frame::Data {
            id: 3,
            bytes: Bytes::new(),
            fin: true,
        },
        Frame::Ping(7),
        Frame::Reset { id: 3, status: 5 },
        Frame::GoAway { last: 3 },
    ];
    assert_eq!(round(&frames), frames);
}

/// What kubectl 1.33 sent for the first two streams of a forwarded port, as recorded.
const RECORDED: &[u8] = include_bytes!("testdata/kubectl-portforward.bin");

#[test]
fn what_kubectl_sends_is_read() {
    let mut decoder = Decoder::default();
    let mut buffer = BytesMut::from(RECORDED);
    let mut kinds = Vec::new();
    while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
        if let Frame::SynStream { id, headers, .. } = frame {
            let kind = headers
                .iter()
                .find(|(n, _)| n == "streamtype")
                .map(|(_, v)| v.clone());
            kinds.push((id, kind.unwrap_or_default()));
        }
    }
    assert_eq!(kinds, [(1, "error".to_owned()), (3, "data".to_owned())]);
}

#[test]
fn what_is_no_spdy_ends_the_connection() {
    let cases: [&[u8]; 4] = [
        &[0x80, 2, 0, 1, 0, 0, 0, 0],                         // another version
        &[0x80, 3, 0, 1, 0, 0, 0, 2, 0, 0],                   // too short
        &[0x80, 3, 0, 2, 0, 0, 0, 8, 0, 0, 0, 1, 1, 2, 3, 4], // not compressed
        &[0, 0, 0, 1, 0, 0xff, 0xff, 0xff],                   // not whole, for now
    ];
    let bad: Vec<bool> = cases
        .iter()
        .map(|bytes| Decoder::default().decode(&mut BytesMut::from(*bytes)).is_err())
        .collect();
    assert_eq!(bad, [true, true, true, false]);
}
