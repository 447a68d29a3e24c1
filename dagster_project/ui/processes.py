"""`csp ui`: Dagster's web server and the dashboard side by side, started and stopped together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from dagster_project.errors import ConfigError, CspError
from dagster_project.settings import PROJECT_ROOT, Settings

HOST = "127.0.0.1"
_LOOK_EVERY_SECONDS = 0.2
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Service:
    """One process: what people call it, how it starts, and where it can be reached."""

    name: str
    command: Sequence[str]
    port: int
    #: the option of `csp ui` that moves it elsewhere
    option: str

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self.port}"


def services(port: int, app_port: int) -> tuple[Service, Service]:
    """Dagster on `port` and the dashboard on `app_port`."""
    dagster = Path(sys.executable).parent / "dagster"
    return (
        Service(
            "Dagster",
            (
                str(dagster),
                "dev",
                "--module-name",
                "dagster_project.definitions",
                "--host",
                HOST,
                "--port",
                str(port),
            ),
            port,
            "--port",
        ),
        Service(
            "the dashboard",
            (sys.executable, "-m", "dagster_project.ui.server", "--port", str(app_port)),
            app_port,
            "--app-port",
        ),
    )


def run_ui(
    settings: Settings, port: int, app_port: int, tell: Callable[[str], None] = print
) -> None:
    """Start both and wait until somebody stops them (Ctrl-C or a polite signal).

    Args:
        settings: the installation that both show.
        port: of Dagster.
        app_port: of the dashboard.
        tell: is given the lines for people.

    Raises:
        ConfigError: a port is taken, or both are the same; nothing was started.
        CspError: one of the two ended by itself; the other was stopped.
    """
    from dagster_project.defs.instance import prepare_home  # noqa: PLC0415 - Dagster is slow

    started = services(port, app_port)
    check_ports(started)
    prepare_home(settings)
    environment = {
        **os.environ,
        "CSP_DATA_DIR": str(settings.data_dir),
        "CSP_LANDING_DIR": str(settings.landing),
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
    }
    side_by_side(started, environment, tell)


def check_ports(started: Sequence[Service]) -> None:
    """Make sure that every port can be had.

    Raises:
        ConfigError: one cannot, with the option that chooses another.
    """
    ports = [service.port for service in started]
    if len(set(ports)) < len(ports):
        raise ConfigError(
            f"both would listen on port {ports[0]} — give {' and '.join(s.option for s in started)}"
            " different numbers"
        )
    for service in started:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
            # As servers do: a port that was in use a moment ago may be had again.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((HOST, service.port))
            except (OSError, OverflowError) as error:
                raise ConfigError(
                    f"port {service.port} on {HOST} cannot be had for {service.name} ({error}) — "
                    f"stop what listens there, or give another with {service.option}"
                ) from error


def side_by_side(
    started: Sequence[Service],
    environment: Mapping[str, str],
    tell: Callable[[str], None] = print,
) -> None:
    """Run the services until one ends or a signal asks to stop; then none is left.

    Raises:
        CspError: a service ended by itself.
    """
    running: list[tuple[Service, subprocess.Popen[bytes]]] = []
    with _told_to_stop():
        try:
            for service in started:
                # A group of its own: Ctrl-C reaches this process alone, which stops them in order.
                process = subprocess.Popen(
                    service.command, cwd=PROJECT_ROOT, env=environment, start_new_session=True
                )
                running.append((service, process))
            for service, _ in running:
                tell(f"{service.name[0].upper()}{service.name[1:]} on {service.address}")
            tell("Stop both with Ctrl-C.")
            _watch(running)
        except KeyboardInterrupt:
            tell("Stopping.")
        finally:
            stop([process for _, process in running])


def _watch(running: Sequence[tuple[Service, subprocess.Popen[bytes]]]) -> None:
    while True:
        for service, process in running:
            status = process.poll()
            if status is not None:
                others = " and ".join(other.name for other, _ in running if other != service)
                raise CspError(
                    f"{service.name} ended with status {status}, so {others} was stopped as well — "
                    "what it said last stands above"
                )
        time.sleep(_LOOK_EVERY_SECONDS)


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask every process to end, and end it with all it started after some patience.

    A second Ctrl-C cuts the patience short.
    """
    try:
        for process in processes:
            # The leader alone is asked: it knows in which order to end its own.
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        until = time.monotonic() + _PATIENCE_SECONDS
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, until - time.monotonic()))
    finally:
        for process in processes:
            # Each leads a group that it alone began, so its id names nothing else.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """Let a service manager's SIGTERM do what Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
