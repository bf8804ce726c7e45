//! Clients of a running container: input, output, terminal.

use crate::support::{Container, code, sh, until};
use plenum_shim::client;
use plenum_shim::config::{Config, Stdin, WindowSize};
use plenum_shim::logs::record::Stream;
use plenum_shim::state::Exit;
use plenum_shim::wire::{Attach, Frame};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

const ALL: Attach = Attach {
    stdin: true,
    stdout: true,
    stderr: true,
};

struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    seen: Vec<u8>,
}

impl Client {
    fn attach(container: &Container, streams: Attach) -> Self {
        let stream = client::attach(&container.dir(), streams).unwrap();
        stream
            .set_read_timeout(Some(std::time::Duration::from_secs(20)))
            .unwrap();
        Self {
            stream,
            input: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn send(&mut self, frame: &Frame) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.stream.write_all(&bytes).unwrap();
    }

    fn next(&mut self) -> Frame {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = Frame::decode(&mut self.input).unwrap() {
                return frame;
            }
            let read = self.stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the shim hung up");
            self.input.extend_from_slice(&buffer[..read]);
        }
    }

    fn until(&mut self, part: &str) {
        while !String::from_utf8_lossy(&self.seen).contains(part) {
            match self.next() {
                Frame::Stdout(bytes) | Frame::Stderr(bytes) => self.seen.extend(bytes),
                other => panic!(
                    "{other:?} before {part:?}, after {:?}",
                    String::from_utf8_lossy(&self.seen)
                ),
            }
        }
    }

    fn end(&mut self) -> Exit {
        loop {
            match self.next() {
                Frame::Stdout(bytes) | Frame::Stderr(bytes) => self.seen.extend(bytes),
                Frame::Ended(exit) => return exit,
                other => panic!("{other:?}"),
            }
        }
    }
}

fn held(mut config: Config, stdin: Stdin, terminal: Option<WindowSize>) -> Container {
    (config.hold, config.stdin, config.terminal) = (true, stdin, terminal);
    let container = Container::new();
    container.launch(&config).unwrap();
    container
}

#[test]
fn input_reaches_the_command_and_its_end_too() {
    let container = held(sh("cat; echo end >&2; exit 4"), Stdin::Open, None);
    let mut client = Client::attach(&container, ALL);
    client.send(&Frame::Stdin(b"before the start\n".to_vec()));
    client::start(&container.dir()).unwrap();
    client.until("before the start\n");
    let much = vec![b'x'; 300_000];
    let mut writer = client.stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        Frame::Stdin(much).encode(&mut bytes);
        Frame::CloseStdin.encode(&mut bytes);
        writer.write_all(&bytes).unwrap();
    });
    assert_eq!(code(&client.end()), 4);
    sender.join().unwrap();
    assert_eq!(client.seen.iter().filter(|&&byte| byte == b'x').count(), 300_000);
    assert!(client.seen.ends_with(b"end\n"));
    assert_eq!(container.output(Stream::Stderr), "end\n");
}

#[test]
fn input_that_is_open_once_ends_with_its_first_client() {
    let container = held(sh("cat; exit 6"), Stdin::Once, None);
    client::start(&container.dir()).unwrap();
    drop(Client::attach(&container, Attach { stdin: false, ..ALL }));
    drop(Client::attach(&container, ALL));
    assert_eq!(code(&container.wait()), 6);
}

#[test]
fn input_that_is_closed_cannot_be_attached_to() {
    let container = held(sh("cat; exit 6"), Stdin::Closed, None);
    let refused = client::attach(&container.dir(), ALL).unwrap_err();
    assert!(refused.to_string().contains("not open"), "{refused}");
    assert!(client::resize(&container.dir(), WindowSize { cols: 1, rows: 1 }).is_err());
    client::start(&container.dir()).unwrap();
    assert_eq!(code(&container.wait()), 6, "it reads the end of file at once");
}

#[test]
fn a_terminal_echoes_and_learns_its_size() {
    let script = "tty >/dev/null || exit 9; stty size; \
                  while read line; do echo \"got $line\"; stty size; [ $line = bye ] && exit 3; done";
    let container = held(sh(script), Stdin::Open, Some(WindowSize { cols: 80, rows: 24 }));
    client::resize(&container.dir(), WindowSize { cols: 81, rows: 25 }).unwrap();
    let mut client = Client::attach(&container, ALL);
    client::start(&container.dir()).unwrap();
    client.until("25 81\r\n");
    client.send(&Frame::Resize(WindowSize { cols: 100, rows: 30 }));
    client.send(&Frame::Stdin(b"hello\n".to_vec()));
    client.until("hello\r\n");
    client.until("got hello\r\n30 100\r\n");
    client::resize(&container.dir(), WindowSize { cols: 101, rows: 31 }).unwrap();
    client.send(&Frame::Stdin(b"bye\n".to_vec()));
    assert_eq!(code(&client.end()), 3);
    assert!(String::from_utf8_lossy(&client.seen).ends_with("got bye\r\n31 101\r\n"));
    assert!(container.output(Stream::Stdout).contains("got hello\r\n"));
}

#[test]
fn control_c_in_a_terminal_interrupts_the_command() {
    let container = held(
        sh("trap 'exit 77' INT; echo ready; while :; do sleep 0.02; done"),
        Stdin::Open,
        Some(WindowSize { cols: 80, rows: 24 }),
    );
    let mut client = Client::attach(&container, ALL);
    client::start(&container.dir()).unwrap();
    client.until("ready");
    client.send(&Frame::Stdin(vec![3]));
    assert_eq!(code(&client.end()), 77);
}

#[test]
fn a_client_that_takes_nothing_does_not_keep_others_from_the_log() {
    let container = held(
        sh("head -c 3000000 /dev/zero | tr '\\0' 'y' | fold -w 100; exit 0"),
        Stdin::Closed,
        None,
    );
    let idle = Client::attach(&container, Attach { stdin: false, ..ALL });
    client::start(&container.dir()).unwrap();
    // Slowed down by it at first, then it is let go.
    assert_eq!(code(&container.wait()), 0);
    assert_eq!(
        container
            .output(Stream::Stdout)
            .bytes()
            .filter(|&byte| byte == b'y')
            .count(),
        3_000_000
    );
    drop(idle);
}

#[test]
fn nonsense_on_the_socket_is_refused_and_harms_nobody() {
    let container = Container::run("sleep 100");
    let mut stream = UnixStream::connect(container.dir().join("control.sock")).unwrap();
    stream.write_all(b"nonsense\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("refused"), "{answer}");
    let mut stream = UnixStream::connect(container.dir().join("control.sock")).unwrap();
    let endless = stream.write_all(&vec![b'a'; 1 << 20]);
    answer.clear();
    let _ = (endless, stream.read_to_string(&mut answer));
    let mut client = Client::attach(
        &container,
        Attach {
            stdout: true,
            ..Attach::default()
        },
    );
    client.stream.write_all(&[9, 0xff, 0xff, 0xff, 0xff]).unwrap();
    until("the shim to hang up", || {
        matches!(client.stream.read(&mut [0; 1]), Ok(0) | Err(_))
    });
    client::kill(&container.dir()).unwrap();
    container.wait();
}
