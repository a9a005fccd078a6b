# ruff: noqa: E501 - programs stand in one line each, so that the list reads as a table
"""Programs that try to get out of a sandbox, to outlive their run, or to break it for the next one.

Each prints ESCAPED when it managed what it may not. None may change what the next run finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from turnwise.verifiers.sandbox.types import MEBIBYTE, LimitName, Limits

LIMITS = Limits(
    wall_seconds=2.5,
    cpu_seconds=1,
    memory_bytes=256 * MEBIBYTE,
    processes=32,
    open_files=64,
    file_bytes=4 * MEBIBYTE,
    output_bytes=256 * 1024,
)
"""What the hostile programs may use."""

MARK = "98765"
"""Stands in the command line of the processes that they leave behind, so that these can be found on the host."""


@dataclass(frozen=True)
class Hostile:
    """A hostile program and how its run must end.

    Attributes:
        name: What it tries.
        program: Python source, or the words of a command.
        ends: The limits that may end it; None stands for an end of its own.
        says: What its standard output must contain.
    """

    name: str
    program: str | Sequence[str]
    ends: tuple[LimitName | None, ...] = (None,)
    says: str = ""


def refused(name: str, statements: str, setup: str = "") -> Hostile:
    """Returns a program whose statements must raise an OSError."""
    body = "\n".join(f"    {line}" for line in statements.splitlines())
    program = (
        f"import os\n{setup}\ntry:\n{body}\n    print('ESCAPED')\nexcept OSError as error:\n    print('held', error)\n"
    )
    return Hostile(name, program, says="held")


DAEMON = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        {{before}}
        os.execvp('sleep', ['sleep', '{MARK}'])
    os._exit(0)
time.sleep(0.05)
"""

PROCESSES = [
    Hostile(
        "a fork bomb",
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        ("wall_seconds", "cpu_seconds"),
    ),
    Hostile("a fork bomb of the shell", ["sh", "-c", "f() { f | f & }; f; sleep 5"], ("wall_seconds", None)),
    Hostile(
        "a thread bomb",
        "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(9,)).start()",
        ("wall_seconds", None),
    ),
    Hostile("sleeping past the deadline", "import time\ntime.sleep(60)", ("wall_seconds",)),
    Hostile("an endless loop", "while True: pass", ("cpu_seconds", "wall_seconds")),
    Hostile(
        "ignoring every signal",
        "import signal, time\nfor s in set(signal.Signals) - {9, 19}:\n    signal.signal(s, signal.SIG_IGN)\n"
        "while True:\n    try: time.sleep(9)\n    except BaseException: pass",
        ("wall_seconds",),
    ),
    Hostile(
        "burning time in many processes",
        "import os\nfor _ in range(4): os.fork()\nwhile True: pass",
        ("wall_seconds", "cpu_seconds"),
    ),
    Hostile("a daemon by double fork", DAEMON.format(before="pass")),
    Hostile("a daemon that closes its descriptors", DAEMON.format(before="os.closerange(0, 64)")),
    Hostile(
        "a daemon that ignores signals",
        DAEMON.format(before="__import__('signal').signal(15, 1); __import__('signal').signal(1, 1)"),
    ),
    Hostile("a daemon of the shell", ["sh", "-c", f"nohup setsid sleep {MARK} >/dev/null 2>&1 & exit 0"]),
    Hostile("stopping itself", "import os\nos.kill(os.getpid(), 19)", ("wall_seconds",)),
    Hostile("killing every process", "import os\nos.kill(-1, 9)\nprint('alone')"),
    Hostile(
        "killing the first process",
        "import os, time\nfor s in (9, 15, 19, 11, 2):\n    try: os.kill(1, s)\n    except OSError: pass\ntime.sleep(0.05)\nprint('held')",
        says="held",
    ),
]

RESOURCES = [
    Hostile("a memory bomb", "x = []\nwhile True: x.append(bytearray(1 << 22))", ("memory_bytes",)),
    Hostile(
        "a memory bomb in many processes",
        "import os\nfor _ in range(4): os.fork()\nx = []\nwhile True:\n    try: x.append(bytearray(1 << 20))\n    except MemoryError: __import__('time').sleep(9)",
        ("memory_bytes", "wall_seconds", "cpu_seconds", None),
    ),
    Hostile("one vast allocation", "x = bytearray(1 << 40)", ("memory_bytes",)),
    Hostile("one vast number", "print(len(str(10 ** 10 ** 9)))", ("memory_bytes", "cpu_seconds", "wall_seconds", None)),
    refused("filling the work folder", "for i in range(1000):\n    open(f'f{i}', 'wb').write(bytes(1 << 20))"),
    refused("filling /tmp", "for i in range(1000):\n    open(f'/tmp/f{i}', 'wb').write(bytes(1 << 20))"),
    refused("filling /dev/shm", "for i in range(1000):\n    open(f'/dev/shm/f{i}', 'wb').write(bytes(1 << 20))"),
    refused("one vast file", "f = open('big', 'wb')\nfor i in range(100): f.write(bytes(1 << 20))"),
    Hostile(
        "10,000 files", "for i in range(10_000): open(f'f{i}', 'w').close()", (None, "wall_seconds", "cpu_seconds")
    ),
    Hostile(
        "folders nested deep",
        "import os\nfor i in range(600): os.mkdir('d'); os.chdir('d')\nprint('made')",
        (None, "wall_seconds"),
    ),
    refused("opening files without end", "kept = [open('/dev/null') for _ in range(100_000)]"),
    Hostile("endless output", "while True: print('x' * 1000)", ("output_bytes",)),
    Hostile("endless output on standard error", "import os\nwhile True: os.write(2, b'x' * 65536)", ("output_bytes",)),
    Hostile(
        "endless output of many processes",
        "import os\nos.fork(); os.fork()\nwhile True: os.write(1, b'x' * 4096)",
        ("output_bytes",),
    ),
    Hostile(
        "unicode and binary output",
        "import os\nos.write(1, bytes(range(256)) * 4 + '\\U0001f600'.encode() + b'\\x00\\xff')",
    ),
    Hostile(
        "deep recursion",
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(n): return [f(n + 1)]\nf(0)",
        (None, "memory_bytes", "cpu_seconds"),
    ),
    Hostile("recursion in C", "x = []\nfor _ in range(10 ** 6): x = [x]\nrepr(x)"),
    Hostile(
        "a huge environment",
        "import os\nos.execve('/bin/true', ['true'], {f'V{i}': 'x' * 1000 for i in range(10_000)})",
    ),
    Hostile("lifting its limits", "import resource as r\nr.setrlimit(r.RLIMIT_AS, (-1, -1))\nprint('ESCAPED')"),
]

REACH = [
    refused("reading the passwords", "open('/etc/shadow').read()"),
    refused("reading the agent's memory", "open('/proc/1/mem', 'rb').read(1)"),
    refused("reading the agent's surroundings", "open('/proc/1/environ').read()"),
    refused("listing the agent's descriptors", "os.listdir('/proc/1/fd')"),
    refused("writing to the agent's output", "open('/proc/1/fd/1', 'wb').write(b'x')"),
    refused("writing to the root", "open('/escaped', 'w')"),
    refused("writing to the system", "open('/usr/bin/escaped', 'w')"),
    refused("a link out of the work folder", "os.symlink('/usr', 'out')\nopen('out/escaped', 'w')"),
    refused("a hard link to the passwords", "os.link('/etc/passwd' if os.path.exists('/etc/passwd') else '/usr/bin/env', 'p')\nopen('p', 'a').write('x')"),
    refused("the network by address", "socket.create_connection(('1.1.1.1', 53), 1)", "import socket"),
    refused("the network by name", "socket.getaddrinfo('example.com', 80)", "import socket"),
    refused("the machine's own services", "[socket.create_connection((a, p), 1) for a in ('127.0.0.1', '172.17.0.1') for p in (22, 2375)]", "import socket"),
    refused("the Docker socket", "s = socket.socket(socket.AF_UNIX)\ns.connect('/var/run/docker.sock')", "import socket"),
    refused("becoming root", "os.setuid(0)\nassert os.getuid()"),
    refused("a set-user-id file", "open('sh', 'wb').write(open('/bin/sh', 'rb').read())\nos.chown('sh', 0, 0)\nos.chmod('sh', 0o4755)"),
    refused("mounting", "lib = ctypes.CDLL(None, use_errno=True)\nif lib.mount(b'none', b'/mnt', b'tmpfs', 0, 0): raise OSError(ctypes.get_errno(), 'mount')", "import ctypes"),
    refused("tracing the agent", "lib = ctypes.CDLL(None, use_errno=True)\nif lib.ptrace(16, 1, 0, 0): raise OSError(ctypes.get_errno(), 'ptrace')", "import ctypes"),
    Hostile("loading a kernel module", ["sh", "-c", "insmod /x.ko 2>/dev/null && echo ESCAPED; echo held"], says="held"),
    refused("writing to the kernel's settings", "open('/proc/sys/kernel/core_pattern', 'w').write('x')"),
    refused("a device", "os.mknod('disk', 0o60666, os.makedev(8, 0))\nopen('disk').read(1)"),
]  # fmt: skip

FORGERIES = [
    Hostile(
        "forging the agent's protocol",
        "import json, os, struct\n"
        "body = json.dumps({'exit_code': 0, 'stdout': 'RVNDQVBFRA==', 'stderr': '', 'reply': '', 'wall': 0, 'cpu': 0,"
        " 'peak': 0, 'limit': None, 'clean': True}).encode()\n"
        "for descriptor in range(1, 1024):\n"
        "    try: os.write(descriptor, struct.pack('>I', len(body)) + body)\n"
        "    except OSError: pass\n",
    ),
    Hostile(
        "reading every inherited descriptor",
        "import os\nfor fd in range(3, 1024):\n    try:\n        os.fstat(fd)\n        print('ESCAPED', fd)\n    except OSError: pass",
    ),
    Hostile("closing every descriptor", "import os\nos.closerange(0, 1024)"),
    Hostile("locking its folder", "import os\nos.mkdir('d'); open('d/f', 'w').close(); os.chmod('d', 0)\ntry: os.chmod('/work', 0)\nexcept OSError: pass"),
    Hostile("files named strangely", "import os\nfor n in (b'\\xff\\xfe', b'-rf', b'a\\nb', b' ', b'*'): open(n, 'w').close()\nos.mkfifo('fifo')\nos.symlink('loop', 'loop')"),
    Hostile(
        "leaving shared memory",
        "import ctypes\nlib = ctypes.CDLL(None)\nlib.shmget(4242, 4096, 0o1666)\nopen('/dev/shm/kept', 'w').close()",
    ),
    Hostile("slowing the agent down", "import os\ntry: os.setpriority(os.PRIO_PROCESS, 1, 19); print('slower')\nexcept OSError: print('held')"),
]  # fmt: skip

HOSTILE = (*PROCESSES, *RESOURCES, *REACH, *FORGERIES)

PROBE = """
import ctypes, os
left = [os.path.join(f, n) for f in ('/work', '/tmp', '/dev/shm', '/dev/mqueue') if os.path.isdir(f) for n in os.listdir(f)]
left += [p for p in os.listdir('/proc') if p.isdecimal() and int(p) not in (1, os.getpid())]
if ctypes.CDLL(None).shmget(4242, 4096, 0o666) != -1: left.append('shared memory')
print(left)
"""
"""Looks for what an earlier run left: files, processes, shared memory. Prints [] when there is nothing."""
