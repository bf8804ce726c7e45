"""A person at a terminal: the docker CLI under a pseudo-terminal whose window changes."""
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

PROGRAM, IMAGE = sys.argv[1:3]


class Terminal:
    def __init__(self, *args, rows=30, cols=100):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # Before the first program looks at it.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
            os.execv(PROGRAM, [PROGRAM, *args])

    def resize(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, text):
        os.write(self.fd, text.encode())

    def read(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            piece = os.read(self.fd, 4096)
        except OSError:  # the other side is closed
            return False
        self.seen += piece
        return bool(piece)

    def until(self, pattern, seconds=30):
        deadline = time.time() + seconds
        while not re.search(pattern.encode(), self.seen):
            if time.time() > deadline or not self.read(0.2):
                sys.exit(f"not seen: {pattern}, but {self.seen!r}")
        found = re.search(pattern.encode(), self.seen)
        self.seen = self.seen[found.end():]
        return found

    def end(self, seconds=30):
        deadline = time.time() + seconds
        while self.read(0.2):
            if time.time() > deadline:
                sys.exit(f"does not end: {self.seen!r}")
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def size_follows(terminal, ask):
    """The size inside is the window's, at first and whenever it changes."""
    for rows, cols in [(30, 100), (40, 120), (25, 77)]:
        if (rows, cols) != (30, 100):
            terminal.resize(rows, cols)
        deadline = time.time() + 30
        while True:
            terminal.type(ask)
            # None before its size was ever told.
            found = terminal.until(r"size(?: (\d+) (\d+))?\r")
            if found[1] and (int(found[1]), int(found[2])) == (rows, cols):
                break
            if time.time() > deadline:
                sys.exit(f"{found[0]!r} is not {rows} {cols}")
            time.sleep(0.1)


ASK = "echo si''ze $(busybox stty size)\n"

shell = Terminal("run", "-it", "--rm", "--name", "typed", IMAGE, "sh")
size_follows(shell, ASK)
shell.type("test -t 0 && echo is a termi''nal\n")
shell.until("is a terminal\r")

inner = Terminal("exec", "-it", "typed", "sh")
size_follows(inner, ASK)
inner.type("exit 6\n")
assert inner.end() == 6

shell.type("exit 7\n")
assert shell.end() == 7

# Leaving by the keys leaves it running; attaching again goes on where it was.
shell = Terminal("run", "-it", "--name", "left", IMAGE, "sh")
shell.type("X=kept; echo be''gun\n")
shell.until("begun\r")
for key in "\x10\x11":  # as fingers do it: the CLI looks at one key at a time
    shell.type(key)
    time.sleep(0.3)
assert shell.end() == 0
again = Terminal("attach", "left")
again.type("echo $X si''ze $(busybox stty size)\n")
again.until("kept size 30 100\r")
again.type("exit 8\n")
assert again.end() == 8
print("all of it")
