"""Checkpoints: written whole or not at all, read without running code."""

import os
import zipfile
from pathlib import Path

import torch

__all__ = ["load_checkpoint", "save_checkpoint"]

FORMAT = "selfgated.train 1"


def save_checkpoint(path, content):
    """Write a checkpoint; at any moment the file at `path` is the old one or the new one, complete.

    The bytes go to ``<name>.part`` beside it, reach the disk (fsync), and then take the name.

    Parameters
    ----------
    path : str or Path
        Its folder must be there.
    content : dict
        Of tensors, numbers, strings, and lists, tuples and dicts of them.
    """
    path = Path(path).resolve()
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            torch.save({"format": FORMAT, **content}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name is in the folder, which has its own cache
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def load_checkpoint(path):
    """Read a checkpoint to the CPU. Nothing in it is executed (weights_only).

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If the file is damaged, or not a checkpoint of `fit`.
    OSError
        If it cannot be read.
    """
    wrong = f"{path} is not a checkpoint of selfgated.train, or it is damaged"
    with open(path, "rb") as file:
        try:
            # torch's reader does not compare the checksums of what it reads; zipfile does.
            with zipfile.ZipFile(file) as archive:
                bad = archive.testzip()
            file.seek(0)
            content = None if bad else torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged bytes raise whatever they happen to hit
            raise ValueError(f"{wrong} ({type(error).__name__}); nothing was changed") from error
    if bad or not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{wrong}{f' ({bad})' if bad else ''}; nothing was changed")
    return content
