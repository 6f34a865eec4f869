"""Check images before an inspection: their files, the names of their results, and whether files have changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ssimae.config.settings import Settings
from ssimae.data.check import Checked, check_samples
from ssimae.data.dataset import Sample
from ssimae.host import system
from ssimae.progress import Progress
from ssimae.storage.run_folder import RunFolder


def check_for(settings: Settings, samples: Sequence[Sample], progress: Progress) -> Checked:
    """Return what is wrong with images for a model of these settings."""
    with progress.task("checking images", len(samples)) as task:
        return check_samples(
            samples,
            patch_size=settings.smallest_side,
            scale=settings.scale,
            channels=settings.channels,
            data_range=settings.data_range,
            progress=task.update,
        )


def unwritable_names(folder: RunFolder, samples: Iterable[Sample]) -> dict[Path, str]:
    """Return, by image, why no map or row of it can be written into a folder, which need not exist yet."""
    existing = next(parent for parent in (folder.root, *folder.root.absolute().parents) if parent.is_dir())
    longest, longest_path = system.longest_names(existing)
    faults = {}
    for sample in samples:
        below = folder.map_path(folder.reconstructions, sample.defect, sample.name)
        maps = below.absolute()
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
        elif forbidden := next(filter(None, map(system.unusable, below.relative_to(folder.root).parts)), None):
            faults[sample.path] = f"{forbidden}; rename it"
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
