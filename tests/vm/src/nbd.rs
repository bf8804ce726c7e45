//! The protocol by which QEMU reaches a disk that is not a file (network block device, fixed newstyle handshake,
//! simple replies).

use crate::disk::{Connections, Platter};
use parking_lot::Mutex;
use std::io::{Error, Read, Result, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

const HELLO: u64 = 0x4e42_444d_4147_4943;
const OPTION: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;

/// Fixed newstyle, no padding.
const HANDSHAKE: u16 = 1 | 2;
/// There are flags, it can flush, and write through its cache.
const ABILITIES: u16 = 1 | 4 | 8;

const GO: u32 = 7;
const ABORT: u32 = 2;
const ACK: u32 = 1;
const INFO: u32 = 3;
const UNSUPPORTED: u32 = 1 << 31 | 1;

/// A write is durable when it is answered.
const THROUGH: u16 = 1;
const INVALID: u32 = 22;

/// Serves one machine after the other, each on a connection of its own.
pub(crate) fn serve(listener: &UnixListener, platter: &Arc<Mutex<Platter>>, all: &Connections) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        let platter = Arc::clone(platter);
        let connection = std::thread::spawn(move || {
            // It ends with its machine; how is no matter.
            let _ = shake_hands(&mut stream, &platter).and_then(|()| answer(&mut stream, &platter));
        });
        all.lock().push(connection);
    }
}

fn shake_hands(stream: &mut UnixStream, platter: &Mutex<Platter>) -> Result<()> {
    stream.write_all(&HELLO.to_be_bytes())?;
    stream.write_all(&OPTION.to_be_bytes())?;
    stream.write_all(&HANDSHAKE.to_be_bytes())?;
    let _flags = number::<4>(stream)?;
    loop {
        if number::<8>(stream)? != OPTION {
            return Err(Error::other("no option"));
        }
        let option = u32::try_from(number::<4>(stream)?).unwrap_or(0);
        let length = usize::try_from(number::<4>(stream)?).unwrap_or(0);
        stream.read_exact(&mut vec![0; length])?;
        match option {
            GO => {
                let mut info = 0_u16.to_be_bytes().to_vec();
                info.extend((platter.lock().size() as u64).to_be_bytes());
                info.extend(ABILITIES.to_be_bytes());
                reply(stream, option, INFO, &info)?;
                return reply(stream, option, ACK, &[]);
            }
            ABORT => return reply(stream, option, ACK, &[]).and(Err(Error::other("it left"))),
            _ => reply(stream, option, UNSUPPORTED, &[])?,
        }
    }
}

fn reply(stream: &mut UnixStream, option: u32, kind: u32, data: &[u8]) -> Result<()> {
    let length = u32::try_from(data.len()).unwrap_or(0);
    let mut message = OPTION_REPLY.to_be_bytes().to_vec();
    for part in [option, kind, length] {
        message.extend(part.to_be_bytes());
    }
    message.extend(data);
    stream.write_all(&message)
}

fn answer(stream: &mut UnixStream, platter: &Mutex<Platter>) -> Result<()> {
    loop {
        if number::<4>(stream)? != u64::from(REQUEST) {
            return Err(Error::other("no request"));
        }
        let flags = number::<2>(stream)?;
        let kind = number::<2>(stream)?;
        let handle = number::<8>(stream)?;
        let at = usize::try_from(number::<8>(stream)?).unwrap_or(usize::MAX);
        let length = usize::try_from(number::<4>(stream)?).unwrap_or(usize::MAX);
        let (mut error, mut data) = (0, Vec::new());
        match kind {
            0 => match platter.lock().read(at, length) {
                Some(bytes) => data = bytes.to_vec(),
                None => error = INVALID,
            },
            1 => {
                let mut bytes = vec![0; length];
                stream.read_exact(&mut bytes)?;
                let mut platter = platter.lock();
                if platter.write(at, &bytes).is_none() {
                    error = INVALID;
                } else if flags & u64::from(THROUGH) != 0 {
                    platter.flush();
                }
            }
            2 => return Ok(()),
            3 => platter.lock().flush(),
            _ => error = INVALID,
        }
        let mut message = REPLY.to_be_bytes().to_vec();
        message.extend(error.to_be_bytes());
        message.extend(handle.to_be_bytes());
        message.extend(data);
        stream.write_all(&message)?;
    }
}

/// A number of so many bytes, the highest first.
fn number<const N: usize>(stream: &mut UnixStream) -> Result<u64> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
