"""Read damaged files of every kind for some seconds: each is read, or refused in a line, in bounded time and memory.

``python fuzz.py FOLDER SECONDS SEED`` damages the files that :func:`write_samples` makes in the folder. It ends with
1 and a traceback where a reader does anything else, takes longer than ten seconds or a gigabyte beyond what it began
with.
"""

import json
import lzma
import random
import re
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
import torch
from PIL import Image
from ssimae.config.settings import Settings
from ssimae.data.dataset import Sample
from ssimae.data.masks import read_ignored, read_mask
from ssimae.images.maps import read_float_map, stored_head
from ssimae.images.read import image_size, read_image
from ssimae.models.build import new_autoencoder
from ssimae.pod.hits import PlantedDefects
from ssimae.pod.table import tabulate_detection
from ssimae.report.assessment import assess
from ssimae.report.choices import choice_tables
from ssimae.report.detection import detection_sentences
from ssimae.report.tables import overlap_tables, part_tables, report_rows
from ssimae.report.verdicts import verdict_sentence, verdict_table
from ssimae.report.wording import facts, threshold_sentences, training_sentence, truth_notes, warnings
from ssimae.storage.agreement import check_agreement
from ssimae.storage.model_file import load_model
from ssimae.storage.records import read_results
from ssimae.storage.run_folder import RunFolder, read_settings
from ssimae.training.checkpoint import TrainingPosition, load_state, save_state

OLD_RUN = Path(__file__).parents[1] / "storage" / "old_run"
MOST_SECONDS = 10
MOST_MEMORY = 2**30
LONGEST_LINE = 1000

SETTINGS = Settings(patch_size=32, latent_dim=2)
CHOICES = {
    "trials": [
        {
            "scale": 1.0,
            "patch_size": 64,
            "latent_dim": 100,
            "patches": 21000,
            "seconds": 71.4,
            "loss": 0.1,
            "plateau": 0.4,
            "collapsed": False,
            "score": 0.4,
        }
    ]
    * 2,
    "treatments": [
        {"calibration": "border", "residual_smoothing": 4.0, "au_pro_0.05": 0.3, "found": 0.2, "score": 0.25},
        {"calibration": "both", "residual_smoothing": 8.0, "au_pro_0.05": 0.4, "found": 0.2, "score": 0.3},
    ],
}


class SlowError(BaseException):
    """A reader took too long; no reader catches this."""


def write_samples(root: Path) -> None:
    """Write a sound file of every kind."""
    shutil.copytree(OLD_RUN, root)
    run = RunFolder(root / "run")
    for path in (run.config, run.predictions):
        path.write_text(path.read_text().replace("/data/mesh", str(root / "mesh")))
    run.model.write_bytes(lzma.decompress((root / "run" / "model.safetensors.xz").read_bytes()))
    rng = np.random.default_rng(0)
    sizes, contrasts = rng.uniform(2, 40, 120), rng.uniform(0, 0.3, 120)
    kinds, hit = ("blob",) * 120, rng.random(120) < sizes / 40
    run.pod.write_text(json.dumps(tabulate_detection(PlantedDefects(sizes, contrasts, kinds, hit)).to_dict()))
    run.choices.write_text(json.dumps(CHOICES))
    model = new_autoencoder(SETTINGS, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    model(torch.rand(1, 1, 32, 32)).mean().backward()
    optimizer.step()
    save_state(root / "state", model, optimizer, TrainingPosition(1, 2.5, 0.25), SETTINGS)
    gray = rng.integers(0, 256, (32, 40), dtype=np.uint8)
    for suffix in ("png", "jpg", "bmp", "webp", "tif"):
        Image.fromarray(gray).save(root / f"image.{suffix}")
    Image.fromarray(gray).save(root / "packed.tif", compression="tiff_lzw")
    Image.fromarray(np.where(gray > 200, 255, 0).astype(np.uint8)).save(root / "mask.png")
    tifffile.imwrite(root / "deep.tif", rng.integers(0, 65536, (32, 40, 3), dtype=np.uint16), photometric="rgb")
    tifffile.imwrite(root / "map.tiff", rng.random((32, 40), dtype=np.float32))
    np.save(root / "map.npy", rng.random((32, 40), dtype=np.float32))


def read_run(root: Path) -> None:
    """Read a run folder as the report does, but for its figures."""
    results = read_results(RunFolder(root))
    assessments = assess(results)
    for told in (facts, threshold_sentences, training_sentence, truth_notes):
        told(results)
    verdict_sentence(assessments)
    verdict_table(assessments)
    warnings([results])
    report_rows([results], [assessments])
    overlap_tables([results])
    part_tables([results])
    choice_tables([results])
    if results.detection is not None:
        detection_sentences(results.detection)


def resume(path: Path) -> None:
    """Read the state of a training."""
    model = new_autoencoder(SETTINGS, seed=0)
    load_state(path, model, torch.optim.Adam(model.parameters(), fused=True), SETTINGS)


def read_picture(path: Path) -> None:
    image_size(path)
    read_image(path, data_range=1.0 if path.suffix == ".tiff" else None)


def read_masks(path: Path) -> None:
    sample = Sample(path, "a", "hole", (path,), path)
    read_mask(sample, (32, 40))
    read_ignored(sample, (32, 40))


def read_map(path: Path) -> None:
    stored_head(path)
    read_float_map(path)


def readers(root: Path) -> dict[Path, Callable[[], object]]:
    """Return what reads each file."""
    run = RunFolder(root / "run")
    found: dict[Path, Callable[[], object]] = {
        path: lambda: read_run(run.root)
        for path in (
            run.config, run.thresholds, run.choices, run.pod, run.metrics, run.predictions, run.log, run.curves,
            *sorted(run.residuals.rglob("*.tiff"))[:1],
        )
    }  # fmt: skip
    found[run.model] = lambda: (check_agreement(run), load_model(run.model))
    found[root / "state"] = lambda: resume(root / "state")
    found[root / "predicted" / "config.toml"] = lambda: (
        read_settings(root / "predicted" / "config.toml"),
        read_run(root / "predicted"),
    )
    for path in sorted(root.iterdir()):
        if path.suffix in (".png", ".jpg", ".bmp", ".webp", ".tif"):
            found[path] = lambda path=path: read_picture(path)  # type: ignore[misc]
    found[root / "mask.png"] = lambda: read_masks(root / "mask.png")
    for name in ("map.tiff", "map.npy"):
        found[root / name] = lambda name=name: read_map(root / name)  # type: ignore[misc]
    return found


WORDS = (
    b"nan", b"NaN", b"inf", b"-1", b"0", b"1e999", b"99999999999999999999", b"4294967295", b"1.5", b"true", b"null",
    b'""', b"[]", b"{}", b"[[]]", b'"\\u0000"', b"'", b'"', b"\n", b",", b"\x00", b"\xff", b"\r", b"[" * 5000,
    b"9" * 5000,
)  # fmt: skip


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return a content with one to three things wrong."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        content = chance.choice(DAMAGES)(content, chance)
    return content


def _flip(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    if changed:
        # Heads are short, and most is said there.
        place = chance.randrange(min(len(changed), chance.choice((16, 256, 2000, len(changed)))))
        changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _drop(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content) + 1)
    return content[:start] + content[start + chance.choice((1, 4, 40)) :]


def _double(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content) + 1)
    return content[: start + chance.choice((1, 40, 400))] + content[start:]


def _overwrite(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(min(len(content), 400) + 1)
    value = chance.choice((b"\xff\xff\xff\x7f", b"\xff" * 8, b"\0" * 4, b"\x00\x00\x10\x00", b"\xe8\x03\x00\x00"))
    return content[:start] + value + content[start + len(value) :]


def _replace(content: bytes, chance: random.Random) -> bytes:
    """Put another word in the place of a value, as an editor would."""
    found = list(re.finditer(rb'"[^"\n]{0,60}"|-?\d+\.?\d*(?:e-?\d+)?|true|false|null|\b\w+\b', content[:200_000]))
    if not found:
        return content
    value = chance.choice(found)
    return content[: value.start()] + chance.choice(WORDS) + content[value.end() :]


DAMAGES = (_flip, _flip, _cut, _drop, _double, _overwrite, _replace, _replace, _replace)


def limit_memory() -> None:
    now = int(re.search(r"VmSize:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024  # type: ignore[index]
    resource.setrlimit(resource.RLIMIT_AS, (now + MOST_MEMORY, now + MOST_MEMORY))


def main(root: Path, seconds: float, seed: int) -> int:
    write_samples(root)
    found = readers(root)
    for read in found.values():
        read()  # sound; and what is imported late is there now
    limit_memory()

    def ring(*_: object) -> None:
        raise SlowError

    signal.signal(signal.SIGALRM, ring)
    chance, end = random.Random(seed), time.monotonic() + seconds
    sound = {path: path.read_bytes() for path in found}
    tried, slowest, faults = 0, 0.0, 0
    while time.monotonic() < end:
        for path, read in found.items():
            path.write_bytes(content := damaged(sound[path], chance))
            started = time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
            try:
                read()
            except (ValueError, OSError) as error:
                faults += report_message(path, str(error))
            except BaseException:  # noqa: BLE001 - that is what is looked for
                faults += 1
                traceback.print_exc()
                print(f"{path.name}: not refused: {content[:2000]!r}", file=sys.stderr)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            tried, slowest = tried + 1, max(slowest, time.monotonic() - started)
            path.write_bytes(sound[path])
    print(f"{tried} damaged files, {faults} faults, the slowest read in {slowest:.2f} s")
    return 1 if faults else 0


def report_message(path: Path, message: str) -> int:
    """Return 1 for a message that does not name its file in a short line, and show it."""
    named = path.name in message or str(path.parent) in message
    if named and len(message) <= LONGEST_LINE and "\n" not in message:
        return 0
    print(f"{path.name}: refused by {message!r}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
