"""Push a model's folder to the Hugging Face Hub (``stillhouse export --to hub``)."""

import json
import shlex
from http import HTTPStatus
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelCard, ModelInfo, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.utils import logging, validate_repo_id

from stillhouse.errors import BadInput, StillhouseError, Unavailable
from stillhouse.evaluation.model_card import CARD
from stillhouse.secrets import masked
from stillhouse.serving.networks import ONNX, TABLES

NO_TOKEN = "Set HF_TOKEN to a token with write access, or log in once (hf auth login)."
MOST = 300  # characters of a library's message


def export_to_hub(source: Path, model: str, repo: str, public: bool, push: bool) -> None:
    """Print what would be pushed, or push it as one commit.

    Only the model's own files and its card are pushed, so no other file of the folder can be published by mistake.

    Args:
        source: folder of the model, which can be loaded.
        model: what the user named, for the messages.
        repo: ``OWNER/NAME``.
        public: whether everyone may read the repository.
        push: whether to push. Without it nothing is sent.

    Raises:
        BadInput: a wrong name, no card, no token, or no permission.
        Unavailable: the hub does not answer, or the upload was interrupted.
    """
    _check_name(repo)
    files = _files(source, model)
    api = HfApi()
    visibility = "public" if public else "private"
    print(f"{len(files)} files for {masked(api.endpoint)}/{repo} ({visibility}):")
    for file in files:
        print(f"  {file.stat().st_size:>13,} bytes  {file.name}")
    print("tokenizer.json and chunks.json have frequent words of the training texts. No other text is in these files.")
    if others := sorted(one.name for one in source.iterdir() if one not in files):
        print(f"Not part of the model, and not pushed: {', '.join(others)}")
    if push:
        address = _push(api, files, repo, public)
        print(f"Pushed: {address}\nTo use it: hf download {repo} --local-dir FOLDER; stillhouse predict FOLDER")
    else:
        words = ["stillhouse", "export", model, repo, "--to", "hub", *(["--public"] if public else []), "--push"]
        print(f"Nothing was sent. To push:\n{shlex.join(words)}")


def _check_name(repo: str) -> None:
    try:
        validate_repo_id(repo)
        correct = repo.count("/") == 1
    except HFValidationError:
        correct = False
    if not correct:
        raise BadInput(
            f"{repo!r} is not the name of a repository. Name it OWNER/NAME, of letters, digits and single '-', '_' or "
            "'.', such as my-team/news-topics."
        )


def _files(source: Path, model: str) -> list[Path]:
    """The files that a loader reads, and the card, which the hub can read."""
    card = source / CARD
    if not card.is_file():
        raise BadInput(
            f"{model} has no model card ({CARD}). The stage register writes it: export outputs/register/model or the "
            "registered version."
        )
    try:
        if not ModelCard.load(card).data.eval_results:
            raise ValueError("it has no results (model-index)")
    except Exception as error:  # the YAML parser and the card's reader raise errors of different types
        raise BadInput(
            f"The front matter of {card} is not valid: {_short(error)} Run the stage register again."
        ) from None
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    return [card, source / "config.json", *(source / name for name in sorted(config["sha256"]))]


def _push(api: HfApi, files: list[Path], repo: str, public: bool) -> str:
    """Create the repository unless it exists, and push the files as one commit. Returns the address."""
    logging.set_verbosity_error()  # the library's warnings show the signed addresses of uploads
    created = False
    try:
        api.token = get_token()
        if api.token is None:
            raise BadInput(f"There is no token for {masked(api.endpoint)}. {NO_TOKEN}")
        address = str(api.create_repo(repo, visibility="public" if public else "private", exist_ok=True))
        found = api.model_info(repo)
        _check_visibility(masked(address), bool(found.private), public)
        created = True
        api.create_commit(repo, _operations(files, found), commit_message="Model of Stillhouse")
    except StillhouseError:
        raise
    except Exception as error:  # HTTP, Xet and LFS raise errors of different types
        raise _problem(error, api, repo, created) from None
    return masked(address)


def _check_visibility(address: str, private: bool, public: bool) -> None:
    if private == public:
        state, remedy = ("private", "leave out --public") if private else ("public", "say --public")
        raise BadInput(f"{address} exists and is {state}. Nothing was pushed. Push to another one, or {remedy}.")


def _operations(files: list[Path], found: ModelInfo) -> list[CommitOperationAdd | CommitOperationDelete]:
    """The files, and the deletion of an earlier version's network of the other kind.

    They are one commit. :meth:`HfApi.upload_folder` makes several where hf_xet is installed.
    """
    there, names = {one.rfilename for one in found.siblings or []}, {file.name for file in files}
    return [
        *(CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=file) for file in files),
        *(CommitOperationDelete(path_in_repo=name) for name in (ONNX, TABLES) if name in there - names),
    ]


def _problem(error: Exception, api: HfApi, repo: str, created: bool) -> StillhouseError:
    """The error as one message: what failed, where, and what to do."""
    hub, reason = masked(api.endpoint), _short(error, str(api.token or ""))
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    if status == HTTPStatus.UNAUTHORIZED:
        return BadInput(f"{hub} does not accept the token (status 401). {NO_TOKEN}")
    if status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
        return BadInput(
            f"The token may not write to {repo} at {hub} (status {status}). Check the owner's name, and give the "
            "token write access to it."
        )
    if status and status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return BadInput(f"{hub} refuses {repo} (status {status}): {reason}")
    if isinstance(error, OfflineModeIsEnabled):
        return BadInput("HF_HUB_OFFLINE is set, so nothing can be pushed. Unset it, and start the command again.")
    if created:
        return Unavailable(
            f"The upload to {hub}/{repo} was interrupted: {reason} No file is published, since the commit comes last. "
            "Start the command again."
        )
    return Unavailable(f"{hub} cannot be reached: {reason} Check the network and HF_ENDPOINT, and start it again.")


def _short(error: Exception, token: str = "") -> str:
    """The error's text on one line, without secrets, with a full stop."""
    text = str(error) if not token else str(error).replace(token, "***")  # a token of hf auth login is in no variable
    line = " ".join(masked(text).split())[:MOST]
    return f"{(line or type(error).__name__).rstrip('.')}."
