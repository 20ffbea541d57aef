"""Weights of a repository on the Hugging Face Hub: pinned to its commit at once, fetched later."""

from pathlib import Path

from cosmos1050k.fetch.download import Downloader
from leaderboard.submissions.declared import HubWeights
from leaderboard.submissions.refusals import Refused

#: Seconds that the Hub may take to say what a repository holds.
_TIMEOUT_S = 20
_ENDING = ".safetensors"


def pinned(given: HubWeights, most_bytes: int) -> HubWeights:
    """The same with the commit of its revision, and its file by name.

    Raises:
        Refused: the repository, its revision or its file can't be had, or is too large.
    """
    from httpx2 import HTTPError  # by which the Hub is asked
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

    where = f"{given.repo}@{given.revision}"
    try:
        # Without a token: what is scored here anybody may have.
        told = HfApi(token=False).model_info(
            given.repo, revision=given.revision, files_metadata=True, timeout=_TIMEOUT_S
        )
    except (HTTPError, HFValidationError, OfflineModeIsEnabled, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        problem = f"weights: {where} can't be had from the Hub ({reason})"
        raise Refused("hub", f"{problem}; check repository and revision, it must be public") from None
    sizes = {one.rfilename: one.size for one in told.siblings or () if one.rfilename.endswith(_ENDING)}
    file = given.file or (next(iter(sizes)) if len(sizes) == 1 else "")
    if file not in sizes:
        has = f"it has {', '.join(sorted(sizes)[:5])}" if sizes else f"it has no {_ENDING} file"
        what = f"no {file!r} there" if file else "say which file"
        raise Refused("hub", f"weights: {where}: {what}; {has}")
    if not told.sha:
        raise Refused("hub", f"weights: {where}: the Hub names no commit of it; try again")
    size = sizes[file]
    if not size:
        raise Refused("hub", f"weights: {where}: the Hub does not say how large {file} is; try again")
    if size > most_bytes:
        raise Refused("too-large", f"weights: {file} has {size:,} bytes; at most {most_bytes:,} are taken")
    return HubWeights(repo=given.repo, revision=told.sha, file=file)


def fetch(given: HubWeights, target: Path, most_bytes: int) -> None:
    """Downloads pinned weights; a call after a kill goes on where it ended.

    Raises:
        InputError: they can't be had now.
        Refused: they are larger than was said.
    """
    from huggingface_hub import hf_hub_url

    downloader = Downloader(given.file, target.with_name(f"{target.name}.part"))
    downloader(hf_hub_url(given.repo, given.file, revision=given.revision), target)
    downloader.discard()
    if target.stat().st_size > most_bytes:
        target.unlink()
        raise Refused("too-large", f"weights: {given.file} has more than {most_bytes:,} bytes")
