"""The dashboard's server: the app in run mode, on this machine only, with nothing left behind.

`python -m dagster_project.ui.server --port 3001`; the installation comes from the environment.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = "127.0.0.1"
APP = Path(__file__).with_name("app.py")
# A reader's own marimo settings (a theme, extra style sheets, assistants) do not count here.
_MARIMO_TOML = '[display]\ntheme = "system"\n'


class Guard:
    """Stands before the app: this machine's browser may speak to it, the page to nothing else.

    A page of another site that sends its visitors here is refused by its Origin or its Host; the
    policy on every answer forbids the browser any request that leaves this address.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}".encode() for name in (HOST, "localhost")}
        self._origins = {b"http://" + host for host in self._hosts}
        sockets = " ".join(f"ws://{host.decode()}" for host in sorted(self._hosts))
        self._headers = [
            (
                b"content-security-policy",
                (
                    f"default-src 'self'; connect-src 'self' {sockets}; img-src 'self' data: blob:;"
                    " style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline';"
                    " font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none';"
                    " object-src 'none'; base-uri 'self'; form-action 'none'"
                ).encode(),
            ),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"])
        origin = given.get(b"origin")
        if given.get(b"host") not in self._hosts or (
            origin is not None and origin not in self._origins
        ):
            await self._refuse(scope, send)
            return

        async def answer(part: Message) -> None:
            if part["type"] == "http.response.start":
                part["headers"] = [*part["headers"], *self._headers]
            await send(part)

        await self._app(scope, receive, answer)

    async def _refuse(self, scope: Scope, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await send(
            {
                "type": "http.response.start",
                "status": 403,
                "headers": [(b"content-type", b"text/plain; charset=utf-8")],
            }
        )
        await send({"type": "http.response.body", "body": b"Only from this machine's own page."})


def isolate(home: Path) -> None:
    """Let marimo keep what it must in `home`, and read nobody's settings but these."""
    for name in ("config", "state", "cache"):
        folder = home / name
        (folder / "marimo").mkdir(parents=True, exist_ok=True)
        os.environ[f"XDG_{name.upper()}_HOME"] = str(folder)
    (home / "config" / "marimo" / "marimo.toml").write_text(_MARIMO_TOML, encoding="utf-8")
    os.environ["MARIMO_SKIP_UPDATE_CHECK"] = "1"
    # A project's pyproject.toml around the working directory could change settings as well.
    os.chdir(home)


def build(port: int) -> ASGIApp:
    """The app in run mode behind its guard: no editing, no code sent, no tracebacks shown."""
    import marimo  # noqa: PLC0415 - reads its configuration when it is imported

    app = marimo.create_asgi_app(quiet=True, include_code=False, show_tracebacks=False)
    return Guard(app.with_app(path="", root=str(APP)).build(), port)


def warm(settings: Settings) -> None:
    """Open the file and draw the first page, so that the first reader does not wait for it."""
    from dagster_project.reporting.dashboard import portfolio  # noqa: PLC0415 - in its own time
    from dagster_project.ui.session import begin  # noqa: PLC0415

    started = begin(settings, {})
    if started.publication is not None:
        portfolio.portfolio_page(started.publication, started.publication.as_of)


def serve(port: int) -> None:
    """Serve until somebody stops it."""
    import uvicorn  # noqa: PLC0415 - only the server pays for it

    # Relative paths in the environment must mean the same after the move.
    settings = Settings()
    os.environ["CSP_DATA_DIR"] = str(settings.data_dir)
    threading.Thread(target=warm, args=(settings,), daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="csp-ui-") as name:
        isolate(Path(name))
        uvicorn.run(
            build(port),
            host=HOST,
            port=port,
            log_level="warning",
            timeout_graceful_shutdown=2,
        )


def main() -> None:
    """Read the port and serve."""
    parser = argparse.ArgumentParser(prog="python -m dagster_project.ui.server")
    parser.add_argument("--port", type=int, default=3001)
    serve(parser.parse_args().port)
    # Readers' sessions are threads that wait for ever; without this they are torn down by force.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
