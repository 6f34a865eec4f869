"""List the images that are to be inspected, name each apart, and find names that cannot be written."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ssimae.data.accounting import in_one_line
from ssimae.data.dataset import UNLABELLED, Sample
from ssimae.data.opening.lots import images_to_inspect
from ssimae.progress import Progress
from ssimae.storage.run_folder import RunFolder


def list_samples(
    images: Sequence[Path], ignore: Path | None, progress: Progress
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Return image files, and those in folders and below, without masks; their folders make names unique.

    What is passed over in folders, such as hidden files and results of earlier runs, is said with the reason, and
    returned in such sentences.

    Raises
    ------
    OSError, ValueError
        If a path does not exist, or a folder holds no image.
    """
    paths: dict[Path, None] = {}
    passed_over: list[str] = []
    for path in images:
        if path.is_dir():
            files, left = images_to_inspect(path.absolute(), ignore=ignore)
            if line := in_one_line(left, path.absolute()):
                progress.say(line)
                passed_over.append(line)
            if not files:
                raise ValueError(f"{path}: no image in this folder")
            paths.update(dict.fromkeys(files))
        elif not path.exists():
            raise FileNotFoundError(f"{path}: no such image or folder")
        elif not path.is_file():
            raise ValueError(f"{path}: neither a file nor a folder")
        else:
            paths[path.absolute()] = None
    stems = Counter(path.stem for path in paths)
    samples = []
    taken: set[str] = set()
    for path in paths:
        name = path.stem if stems[path.stem] == 1 else f"{path.parent.name}-{path.name}"
        number = 1
        while name in taken:
            number += 1
            name = f"{path.parent.name}-{path.name}-{number}"
        taken.add(name)
        samples.append(Sample(path, name, UNLABELLED))
    return tuple(samples), tuple(passed_over)


def unwritable_names(folder: RunFolder, samples: Iterable[Sample]) -> dict[Path, str]:
    """Return, by image, why no map or row of it can be written into a folder, which need not exist yet."""
    existing = next(parent for parent in (folder.root, *folder.root.absolute().parents) if parent.is_dir())
    longest, longest_path = os.pathconf(existing, "PC_NAME_MAX"), os.pathconf(existing, "PC_PATH_MAX")
    faults = {}
    for sample in samples:
        maps = folder.map_path(folder.reconstructions, sample.defect, sample.name).absolute()
        try:
            sizes = [len(part.encode()) for part in maps.parts]
            str(sample.path).encode()
        except UnicodeEncodeError:
            faults[sample.path] = "the name is not valid UTF-8; rename it"
            continue
        if max(sizes) > longest:
            faults[sample.path] = (
                f"the names of its results would have {max(sizes)} bytes, more than {longest}; rename it"
            )
        elif len(os.fsencode(maps)) >= longest_path:
            faults[sample.path] = f"the path of a result would have {longest_path} bytes or more; rename it"
    return faults


def fingerprint(files: Iterable[Path]) -> str:
    """Return the SHA-256 of paths, sizes and times of files: another as soon as one has changed, or come or gone."""
    digest = hashlib.sha256()
    for path in files:
        try:
            status = path.stat()
            found = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:
            found = "unreadable"
        digest.update(os.fsencode(path) + b"\0" + found.encode() + b"\0")
    return digest.hexdigest()
