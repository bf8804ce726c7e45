"""A person at a terminal: `dcos task exec -i -t` under a pseudo-terminal of a size of its own."""
import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time


pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""


def read(until, seconds):
    """Reads until this was seen or the time is over."""
    global seen
    deadline = time.time() + seconds
    while until not in seen and time.time() < deadline:
        ready, _, _ = select.select([fd], [], [], 0.2)
        if not ready:
            continue
        try:
            piece = os.read(fd, 4096)
        except OSError:  # the other side is closed
            return
        if not piece:
            return
        seen += piece


# what is typed before the shell is there may be lost with the client's own change of the terminal
deadline = time.time() + 60
while b"size 33 101" not in seen:
    if time.time() > deadline:
        sys.exit(f"no terminal of 33 lines: {seen!r}")
    os.write(fd, b"test -t 0 && echo si''ze $(stty size)\n")
    read(b"size 33 101", 3)
os.write(fd, b"exit\n")
read(b"never", 20)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print("all of it")
