"""Install this project into the virtual environment whose Python runs this file. The Makefile calls it.

``python install.py sample dev`` installs the extras ``sample`` and ``dev`` in the versions of constraints.txt. uv does
it in a fraction of pip's time; pip does it if uv cannot be installed or fails. uv does not read pip's configuration, so
what pip is configured with is passed on. The variable ``TORCH=cpu`` selects the build of PyTorch without CUDA, which
saves gigabytes on a machine without an NVIDIA GPU.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
TORCH_INDEX = "https://download.pytorch.org/whl/"


def main() -> None:
    """Install the extras that the command line names. Exits with the status of the installer."""
    wanted = ["--constraint", str(ROOT / "constraints.txt"), "--editable", f"{ROOT}[{','.join(sys.argv[1:])}]"]
    torch = os.environ.get("TORCH", "")
    say(f"Installing {', '.join(sys.argv[1:])} into {sys.prefix}. This takes a minute or two.")
    if uv := find_uv():
        backend = ["--torch-backend", torch] if torch else []
        command = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--compile-bytecode", *backend, *wanted]
        if run(command, os.environ | from_pip_config(pip_config())) == 0:
            return
        say("uv failed (see above). Installing with pip, which takes longer.")
    index = ["--extra-index-url", TORCH_INDEX + torch] if torch else []
    sys.exit(run([*PIP, "install", "--quiet", *index, *wanted], dict(os.environ)))


def find_uv() -> str | None:
    """Return the path of uv, which is installed into the environment if it is missing; None if that fails."""
    own = Path(sys.executable).parent / "uv"
    if not (own.exists() or shutil.which("uv")):
        run([*PIP, "install", "--quiet", "uv"], dict(os.environ))
    return str(own) if own.exists() else shutil.which("uv")


def pip_config() -> dict[str, str]:
    """Return what pip is configured with by files and variables, by option name. Variables come last, as in pip."""
    listed = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=False).stdout
    found: dict[str, str] = {}
    for line in sorted(listed.splitlines(), key=lambda line: (line.startswith(":env:"), line.startswith("install."))):
        name, _, value = line.partition("=")
        found[name.rpartition(".")[2]] = value.strip("'\"").replace("\\n", " ").strip()
    return found


def from_pip_config(config: dict[str, str]) -> dict[str, str]:
    """Return the variables by which uv does what pip is configured to do. Variables that are set already stay."""
    links = ",".join(config.get("find-links", "").split())
    more = config.get("extra-index-url", "")
    variables = {
        "UV_DEFAULT_INDEX": config.get("index-url", ""),
        "UV_INDEX": " ".join(usable(url) for url in more.split()),
        # pip takes the best version of all indexes; uv that of the first index which has the package.
        "UV_INDEX_STRATEGY": "unsafe-best-match" if more else "",
        "UV_FIND_LINKS": links,
        "UV_NO_INDEX": "1" if config.get("no-index", "").lower() in ("1", "true", "yes", "on") else "",
        "UV_INSECURE_HOST": config.get("trusted-host", ""),
        "SSL_CERT_FILE": config.get("cert", ""),
        "UV_HTTP_TIMEOUT": config.get("timeout") or config.get("default-timeout", ""),
    }
    return {name: value for name, value in variables.items() if value and name not in os.environ}


def usable(url: str) -> str:
    """Return ``url``, or nothing for a folder that does not exist: pip skips it, uv would end with an error."""
    folder = url.removeprefix("file://")
    return url if folder == url or Path(folder).is_dir() else ""


def say(line: str) -> None:
    """Print a line at once."""
    sys.stderr.write(line + "\n")


def run(command: list[str], environment: dict[str, str]) -> int:
    """Run a command whose output is shown; returns its exit status."""
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    main()
