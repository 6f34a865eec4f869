"""Gather scores image by image, for exact metrics of all of them together; the work is done in Rust."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ssimae._rust import GatheredScores
from ssimae.atomic import replacing
from ssimae.evaluation.arrays import as_flags, as_scores
from ssimae.evaluation.result import Evaluation, ImageScores, RegionScores

EVEN_FPRS = np.linspace(0.0, 1.0, 400)
CURVE_FPRS = np.insert(EVEN_FPRS, 1, np.geomspace(1e-5, EVEN_FPRS[1], 40, endpoint=False))
"""False positive rates of the overlap curve: evenly spaced (Bergmann et al. 2019, fig. 7), and within the first step
by their logarithm, since thresholds in use mostly lie there."""


class Evaluator:
    """Scores of images that come one by one, for exact metrics of all of them together.

    Several can each take a part of the images, in threads, processes or on machines, and be merged: the metrics are
    the same to the last bit, whatever the parts and their order. An evaluator can be pickled between processes of one
    program; files are written and read by :meth:`save` and :meth:`load`, which run no code.

    Parameters
    ----------
    image_top : float in [0, 1]
        Share of an image's pixels, rounded to at least one, whose mean score is the score of the image; of 0 the
        highest pixel alone.
    memory_limit : int, optional
        Bytes of scores from which on they are moved to a temporary file, sorted. Beside them, about 30 MB a thread are
        needed to sort, some hundred bytes for each region, some 60 KB for each time they are moved, and one image.

    Notes
    -----
    A pixel takes 4 bytes (8 for float64 scores), a pixel of a defect another 4.

    Processes are to be started by spawn or forkserver: threads that sort do not survive a fork, and one forked after
    its parent has sorted much, or computed, may wait for them for ever.

    Examples
    --------
    >>> import numpy as np
    >>> import ssimae
    >>> evaluator = ssimae.Evaluator()
    >>> evaluator.update(np.eye(8), np.eye(8) > 0)
    >>> evaluator.compute().auroc
    1.0
    """

    def __init__(self, *, image_top: float = 0.0, memory_limit: int | None = None) -> None:
        if not 0 <= image_top <= 1:
            raise ValueError(f"`image_top` must lie in [0, 1], got {image_top}")
        if memory_limit is not None and memory_limit < 0:
            raise ValueError(f"`memory_limit` must be bytes, or None, got {memory_limit}")
        self._image_top = float(image_top)
        self._memory_limit = memory_limit
        self._scores = self._empty(double=False)

    @property
    def n_images(self) -> int:
        """Images so far."""
        return self._scores.n_images

    @property
    def n_pixels(self) -> int:
        """Inspected pixels so far."""
        return self._scores.n_negatives + self._scores.n_positives

    @property
    def n_regions(self) -> int:
        """Ground-truth regions so far."""
        return self._scores.n_regions

    @property
    def nbytes(self) -> int:
        """Bytes of scores in memory."""
        return self._scores.nbytes

    def update(self, map_: NDArray[Any], mask: NDArray[Any], *, ignore: NDArray[Any] | None = None) -> None:
        """Add one image.

        Parameters
        ----------
        map_ : ndarray of shape (h, w)
            Scores, higher is more defective: any finite values of float16, float32, float64, uint8 or uint16. Scores
            of all images must be float64, or none.
        mask : ndarray of shape (h, w), bool or any number
            Not zero is defect. Regions are its 8-connected components.
        ignore : ndarray of shape (h, w), bool or any number, optional
            Not zero is left out of everything.

        Raises
        ------
        ValueError
            If a shape or value is not as above; nothing is added then.
        OSError
            If the temporary file fails; the image is added then, in memory.
        """
        scores, defects = as_scores(np.asarray(map_)), as_flags(np.asarray(mask))
        if defects.shape != scores.shape:
            raise ValueError(f"the mask must have the shape of its map {scores.shape}, got {defects.shape}")
        ignored = None if ignore is None else as_flags(np.asarray(ignore))
        if ignored is not None and ignored.shape != scores.shape:
            raise ValueError(f"`ignore` must have the shape of its map {scores.shape}, got {ignored.shape}")
        double = scores.dtype == np.float64
        if not self.n_images and self._scores.double != double:
            self._scores = self._empty(double=double)
        self._scores.add(scores, defects, ignored)

    def merge(self, other: Evaluator) -> Evaluator:
        """Add all images of another evaluator, which stays as it is, behind these; returns this one.

        Raises
        ------
        ValueError
            If image scores or types of scores differ; nothing is added then.
        OSError
            If the temporary file fails; all is added then, in memory.
        """
        if not self.n_images and self._scores.double != other._scores.double:
            self._scores = self._empty(double=other._scores.double)
        if other.n_images:
            # One object cannot be read while it is written to.
            self._scores.merge(other._scores if other is not self else _copy(self)._scores)
        return self

    def compute(
        self,
        *,
        fpr_limits: Sequence[float] = (0.3,),
        overlap_quantiles: Sequence[float] = (0.25, 0.5, 0.75),
        overlap_fprs: Sequence[float] = (0.01, 0.05, 0.1, 0.3),
    ) -> Evaluation:
        """Return all metrics of the images so far; more may be added afterwards.

        Parameters
        ----------
        fpr_limits : sequence of float in (0, 1]
            Limits of AU-PRO; the first is `aupro`.
        overlap_quantiles : sequence of float in [0, 1]
            Quantiles over regions of the share a detection covers.
        overlap_fprs : sequence of float in [0, 1]
            False positive rates of the overlap table.

        Raises
        ------
        ValueError
            If a limit, quantile or rate is not as above, or a metric is undefined because there is no pixel with, or
            none without, a defect.

        Notes
        -----
        AU-PRO sorts all scores, merges ties, averages the covered share of the regions, and integrates over the false
        positive rate up to the limit by trapezoids, interpolating at the limit; the area is divided by the limit.
        Overlap is taken at the lowest threshold whose false positive rate is at most the given one, without
        interpolation.

        References
        ----------
        Bergmann et al. 2019, sec. 4.3 and fig. 7. Bergmann, Batzner, Fauser, Sattlegger, Steger: The MVTec Anomaly
        Detection Dataset. IJCV 2021 (AU-PRO).
        """
        limits, quantiles, table = (tuple(map(float, given)) for given in (fpr_limits, overlap_quantiles, overlap_fprs))
        limits = tuple(dict.fromkeys(limits))  # so that columns of regions match the keys of `aupros`
        check_fpr_limits(limits)
        _check_range("overlap_quantiles", quantiles, lambda value: 0 <= value <= 1, "in [0, 1]")
        _check_range("overlap_fprs", table, lambda value: 0 <= value <= 1, "in [0, 1]")
        if not self.n_images:
            raise ValueError("there are no images")
        ascending, rates, asked = sorted(set(limits)), np.unique([*CURVE_FPRS, *table]), sorted(set(table))
        found = self._scores.metrics(
            fpr_limits=ascending, quantiles=list(quantiles), overlap_fprs=rates.tolist(), region_overlap_fprs=asked
        )
        in_table, in_curve = np.searchsorted(rates, table), np.searchsorted(rates, CURVE_FPRS)
        in_limits = [ascending.index(limit) for limit in limits]
        regions, images = self._scores.regions(), self._scores.images()
        image_auroc, reason = _image_auroc(images.scores, images.is_defective)
        return Evaluation(
            auroc=found["auroc"],
            average_precision=found["average_precision"],
            aupros={limit: found["aupros"][place] for limit, place in zip(limits, in_limits, strict=True)},
            image_auroc=image_auroc,
            image_auroc_reason=reason,
            overlap=found["overlap"][in_table].T,
            overlap_quantiles=quantiles,
            overlap_fprs=table,
            threshold_at_fpr={
                fpr: found["thresholds"][place] for fpr, place in zip(table, in_table.tolist(), strict=True)
            },
            best_f1=found["best_f1"],
            best_f1_threshold=found["best_f1_threshold"],
            roc=found["roc"].T,
            pro=found["pro"].T,
            precision_recall=found["precision_recall"].T,
            overlap_curve=np.vstack([CURVE_FPRS, found["overlap"][in_curve].T]),
            regions=RegionScores(
                image=regions.images,
                area=regions.areas,
                box=regions.boxes,
                auroc=found["region_aurocs"],
                aupro=found["region_aupros"][in_limits].T,
                overlap=found["region_overlap"][[asked.index(fpr) for fpr in table]].T,
            ),
            images=ImageScores(images.scores, images.is_defective),
            n_regions=self.n_regions,
            n_images=int(np.count_nonzero(~np.isnan(images.scores))),
            n_pixels=self.n_pixels,
        )

    def thresholds_at(self, fprs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the lowest scores whose false positive rates are at most given ones.

        Parameters
        ----------
        fprs : ndarray of shape (n,), float64 in [0, 1]

        Returns
        -------
        ndarray of shape (n,), float64
            Infinite where even the highest score exceeds the rate.

        Raises
        ------
        ValueError
            If a rate is not in [0, 1], or there is no pixel with, or none without, a defect.
        """
        _check_range("fprs", tuple(fprs.tolist()), lambda value: 0 <= value <= 1, "in [0, 1]")
        rates, places = np.unique(fprs, return_inverse=True)
        found = self._scores.metrics(fpr_limits=[], quantiles=[], overlap_fprs=rates.tolist(), region_overlap_fprs=[])
        return np.array(found["thresholds"])[places]

    def to_bytes(self) -> bytes:
        """Return all scores as bytes; :meth:`from_bytes` reads them on any machine."""
        return self._scores.encoded()

    @classmethod
    def from_bytes(cls, data: bytes, *, memory_limit: int | None = None) -> Evaluator:
        """Return the evaluator that :meth:`to_bytes` wrote.

        Raises
        ------
        ValueError
            If the bytes are cut short, damaged or of another version.
        """
        return cls._of(GatheredScores.from_bytes(data, memory_limit=memory_limit), memory_limit)

    def save(self, path: Path | str) -> None:
        """Write all scores to a file, which appears whole or not at all.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        with replacing(Path(path)) as partial:
            try:
                self._scores.save(partial)
            except OSError as error:
                raise OSError(f"{path}: {error}") from error

    @classmethod
    def load(cls, path: Path | str, *, memory_limit: int | None = None) -> Evaluator:
        """Return the evaluator that :meth:`save` wrote.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is cut short, damaged or of another version.
        """
        Path(path).open("rb").close()  # errors of Python's name the file
        try:
            return cls._of(GatheredScores.load(Path(path), memory_limit=memory_limit), memory_limit)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def _empty(self, *, double: bool) -> GatheredScores:
        return GatheredScores(double=double, image_top=self._image_top, memory_limit=self._memory_limit)

    @classmethod
    def _of(cls, scores: GatheredScores, memory_limit: int | None) -> Evaluator:
        evaluator = cls(image_top=scores.image_top, memory_limit=memory_limit)
        evaluator._scores = scores
        return evaluator

    def __reduce__(self) -> tuple[Callable[..., Evaluator], tuple[bytes, int | None]]:
        return _restored, (self.to_bytes(), self._memory_limit)


def _restored(data: bytes, memory_limit: int | None) -> Evaluator:
    return Evaluator.from_bytes(data, memory_limit=memory_limit)


def _copy(evaluator: Evaluator) -> Evaluator:
    return Evaluator(image_top=evaluator._image_top, memory_limit=evaluator._memory_limit).merge(evaluator)


def _image_auroc(scores: NDArray[np.float64], is_defective: NDArray[np.bool_]) -> tuple[float | None, str | None]:
    inspected = ~np.isnan(scores)
    if is_defective[inspected].all():
        return None, "no defect-free test image"
    if not is_defective.any():
        return None, "no defective test image"
    return float(roc_auc_score(is_defective[inspected], scores[inspected])), None


def check_fpr_limits(limits: tuple[float, ...]) -> None:
    """Refuse limits of the false positive rate that AU-PRO cannot have."""
    _check_range("fpr_limits", limits, lambda value: 0 < value <= 1, "in (0, 1]")


def _check_range(name: str, values: tuple[float, ...], valid: Any, rule: str) -> None:
    for value in values:
        if not valid(value):
            raise ValueError(f"`{name}` must lie {rule}, got {value}")
    if not values:
        raise ValueError(f"`{name}` must not be empty")
