"""``stillhouse try``: a page in the browser, served by this machine alone, to try a model."""

import os
import signal
import socket
import sys
import webbrowser
from pathlib import Path
from typing import Any

from flows.shared.fetched import fetch
from flows.shared.stopping import command
from stillhouse.errors import BadInput

HOST = "127.0.0.1"
DEFAULTS = ("outputs/register/model", "outputs/compress/model")


@command
def main(model: str, port: int, browser: bool) -> None:
    """Serve the page until Ctrl-C or SIGTERM, which end the process with status 0.

    Args:
        model: a folder of a model, or a registered version such as ``models:/name@champion``; empty: the project's.
        port: to listen at; 0 takes a free one.
        browser: open the page in a browser if there is a terminal and a display.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _quit)
    name = model or _own_model()
    with _listening(port) as listener:
        folder, classifier = fetch(name)
        import uvicorn  # both take seconds to load, and a mistake is shown before

        from flows.page.app import create_app

        app = create_app(name, folder, classifier)
        address = f"http://{HOST}:{listener.getsockname()[1]}"
        print(f"{name}: {address} (this machine alone can open it; Ctrl-C ends it)", flush=True)
        if browser and _has_display():
            webbrowser.open(address)
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off")
        uvicorn.Server(config).run(sockets=[listener])  # answers what it has begun, then raises the signal again


def _own_model() -> str:
    for name in DEFAULTS:
        if Path(name).is_dir():
            return name
    raise BadInput(
        f"There is no model in {Path.cwd()}: neither {DEFAULTS[0]} nor {DEFAULTS[1]}. Run: make run, or name a model: "
        "stillhouse try MODEL"
    )


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise BadInput(
            f"Port {port} of {HOST} cannot be used ({error.strerror}). Name another one with --port; 0 takes a "
            "free one."
        ) from None


def _has_display() -> bool:
    return sys.stdout.isatty() and (
        sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    )


def _quit(number: int, frame: Any) -> None:
    """End quietly, without waiting for a teacher that is loading."""
    os._exit(0)


if __name__ == "__main__":
    from flows.cli import main as start

    start("try")
