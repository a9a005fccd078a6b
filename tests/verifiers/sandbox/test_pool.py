from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable

import pytest

from turnwise.verifiers.errors import InvalidInput
from turnwise.verifiers.sandbox import DockerSandbox, LocalSandbox, Sandbox, SandboxError, SandboxUnavailable
from turnwise.verifiers.sandbox.container import LABEL, OWNER, owner, sweep
from turnwise.verifiers.sandbox.image import docker_client
from turnwise.verifiers.sandbox.pool import PooledSandbox, Worker
from turnwise.verifiers.sandbox.wire import Wire

SLEEPER = "import time; print('begun', flush=True); time.sleep(1); print('done')"


def own_containers() -> list[str]:
    client = docker_client()
    try:
        found = client.api.containers(all=True, filters={"label": f"{OWNER}={owner()}"})
        return [container["Id"] for container in found]
    finally:
        client.close()


def eventually(condition: Callable[[], bool]) -> bool:
    give_up = time.monotonic() + 30
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.02)
    return condition()


@pytest.mark.docker
def test_a_run_whose_container_dies_is_repeated_in_another() -> None:
    with DockerSandbox(1) as sandbox:
        assert sandbox.run("print(1)").ok
        (first,) = own_containers()
        threading.Timer(0.3, lambda: subprocess.run(["docker", "kill", first], capture_output=True, check=True)).start()
        assert sandbox.run(SLEEPER).stdout == b"begun\ndone\n"
        assert first not in own_containers()


@pytest.mark.docker
def test_a_run_whose_containers_keep_dying_is_an_error_and_not_a_result() -> None:
    with DockerSandbox(1) as sandbox:
        stopped = threading.Event()

        def kill() -> None:
            while not stopped.wait(0.05):
                for name in own_containers():
                    subprocess.run(["docker", "kill", name], capture_output=True, check=False)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            with pytest.raises(SandboxError):
                sandbox.run("import time; time.sleep(5)")
        finally:
            stopped.set()
            killer.join()


@pytest.mark.docker
def test_closing_removes_every_container_and_refuses_further_runs() -> None:
    sandbox = DockerSandbox(2)
    assert sandbox.run("print(1)").ok
    sandbox.close()
    sandbox.close()
    assert eventually(lambda: own_containers() == [])
    with pytest.raises(SandboxError, match="closed"):
        sandbox.run("print(1)")


@pytest.mark.docker
def test_a_container_that_cannot_be_cleaned_is_replaced() -> None:
    with DockerSandbox(1) as sandbox:
        assert sandbox.run("print(1)").ok
        before = own_containers()
        assert sandbox.run("import ctypes; ctypes.CDLL(None).shmget(4242, 4096, 0o1666)").ok
        assert sandbox.run("print(1)").ok
        assert eventually(lambda: len(own_containers()) == 1 and own_containers() != before)


@pytest.mark.docker
def test_a_process_that_dies_leaves_no_container() -> None:
    program = (
        "import os; from turnwise.verifiers.sandbox import DockerSandbox\n"
        "from turnwise.verifiers.sandbox.container import owner\n"
        "sandbox = DockerSandbox(1); sandbox.run('pass'); print(owner(), flush=True); os._exit(1)"
    )
    died = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    filters = {"label": f"{OWNER}={died.stdout.strip()}"}
    client = docker_client()
    try:
        assert eventually(lambda: not client.api.containers(all=True, filters=filters))
    finally:
        client.close()


@pytest.mark.docker
def test_containers_of_dead_processes_are_swept_and_those_of_living_ones_are_not() -> None:
    client = docker_client()
    try:
        dead = f"{socket.gethostname()}/{2**22 + 1}/1"
        names = [
            client.api.create_container("turnwise-sandbox:1", "true", labels={LABEL: "1", OWNER: who})["Id"]
            for who in (dead, owner())
        ]
        assert sweep(client) >= 1
        left = {container["Id"] for container in client.api.containers(all=True, filters={"label": LABEL})}
        assert names[0] not in left
        assert names[1] in left
        client.api.remove_container(names[1])
    finally:
        client.close()


@pytest.mark.docker
def test_an_image_that_is_missing_is_named_with_the_remedy() -> None:
    with pytest.raises(SandboxUnavailable, match="turnwise sandbox build"):
        DockerSandbox(image="no-such-image:1")


def test_a_daemon_that_does_not_answer_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docker")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    message = ""
    try:
        DockerSandbox()
    except SandboxUnavailable as error:
        message = str(error)
    with warnings.catch_warnings():  # the SDK leaves the socket open that it could not connect
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert "start dockerd" in message


def process_of(sandbox: Sandbox) -> int:
    """Returns the process of a local sandbox's only worker."""
    assert isinstance(sandbox, LocalSandbox)
    assert sandbox.run("print(1)").ok
    (worker,) = sandbox._idle
    return int(worker.name.split()[1])


def test_closing_a_local_sandbox_ends_its_processes(local_sandbox: Sandbox) -> None:
    process = process_of(local_sandbox)
    os.kill(process, 0)
    local_sandbox.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_run_whose_local_sandbox_dies_is_repeated_in_another(local_sandbox: Sandbox) -> None:
    process = process_of(local_sandbox)
    threading.Timer(0.3, lambda: os.kill(process, signal.SIGKILL)).start()
    assert local_sandbox.run(SLEEPER).stdout == b"begun\ndone\n"


class Failing(PooledSandbox):
    """Cannot start anything."""

    backend = "failing"
    weaker = True

    def _start(self) -> Worker:
        raise SandboxError("there is no room")


def test_a_pool_that_cannot_start_a_worker_says_why_each_time_and_never_hangs() -> None:
    with Failing(2) as sandbox:
        for _ in range(3):
            with pytest.raises(SandboxError, match="there is no room"):
                sandbox.run("print(1)")


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, True])
def test_a_pool_of_no_workers_is_refused(concurrency: int) -> None:
    with pytest.raises(InvalidInput, match="concurrency"):
        Failing(concurrency)


@pytest.mark.parametrize(
    ("data", "multiplexed", "message"),
    [
        (b"", False, "ended"),
        (b"\x00\x00\x00\x05ab", False, "ended"),
        (b"\x00\x00\x00\x02[]", False, "no object"),
        (b"\x00\x00\x00\x02{]", False, "broke"),
        (b"\x7f\xff\xff\xff", False, "above the"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x04oops", True, "ended: oops"),
    ],
)
def test_what_is_no_reply_is_an_error_of_the_sandbox(data: bytes, multiplexed: bool, message: str) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        wire = Wire(ours, multiplexed)
        with pytest.raises(SandboxError, match=message):
            wire.ask({}, 5, 1000)
        wire.close()


def test_an_agent_that_is_silent_is_an_error_of_the_sandbox() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        wire = Wire(ours, multiplexed=False)
        with pytest.raises(SandboxError, match="did not answer"):
            wire.ask({}, 0.05, 1000)
        wire.close()


def test_docker_frames_are_joined_into_one_reply() -> None:
    frames = b"\x01\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00" + b"\x02\x00\x00\x00\x00\x00\x00\x01!"
    frames += b"\x01\x00\x00\x00\x00\x00\x00\x08\x07" + b'{"a":1}'
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(frames)
        wire = Wire(ours, multiplexed=True)
        assert wire.ask({}, 5, 1000) == {"a": 1}
        assert wire.diagnostics == b"!"
        wire.close()
