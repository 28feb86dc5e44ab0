"""``stillhouse export``: a folder with a model and what serves it, to build a container from, or a push to the hub."""

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from importlib.metadata import version as installed
from pathlib import Path

from flows.shared.fetched import fetch
from flows.shared.stopping import command
from stillhouse.choices import Target
from stillhouse.errors import BadInput
from stillhouse.tracking.identity import PACKAGE, SERVING

REQUIRED = ("numpy", "onnxruntime", "tokenizers")  # what the serving package imports
# The modules of the HTTP server; the others are those that a registered version has, too.
HTTP = tuple(PACKAGE / "serving" / f"{name}.py" for name in ("__init__", "counts", "handler", "request", "server"))
DOCKERFILE = """\
# Serves the model in model/ over HTTP, without MLflow and torch:
#   docker build -t {tag} .
#   docker run --rm -p 8080:8080 {tag}
FROM python:{python}-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY stillhouse stillhouse
COPY model model
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PORT=8080
EXPOSE 8080
USER 65534
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD \\
    python -c "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health')"
CMD ["python", "-m", "stillhouse.serving.server", "model"]
"""


@command
def main(model: str, target: str, to: Target, force: bool = False, public: bool = False, push: bool = False) -> None:
    """Export the model.

    Args:
        model: a folder of a model, or a registered version such as ``models:/name@champion``.
        target: the folder to write, or the repository of the hub, ``OWNER/NAME``.
        to: what it is for.
        force: replace an existing folder.
        public: make the repository public.
        push: push to the hub. Without it the command shows what it would push.
    """
    if to == "hub":
        if force:
            raise BadInput("--force replaces a folder; --to hub writes none. Leave it out.")
        from flows.shared.hub import export_to_hub  # the hub's library takes a second to load

        export_to_hub(fetch(model)[0], model, target, public, push)
    elif public or push:
        raise BadInput("--public and --push are for --to hub. Leave them out, or add --to hub.")
    else:
        _export_container(model, target, force)


def _export_container(model: str, folder: str, force: bool) -> None:
    """Write the folder, completely or not at all."""
    target = Path(os.path.abspath(Path(folder).expanduser()))  # noqa: PTH100 a link is replaced, not what it leads to
    _check_target(target, force)
    source, _ = fetch(model)
    if source.is_relative_to(target) or Path.cwd().is_relative_to(target):
        raise BadInput(f"{target} holds the model or the current folder, which would be lost. Name another folder.")
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _write(source, draft / "new", target.name)
        if target.exists():
            target.rename(draft / "old")
        try:
            (draft / "new").rename(target)
        except BaseException:
            if (draft / "old").exists():
                (draft / "old").rename(target)
            raise
    finally:
        with suppress(OSError):
            shutil.rmtree(draft)
    print(f"{target}: the model, its server and a Dockerfile. Build and start it:")
    print(f"docker build -t {_tag(target.name)} {target}")
    print(f"docker run --rm -p 8080:8080 {_tag(target.name)}")


def _check_target(target: Path, force: bool) -> None:
    if not target.parent.is_dir():
        raise BadInput(f"The folder {target.parent} does not exist. Make it, or name a folder elsewhere.")
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise BadInput(f"{target} is not a folder. Name another one.")
    if target.is_dir() and any(target.iterdir()) and not force:
        raise BadInput(f"{target} is not empty. Name another folder, or replace it with --force.")


def _write(source: Path, folder: Path, name: str) -> None:
    """Write the files into the new ``folder``, readable for the container's user, whatever the umask is."""
    files = {folder / "stillhouse" / module.relative_to(PACKAGE): module for module in (*SERVING, *HTTP)}
    files |= {folder / "stillhouse" / "__init__.py": PACKAGE / "__init__.py"}
    files |= {folder / "model" / file.relative_to(source): file for file in source.rglob("*") if file.is_file()}
    for copy, original in files.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original, copy)  # DVC's files are read-only
    pinned = "".join(f"{package}=={installed(package).partition('+')[0]}\n" for package in REQUIRED)
    (folder / "requirements.txt").write_text(pinned, encoding="utf-8")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "Dockerfile").write_text(DOCKERFILE.format(python=python, tag=_tag(name)), encoding="utf-8")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _tag(name: str) -> str:
    """The name of the image: small letters, digits and single dashes."""
    allowed = "".join(one if one.isascii() and one.isalnum() else "-" for one in name.lower())
    return "-".join(filter(None, allowed.split("-"))) or "model"


if __name__ == "__main__":
    from flows.cli import main as start

    start("export")
