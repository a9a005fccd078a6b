"""The process that stays inside a sandbox, first of its process namespace, and forks the programs that it is sent.

It is handed to a bare interpreter as text (`python3 -c`) and imports nothing of turnwise. The host speaks to it over
its standard input and output: JSON behind its length in four bytes, one reply per request. No program holds these two
descriptors, and no program can stop, trace or write to this process: it is the first of its namespace, it is not
dumpable, and where it was started as root the programs run under another user.

A program is forked, not started: an interpreter that is already up makes a run cost milliseconds.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import ctypes
import fcntl
import gc
import json
import os
import resource
import selectors
import signal
import struct
import sys
import time
import types
from base64 import b64decode, b64encode
from typing import Any

LENGTH = struct.Struct(">I")
CHUNK = 1 << 16
WORK = "/work"
SCRATCH = (WORK, "/tmp", "/dev/shm", "/dev/mqueue")
"""Every place in which a program can leave a file; emptied after each run."""

PATIENCE = 5.0
"""Seconds that clearing up after a run may take before the sandbox is given up."""

PR_SET_DUMPABLE = 4
READY = b"ready"
PRELOADED = ("collections", "functools", "heapq", "itertools", "math", "random", "re", "string", "typing")
"""What most programs import, imported once."""

USER = int(os.environ.get("TURNWISE_USER", "0"))
"""The user and group of the programs; 0 where this process may not change to another user."""


def receive_exactly(size: int) -> bytes | None:
    """Returns that many bytes from the host, or None when it has closed the connection."""
    chunks = []
    while size:
        chunk = os.read(0, min(size, CHUNK))
        if not chunk:
            return None
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def receive() -> dict[str, Any] | None:
    """Returns the host's next request, or None when there will be none."""
    header = receive_exactly(LENGTH.size)
    body = None if header is None else receive_exactly(LENGTH.unpack(header)[0])
    return None if body is None else json.loads(body)


def send(message: dict[str, Any]) -> None:
    """Answers the host."""
    body = json.dumps(message).encode()
    view = memoryview(LENGTH.pack(len(body)) + body)
    while view:
        view = view[os.write(1, view) :]


class Supervision:
    """Watches one program: feeds it, collects what it writes, and sees that nothing of it remains.

    Args:
        pid: The forked process.
        feeds: What to write to which descriptor.
        sinks: The descriptors to read, by name.
        limits: The run's limits.
    """

    def __init__(self, pid: int, feeds: dict[int, bytes], sinks: dict[str, int], limits: dict[str, Any]) -> None:
        self.pid = pid
        self.limits = limits
        self.started = time.monotonic()
        self.status: int | None = None
        self.limit: str | None = None
        self.cpu = 0.0
        self.peak = 0
        self.written = 0
        self.output = {name: bytearray() for name in sinks}
        self.feeds = {descriptor: memoryview(data) for descriptor, data in feeds.items()}
        self.names = {descriptor: name for name, descriptor in sinks.items()}
        self.selector = selectors.DefaultSelector()
        self.selector.register(WAKEUP[0], selectors.EVENT_READ)
        for descriptor in [*self.names, *self.feeds]:
            os.set_blocking(descriptor, False)
            event = selectors.EVENT_READ if descriptor in self.names else selectors.EVENT_WRITE
            self.selector.register(descriptor, event)

    def watch(self) -> dict[str, Any]:
        """Returns what came of the program, once none of its processes is left."""
        deadline = self.started + self.limits["wall_seconds"]
        while not self.reap() and self.status is None and self.limit is None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                self.limit = "wall_seconds"
                break
            for key, _ in self.selector.select(remaining):
                self.advance(key.fd)
        empty = self.clear()
        wall = time.monotonic() - self.started
        for descriptor in list(self.names):
            while descriptor in self.names and self.limit != "output_bytes" and self.advance(descriptor):
                pass
        for descriptor in [*self.names, *self.feeds]:
            self.close(descriptor)
        self.selector.close()
        return {
            "exit_code": -signal.SIGKILL if self.status is None else os.waitstatus_to_exitcode(self.status),
            "limit": self.limit or self.limit_of_status(),
            "wall": wall,
            "cpu": self.cpu,
            "peak": self.peak,
            "clean": empty and wipe() and not shared_objects(),
            **{name: b64encode(data).decode() for name, data in self.output.items()},
        }

    def advance(self, descriptor: int) -> bool:
        """Moves bytes at one descriptor; False when there is nothing to move."""
        try:
            if descriptor in self.feeds:
                sent = os.write(descriptor, self.feeds[descriptor][:CHUNK])
                self.feeds[descriptor] = self.feeds[descriptor][sent:]
                if not self.feeds[descriptor]:
                    self.close(descriptor)
                return True
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return False
        except BrokenPipeError:
            self.close(descriptor)
            return False
        if descriptor == WAKEUP[0]:
            return True
        if not data:
            self.close(descriptor)
            return False
        self.collect(descriptor, data)
        return True

    def collect(self, descriptor: int, data: bytes) -> None:
        """Keeps what fits under the output limit."""
        room = self.limits["output_bytes"] - self.written
        if len(data) > room:
            self.limit = self.limit or "output_bytes"
        self.output[self.names[descriptor]] += data[:room]
        self.written += min(len(data), room)

    def close(self, descriptor: int) -> None:
        """Closes one descriptor and forgets it."""
        self.selector.unregister(descriptor)
        os.close(descriptor)
        self.feeds.pop(descriptor, None)
        self.names.pop(descriptor, None)

    def reap(self) -> bool:
        """Collects the dead; True when no process is left but this one. Orphans come to the first process."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            self.cpu += usage.ru_utime + usage.ru_stime
            self.peak = max(self.peak, usage.ru_maxrss * 1024)
            if pid == self.pid:
                self.status = status

    def clear(self) -> bool:
        """Kills whatever the program left running; True when nothing is left."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            kill_all()
            if self.reap():
                return True
            time.sleep(0.001)
        return False

    def limit_of_status(self) -> str | None:
        """Returns the limit that the way it ended speaks of."""
        code = 0 if self.status is None else os.waitstatus_to_exitcode(self.status)
        if code == -signal.SIGXCPU or (code == -signal.SIGKILL and self.cpu >= self.limits["cpu_seconds"]):
            return "cpu_seconds"
        if code == -signal.SIGXFSZ:
            return "file_bytes"
        out_of_memory = code == 1 and b"\nMemoryError" in self.output["stderr"][-200:]
        return (
            "memory_bytes" if out_of_memory or (code == -signal.SIGKILL and out_of_memory_kills() > KILLS[0]) else None
        )


def kill_all() -> None:
    """Kills every process of the namespace but this one."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def out_of_memory_kills() -> int:
    """Returns how many processes of this container the kernel has killed for memory; 0 where it does not say."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        try:
            with open(path) as file:
                return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
        except OSError:
            continue
    return 0


def wipe() -> bool:
    """Empties the scratch folders as the programs' user, which owns what lies there; True when they are empty."""
    if not leftovers():
        return True
    pid = os.fork()
    if pid == 0:
        try:
            drop_privileges()
            for folder in SCRATCH:
                empty_folder(folder)
        finally:
            os._exit(0)
    give_up = time.monotonic() + PATIENCE
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > give_up:
            kill_all()
            os.waitpid(pid, 0)
            return False
        time.sleep(0.0005)
    return not leftovers()


def leftovers() -> bool:
    """Whether anything lies in a scratch folder, or one cannot be read."""
    try:
        return any(os.listdir(folder) for folder in SCRATCH if os.path.isdir(folder))
    except OSError:
        return True


def empty_folder(folder: str) -> None:
    """Deletes what a folder holds; follows no symbolic link."""
    if not os.path.isdir(folder):
        return
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                os.chmod(entry.path, 0o700)
                empty_folder(entry.path)
                os.rmdir(entry.path)
            else:
                os.unlink(entry.path)


def shared_objects() -> bool:
    """Whether System V shared memory, semaphores or queues are left, which live on without a process."""
    for name in ("shm", "sem", "msg"):
        try:
            with open(f"/proc/sysvipc/{name}") as file:
                if len(file.readlines()) > 1:
                    return True
        except OSError:
            continue
    return False


def start(request: dict[str, Any]) -> dict[str, Any] | None:
    """Runs a program and answers the host; in the forked process returns the request, to be executed."""
    KILLS[0] = out_of_memory_kills()
    pipes = [os.pipe() for _ in range(5)]  # standard input, output and error; the private channel in and out
    prepared = os.pipe()
    theirs = [pipes[0][0], pipes[1][1], pipes[2][1], pipes[3][0], pipes[4][1]]
    pid = os.fork()
    if pid == 0:
        prepare(theirs, prepared[1], request)
        return request
    for descriptor in (*theirs, prepared[1]):
        os.close(descriptor)
    feeds = {pipes[0][1]: b64decode(request["stdin"])}
    sinks = {"stdout": pipes[1][0], "stderr": pipes[2][0], "reply": pipes[4][0]}
    if request["private"] is None:
        os.close(pipes[3][1])
    else:
        feeds[pipes[3][1]] = b64decode(request["private"])
    for descriptor in [descriptor for descriptor, data in feeds.items() if not data]:
        os.close(descriptor)
        del feeds[descriptor]
    report = Supervision(pid, feeds, sinks, request["limits"]).watch()
    said = os.read(prepared[0], CHUNK)
    os.close(prepared[0])
    if said != READY:
        report["broken"] = said.decode("utf-8", "replace") or "the program's process died before the program began"
    send(report)
    return None


def prepare(descriptors: list[int], prepared: int, request: dict[str, Any]) -> None:
    """Makes the forked process ready for the program, or says what failed to a pipe that no program holds."""
    prepared = fcntl.fcntl(prepared, fcntl.F_DUPFD, 300)
    try:
        become(descriptors, request)
        for name, data in request["files"].items():
            os.makedirs(os.path.dirname(os.path.join(WORK, name)), exist_ok=True)
            with open(os.path.join(WORK, name), "xb") as file:
                file.write(b64decode(data))
        said = READY
    except Exception as error:  # noqa: BLE001 - whatever it is, the program has not run, and the host must know
        said = repr(error)[:CHUNK].encode("utf-8", "replace")
    os.write(prepared, said)
    os.close(prepared)
    if said != READY:
        os._exit(1)
    limit_resources(request["limits"])


def become(descriptors: list[int], request: dict[str, Any]) -> None:
    """Turns the forked process into the program's: its descriptors, session, user and surroundings."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 100) for descriptor in descriptors]
    count = 3 if request["private"] is None else 5
    for target, descriptor in enumerate(moved[:count]):
        os.dup2(descriptor, target)
    os.closerange(count, 256)
    LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self belongs to the machine's root
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write(
            "1000"
        )  # when the container's memory is full, the kernel takes a program and not this file's process
    drop_privileges()
    os.nice(5)  # the agent keeps its turn among many processes
    os.chdir(WORK)
    os.environ.clear()
    os.environ.update(PATH="/usr/local/bin:/usr/bin:/bin", HOME=WORK, LANG="C.UTF-8", PYTHONHASHSEED="0")


def limit_resources(limits: dict[str, Any]) -> None:
    """Sets the limits that the kernel keeps for each process."""
    seconds = max(1, int(-(-limits["cpu_seconds"] // 1)))
    for kind, soft, hard in (
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_AS, limits["memory_bytes"], limits["memory_bytes"]),
        (resource.RLIMIT_NPROC, limits["processes"], limits["processes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"], limits["open_files"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"], limits["file_bytes"]),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))


def drop_privileges() -> None:
    """Becomes the programs' user where there is one, and can be inspected again by its own children."""
    if USER:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def execute(request: dict[str, Any]) -> None:
    """Runs the program: an argument vector replaces this process, Python runs inside it."""
    if request["argv"] is not None:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        try:
            os.execvp(request["argv"][0], request["argv"])
        except OSError as error:
            os.write(2, f"{request['argv'][0]}: {error.strerror}\n".encode("utf-8", "replace"))
            os._exit(127)
    source, path = request["program"], f"{WORK}/main.py"
    module = types.ModuleType("__main__")
    module.__dict__.update(__file__=path, __builtins__=builtins)
    sys.modules["__main__"] = module
    sys.argv = [path]
    sys.path[0] = WORK
    sys.excepthook = lambda kind, error, trace: show(error, trace, source, path)
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    finish(module)


def finish(module: types.ModuleType) -> None:
    """Ends a program that came to its end as the interpreter would, but without taking down the interpreter itself.

    That would touch, and so copy, most of the memory shared with the agent, and take longer than most programs do.
    Threads are waited for, exit functions run, and the program's objects go, so that what its files hold is written.
    """
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    module.__dict__.clear()
    gc.collect()
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(Exception):  # the program may have put anything in its place, or closed it
            stream.flush()  # type: ignore[union-attr]  # None has no flush, which is suppressed too
    os._exit(0)


def show(error: BaseException, trace: types.TracebackType | None, source: str, path: str) -> None:
    """Prints an uncaught exception as Python does, without the frames of this file."""
    import linecache
    import traceback

    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    while trace is not None and trace.tb_frame.f_code.co_filename != path:
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)


def serve() -> dict[str, Any] | None:
    """Answers the host until it hangs up; returns a request in the process forked to execute it."""
    while (request := receive()) is not None:
        if request["operation"] == "ping":
            send({"version": list(sys.version_info[:3])})
        elif (job := start(request)) is not None:
            return job
    return None


if __name__ == "__main__":
    LIBC = ctypes.CDLL(None)
    LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    WAKEUP = os.pipe()
    KILLS = [0]
    for end in WAKEUP:
        os.set_blocking(end, False)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which the kernel does not deliver to the first process
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(WAKEUP[1], warn_on_full_buffer=False)
    for preloaded in PRELOADED:
        __import__(preloaded)
    gc.collect()
    gc.freeze()  # what is here already is never looked at again, so that forked processes go on sharing it
    if (job := serve()) is not None:
        execute(job)
