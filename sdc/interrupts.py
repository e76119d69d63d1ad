"""How a process of the command line ends on a signal, or with its Snakemake: soon, with one line, tidily."""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

# How long the main thread may compute in C before another ends the process in its place.
GRACE_SECONDS = 2
# Variable of a job's environment: the Snakemake that started it.
VARIABLE = "SDC_SNAKEMAKE"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Temporary files of this process, which go with it.
unfinished: set[Path] = set()


def own_process() -> str:
    """This process as ``VARIABLE`` says it: its number, and the namespace in which it has that number."""
    return f"{os.getpid()}:{_namespace()}"


def end_on_signals(name: str) -> None:
    """From now on, end on Ctrl-C, SIGTERM and SIGHUP, and when the Snakemake of ``VARIABLE`` has ended.

    Nothing is raised: exceptions would arrive in the middle of imports and of callbacks from C, which swallow or print
    them, and ``finally`` would wait for threads. The process prints a line, removes its temporary files and dies by the
    signal itself, so that a shell's loop ends too and ``$?`` is 130, 143 or 129. Signals that are ignored, as after
    nohup, stay ignored.

    Args:
        name: What the line begins with, as in ``sdc train: interrupted (SIGINT)``.
    """
    _Ending(name)


@contextlib.contextmanager
def unhurried() -> Iterator[None]:
    """In the block, a handler of somebody else's may take its time, as a server's that ends its requests first."""
    descriptor = signal.set_wakeup_fd(-1)
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)


class _Ending:
    """The handler of the signals, and a thread that watches."""

    def __init__(self, name: str) -> None:
        self._name, self._reason, self._said = name, "", False
        self._process = os.getpid()
        self._lock = threading.RLock()
        for number in _SIGNALS:
            if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._end)
        # Python writes a signal's number there at once, though its handler may have to wait for the main thread.
        self._numbers, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._numbers, select.POLLIN)
        try:
            snakemake = _descriptor_of_snakemake()
        except ProcessLookupError:
            self._follow()
        else:
            if snakemake is not None:
                poll.register(snakemake, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor != self._numbers:
                    poll.unregister(descriptor)
                    self._follow()
                elif (number := os.read(self._numbers, 1)[0]) in _SIGNALS:
                    time.sleep(GRACE_SECONDS)
                    self._end(number)

    def _follow(self) -> None:
        self._reason = "Snakemake has ended"
        os.kill(self._process, signal.SIGTERM)

    def _end(self, number: int, _: Any = None) -> NoReturn:
        in_main = threading.current_thread() is threading.main_thread()
        # A second signal finds the main thread in here; it goes on. Of two threads the main one waits for its end.
        if os.getpid() == self._process and self._lock.acquire(blocking=in_main):
            if not self._said:
                self._said = True
                line = f"{self._name}: interrupted ({self._reason or signal.Signals(number).name})\n"
                with contextlib.suppress(OSError):
                    os.write(2, line.encode())
            for path in list(unfinished):
                with contextlib.suppress(OSError):
                    path.unlink()
            if in_main:
                signal.signal(number, signal.SIG_DFL)
                os.kill(self._process, number)
        os._exit(128 + number)


def _namespace() -> int:
    with contextlib.suppress(OSError):
        return Path("/proc/self/ns/pid").stat().st_ino
    return 0


def _descriptor_of_snakemake() -> int | None:
    """A descriptor that can be read once the Snakemake of ``VARIABLE`` has ended; None where that cannot be told.

    Raises:
        ProcessLookupError: If it has ended already.
    """
    number, _, namespace = os.environ.get(VARIABLE, "").partition(":")
    # Elsewhere than on Linux, and in a container with numbers of its own, there is nothing to see.
    if sys.platform != "linux" or not number or namespace != str(_namespace()):
        return None
    try:
        descriptor = os.pidfd_open(int(number))
        # It must be an ancestor, for another process may have its number by now; or be dead, but for its exit status.
        ancestor = os.getpid()
        while ancestor not in (0, int(number)):
            ancestor = int(Path(f"/proc/{ancestor}/stat").read_bytes().rpartition(b")")[2].split()[1])
        if ancestor or select.select([descriptor], [], [], 0)[0]:
            return descriptor
        os.close(descriptor)
    except ProcessLookupError:
        raise
    except (AttributeError, OSError, OverflowError, ValueError):
        pass  # An older system, or one that does not show its processes.
    return None
