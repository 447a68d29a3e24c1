"""Two processes side by side: started, watched and stopped together."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from dagster_project.cli import main
from dagster_project.errors import ConfigError, CspError
from dagster_project.ui.processes import Service, check_ports, services, side_by_side

SLEEPS = "import time; time.sleep(60)"


def script(name: str, code: str, port: int) -> Service:
    return Service(name, (sys.executable, "-c", code), port, f"--{name}-port")


def left(group: int) -> bool:
    """Whether a process of the group is still there."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def noting(path: Path, code: str) -> str:
    """A script that writes its process id down, then does something."""
    return f"import os, pathlib; pathlib.Path({str(path)!r}).write_text(str(os.getpid())); {code}"


def noted(path: Path) -> int:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if path.exists() and (text := path.read_text()):
            return int(text)
        time.sleep(0.02)
    raise AssertionError(f"{path.name} never started")


def test_a_dead_child_ends_the_other_and_is_named(tmp_path: Path) -> None:
    told: list[str] = []
    # It leaves only when the other stands, or there would be nothing to end.
    waits = (
        f"import pathlib, sys, time; path = pathlib.Path({str(tmp_path / 'other')!r})\n"
        "while not (path.exists() and path.read_text()): time.sleep(0.02)\n"
        "sys.exit(3)"
    )
    started = [
        script("other", noting(tmp_path / "other", SLEEPS), 1),
        script("first", waits, 2),
    ]
    with pytest.raises(CspError, match="first ended with status 3, so other was stopped") as caught:
        side_by_side(started, dict(os.environ), told.append)
    assert caught.value.exit_status == 1
    assert not left(noted(tmp_path / "other"))
    assert told[:2] == ["Other on http://127.0.0.1:1", "First on http://127.0.0.1:2"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_stops_both_and_what_they_began(tmp_path: Path, number: signal.Signals) -> None:
    child = noting(tmp_path / "child", SLEEPS)
    # A stubborn one that began another and does not listen to Ctrl-C.
    begins = (
        "import signal, subprocess, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(0)); "
        f"subprocess.Popen([sys.executable, '-c', {child!r}]).wait()"
    )
    started = [
        script("one", noting(tmp_path / "one", begins), 1),
        script("two", noting(tmp_path / "two", SLEEPS), 2),
    ]
    told: list[str] = []

    def press() -> None:
        for name in ("one", "two", "child"):
            noted(tmp_path / name)
        os.kill(os.getpid(), number)

    # A shell without job control starts what is in its background with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    presser = threading.Thread(target=press)
    presser.start()
    try:
        side_by_side(started, dict(os.environ), told.append)
    finally:
        presser.join()
        signal.signal(signal.SIGINT, before)
    assert told[-1] == "Stopping."
    groups = [noted(tmp_path / name) for name in ("one", "two")]
    until = time.monotonic() + 5
    while any(left(group) for group in groups) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(left(group) for group in groups)


def test_a_port_in_use_is_named_with_the_option_that_moves_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} .* --app-port"):
            check_ports(services(port + 1 if port < 65000 else port - 1, port))
        with pytest.raises(ConfigError, match=rf"port {port} .* --port"):
            check_ports(services(port, port + 1 if port < 65000 else port - 1))


def test_one_port_for_both_and_a_port_that_is_none_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(tmp_path / "data")
    assert main(["ui", "--data-dir", data, "--port", "3001", "--app-port", "3001"]) == 2
    assert "both would listen on port 3001" in capsys.readouterr().err
    assert main(["ui", "--data-dir", data, "--port", "70000"]) == 2
    assert "port 70000" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_both_listen_on_this_machine_only() -> None:
    dagster, app = services(3000, 3001)
    host = dagster.command.index("--host")
    assert dagster.command[host + 1] == "127.0.0.1"
    assert (dagster.address, app.address) == ("http://127.0.0.1:3000", "http://127.0.0.1:3001")
