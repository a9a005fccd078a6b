from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.sandbox import Limits, Sandbox


def test_a_program_prints_and_ends(sandbox: Sandbox) -> None:
    result = sandbox.run("print(6 * 7)")
    assert (result.exit_code, result.stdout, result.stderr, result.limit) == (0, b"42\n", b"", None)
    assert result.ok
    assert result.backend == sandbox.backend
    assert result.weaker == (sandbox.backend == "local")
    assert result.wall_seconds > 0
    assert result.cpu_seconds > 0
    assert result.peak_bytes > 1_000_000


def test_standard_input_arrives_whole(sandbox: Sandbox) -> None:
    text = "line\n" * 100_000
    assert sandbox.run("import sys; print(len(sys.stdin.read()))", stdin=text).stdout == b"500000\n"


def test_a_program_that_never_reads_its_input_ends_anyway(sandbox: Sandbox) -> None:
    assert sandbox.run("print('done')", stdin=b"x" * 1_000_000).stdout == b"done\n"


def test_files_are_laid_out_in_the_work_folder(sandbox: Sandbox) -> None:
    files: dict[str, str | bytes] = {"a/b.txt": "text", "helper.py": "value = 7", "raw": b"\xff\x00"}
    program = "import helper; print(open('a/b.txt').read(), helper.value, open('raw', 'rb').read())"
    assert sandbox.run(program, files=files).stdout == b"text 7 b'\\xff\\x00'\n"


def test_a_command_runs_and_its_status_comes_back(sandbox: Sandbox) -> None:
    result = sandbox.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.exit_code, result.stdout, result.stderr) == (3, b"out\n", b"err\n")


def test_a_command_that_does_not_exist_says_so(sandbox: Sandbox) -> None:
    result = sandbox.run(["no-such-command"])
    assert result.exit_code == 127
    assert b"no-such-command" in result.stderr


def test_an_exception_shows_the_program_and_nothing_of_the_sandbox(sandbox: Sandbox) -> None:
    result = sandbox.run("def f():\n    raise ValueError('no')\nf()\n")
    assert result.exit_code == 1
    assert result.errors == (
        'Traceback (most recent call last):\n  File "/work/main.py", line 3, in <module>\n    f()\n'
        "  File \"/work/main.py\", line 2, in f\n    raise ValueError('no')\nValueError: no\n"
    )


@pytest.mark.parametrize(("program", "code"), [("import sys; sys.exit(5)", 5), ("import os; os._exit(6)", 6),
                                               ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL)])  # fmt: skip
def test_the_way_a_program_ends_is_its_exit_code(sandbox: Sandbox, program: str, code: int) -> None:
    assert sandbox.run(program).exit_code == code


def test_a_program_is_main_and_ends_as_an_interpreter_does(sandbox: Sandbox) -> None:
    program = (
        "import atexit, threading, time\n"
        "atexit.register(print, 'at exit')\n"
        "threading.Thread(target=lambda: (time.sleep(0.05), print('thread'))).start()\n"
        "if __name__ == '__main__': print('main')\n"
    )
    assert sandbox.run(program).text.split("\n") == ["main", "thread", "at exit", ""]


@pytest.mark.parametrize(
    "program",
    [
        "out = open(1, 'w', closefd=False)\nout.write('kept')",
        "class Keeper:\n    def __init__(self): self.me = self\n    def __del__(self): print('kept', end='')\nKeeper()",
        "import io, sys\nsys.stdout = io.TextIOWrapper(io.FileIO(1, 'w', closefd=False))\nprint('kept', end='')",
        "import sys\nclass Out:\n    write = sys.stdout.write\nsys.stdout = Out()\nprint('kept', end='')",
        "import sys\nprint('kept', end='')\nsys.exit(0)",
        "class Last:\n    def __del__(self): print('kept', end='')\nlast = Last()",
    ],
)
def test_what_a_program_has_written_but_not_flushed_arrives(sandbox: Sandbox, program: str) -> None:
    result = sandbox.run(program)
    assert (result.stdout, result.stderr, result.exit_code) == (b"kept", b"", 0)


def test_processes_of_a_program_can_work_together(sandbox: Sandbox) -> None:
    program = (
        "from multiprocessing import Pool\n"
        "def square(x): return x * x\n"
        "if __name__ == '__main__':\n"
        "    with Pool(2) as pool: print(pool.map(square, range(4)))\n"
    )
    assert sandbox.run(program).text == "[0, 1, 4, 9]\n"


def test_output_is_cut_at_the_limit_and_what_came_first_is_kept(sandbox: Sandbox) -> None:
    result = sandbox.run("print('first')\nwhile True: print('x' * 100)", limits=Limits(output_bytes=1000))
    assert result.limit == "output_bytes"
    assert result.stdout.startswith(b"first\n")
    assert len(result.stdout) == 1000


def test_output_before_the_deadline_is_kept(sandbox: Sandbox) -> None:
    result = sandbox.run("print('early', flush=True)\nimport time; time.sleep(60)", limits=Limits(wall_seconds=0.5))
    assert (result.limit, result.stdout, result.exit_code) == ("wall_seconds", b"early\n", -9)


def test_the_private_channel_carries_bytes_both_ways(sandbox: Sandbox) -> None:
    result = sandbox.run("import os; os.write(4, os.read(3, 99)[::-1])", private=b"abc")
    assert (result.reply, result.stdout) == (b"cba", b"")


def test_without_a_private_channel_its_descriptors_do_not_exist(sandbox: Sandbox) -> None:
    result = sandbox.run("import os; os.write(4, b'x')")
    assert b"Bad file descriptor" in result.stderr
    assert result.reply == b""


def test_one_run_finds_nothing_of_another(sandbox: Sandbox) -> None:
    leave = (
        "import os\n"
        "for folder in ('/work', '/tmp', '/dev/shm'):\n"
        "    os.makedirs(folder + '/d/e')\n"
        "    open(folder + '/d/e/x', 'w').close()"
    )
    find = "import os; print([os.listdir(f) for f in ('/work', '/tmp', '/dev/shm')])"
    for _ in range(2 * sandbox.concurrency):
        assert sandbox.run(leave).ok
        assert sandbox.run(find).text == "[[], [], []]\n"


def test_many_programs_from_many_threads_each_get_their_own_answer(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(8) as threads:
        printed = list(threads.map(lambda n: sandbox.run(f"print({n})").text, range(60)))
    assert printed == [f"{n}\n" for n in range(60)]


def test_runs_can_be_awaited_side_by_side(sandbox: Sandbox) -> None:
    async def work() -> list[str]:
        return [result.text for result in await asyncio.gather(*(sandbox.arun(f"print({n})") for n in range(10)))]

    assert asyncio.run(work()) == [f"{n}\n" for n in range(10)]


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "", "."])
def test_a_file_outside_the_work_folder_is_refused(sandbox: Sandbox, path: str) -> None:
    with pytest.raises(InvalidInput, match="work folder"):
        sandbox.run("pass", files={path: ""})


def test_lone_surrogates_in_a_program_are_the_programs_error(sandbox: Sandbox) -> None:
    assert sandbox.run("print('\ud800')").exit_code == 1


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "1"])
def test_limits_that_do_not_limit_are_refused(value: float) -> None:
    with pytest.raises(InvalidInput, match="wall_seconds"):
        Limits(wall_seconds=value)
