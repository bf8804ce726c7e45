"""What the scripts share."""
import collections
import collections.abc
import sys
import time

# Names that Python 3.10 moved and the Marathon client still expects in the old place.
for name in ("Iterable", "Mapping", "MutableMapping", "Sequence", "Callable"):
    setattr(collections, name, getattr(collections.abc, name))


def wait(what, check):
    """Until the check gives something; what it gave."""
    deadline = time.time() + 90
    while time.time() < deadline:
        value = check()
        if value:
            return value
        time.sleep(0.1)
    sys.exit("still not " + what)


def same(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r} is not {wanted!r}")
