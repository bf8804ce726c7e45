"""A person at a terminal: `kubectl exec -it` under a pseudo-terminal whose window changes."""
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time


def set_size(fd, rows, cols):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


pid, fd = pty.fork()
if pid == 0:
    set_size(0, 30, 100)
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""


def read():
    global seen
    ready, _, _ = select.select([fd], [], [], 0.2)
    if not ready:
        return True
    try:
        piece = os.read(fd, 4096)
    except OSError:  # the other side is closed
        return False
    seen += piece
    return bool(piece)


def size():
    """What the shell inside says its size is; a question that it overlooked is asked again."""
    global seen
    seen = b""
    deadline = time.time() + 3
    os.write(fd, b"echo si''ze $(busybox stty size)\n")
    while time.time() < deadline and read():
        if found := re.search(rb"size (\d+) (\d+)\r", seen):
            return int(found[1]), int(found[2])
    return None


for rows, cols in [(30, 100), (40, 120), (25, 77)]:
    set_size(fd, rows, cols)
    deadline = time.time() + 30
    while (found := size()) != (rows, cols):
        if time.time() > deadline:
            sys.exit(f"{found} is not {rows} {cols}: {seen!r}")
os.write(fd, b"exit 5\n")
while read():
    pass
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
print("all of it")
