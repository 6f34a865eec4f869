"""Tell from the words in a name what it says about images: that they are good, defective, for a test, or masks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

Meaning = Literal["good", "defective", "test", "mask"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GOOD = _words(
    "buono conform conforme conforming good nominal normal ok okay pass passed defectfree nodefect nodefects gut io "
    "bon bueno"
)
_DEFECTIVE = _words(
    """
    abnormal anomalies anomalous anomaly bad broken contamination crack cracked cracks damage damaged defect defective
    defects dent dents fail failed failure failures fails fault faults faulty flaw flaws ko ng ngs nok outlier outliers
    reject rejected rejects scrap scratch scratched scratches stain stains
    ausschuss defekt defekte fehler fehlerhaft nio schlecht defaut defauts mauvais defecto defectos malo
    defeito difetto difettoso nonconforming scarto
    negative positive
    """
)
"""Words of English, German, French, Spanish, Italian and Portuguese. Of `negative` and `positive` either may be the
defective ones."""
_TEST = _words("test testing tests testset")
_MASK = _words(
    "annotation annotations ground groundtruth gt gts heatmap heatmaps label labels mask masks overlay overlays seg "
    "segmentation segmentations truth"
)
_OTHER_SCRIPTS: tuple[tuple[Meaning, re.Pattern[str]], ...] = (
    ("defective", re.compile("不良|不合格|缺陷|瑕疵|次品|异常|異常|欠陥|불량|결함|брак|дефект")),
    ("good", re.compile("良品|良好|合格|正常|양품|정상|годн")),
)
"""Words of Chinese, Japanese, Korean and Russian, anywhere in a name; the first take theirs out: 不合格 is not 合格."""
_NEUTRAL = _words("data image images part parts photo photos picture pictures sample samples")
_NEGATIONS = _words("no non not without")

# Words end at whatever is no letter, and where capitals begin or end: `groundTruth`, `imgNG`, `GT01`. A number is kept
# as a word, so that `defect no 3` is a defect.
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+"), re.compile(r"[A-Za-z]+|\d+")

_MASK_ENDING = re.compile(r"(?P<of>.+)[_-](?P<ending>mask|gt|label|seg)(?P<number>[_-]?\d+)?", re.IGNORECASE)


def meaning_of(name: str) -> Meaning | None:
    """Return what the words of a file or folder name say about images, in any case; None where they say nothing.

    A negation turns the word behind it over: `not_ok` is defective, `no defect` and `defect-free` are good.
    """
    said = set(_meanings(name))
    # The more careful meaning comes first.
    order: tuple[Meaning, ...] = ("mask", "defective", "good", "test")
    return next((meaning for meaning in order if meaning in said), None)


def _meanings(name: str) -> Iterator[Meaning]:
    other = unicodedata.normalize("NFC", name).casefold()
    for meaning, words_of_it in _OTHER_SCRIPTS:
        other, found = words_of_it.subn(" ", other)
        if found:
            yield meaning
    # Accents are taken off, so that `défaut` is a word of plain letters.
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    for pattern in _WORDS:
        words = ["", *(word.casefold() for word in pattern.findall(plain)), ""]
        for before, word, after in zip(words, words[1:], words[2:], strict=False):
            negated = before in _NEGATIONS
            if word in _MASK - {"ground"}:
                yield "mask"
            elif word in _DEFECTIVE:
                yield "good" if negated or after == "free" else "defective"
            elif word in _GOOD:
                yield "defective" if negated else "good"
            elif word in _TEST:
                yield "test"


def is_defective_folder(name: str) -> bool:
    """Return whether a folder's name says nothing but that its images are defective, as `NG` and `bad parts` do."""
    words = set(re.findall(r"[a-z]+", name.casefold())) - _NEUTRAL
    return words <= _DEFECTIVE if words else meaning_of(name) == "defective"


def is_mask_folder(name: str) -> bool:
    """Return whether all words of a folder's name mean masks, such as `ground_truth`; `label_missing` is a defect."""
    words = re.findall(r"[a-z]+", name.casefold())
    return bool(words) and _MASK.issuperset(words)


def is_truth_folder(name: str) -> bool:
    """Return whether a folder's name means masks and no product could be called so, as it could `labels`."""
    words = set(re.findall(r"[a-z]+", name.casefold()))
    return bool(words) and words <= {"ground", "truth", "groundtruth", "gt"}


def split_mask_name(stem: str) -> tuple[str, str, bool]:
    """Return the stem of the image that a mask belongs to, the ending behind it, and whether a number follows.

    ``07_mask`` and ``07_GT`` belong to ``07``, and so do ``07_mask_1`` and ``07_mask2``, which are parts of one mask.
    """
    found = _MASK_ENDING.fullmatch(stem)
    if found is None:
        return stem, "", False
    return found["of"], found["ending"].casefold(), found["number"] is not None
