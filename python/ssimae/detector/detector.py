"""The detector as a scikit-learn estimator: it is fitted on good images, then predicts, scores and inspects."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import OutlierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from ssimae.bars.shown import shown_progress
from ssimae.data.dataset import Dataset
from ssimae.detector.fit import Begun, fit_images, refuse_unlike
from ssimae.detector.given import (
    Ignore,
    ImageLike,
    MaskLike,
    defective,
    good_ones,
    ignored_of,
    image_of,
    images_of,
    one_each,
    sequence_of,
)
from ssimae.detector.parameters import Parameters, changed
from ssimae.detector.score import image_auroc, planted_score
from ssimae.detector.showing import Shown
from ssimae.errors import CollapseWarning
from ssimae.hardware import resolve_device
from ssimae.models.build import place
from ssimae.pod.table import tabulate_detection
from ssimae.prediction.prediction import Prediction, prediction_of
from ssimae.storage.model_file import SavedModel, load_model, save_model
from ssimae.storage.records import read_detection
from ssimae.storage.run_folder import RunFolder

logger = logging.getLogger(__name__)


class Detector(OutlierMixin, Shown, Parameters):  # type: ignore[misc]
    """Defect detector that learns from good images only.

    Parameters
    ----------
    preset : Preset
        Named settings to start from, such as ``"best-texture"``; see :func:`ssimae.preset`. With ``"auto"`` a fit
        chooses by planted defects what differs in nothing from that preset, as ``ssimae run`` does.
    minutes : float
        With the preset ``"auto"``, time that a fit may take to choose settings, train and set thresholds.
    pretrained : path, optional
        File of torchvision's weights that FM-AE and the dictionary need, where its cache does not hold them.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    warm_start : bool
        Whether a fit goes on from the weights of the one before, as with other estimators of scikit-learn. What is held
        out for the thresholds follows from the images anew: give the same ones, or what was learned may be held out.
    progress : bool or None
        Whether a fit draws bars; None draws them in notebooks and terminals alone.
    **settings
        Single fields of :class:`ssimae.Settings`, each in place of the preset's.

    Attributes
    ----------
    model_ : Autoencoder, VariationalAutoencoder or FeatureDictionary
        Trained network.
    thresholds_ : Thresholds
        Levels for `review` and `defective`, set on good images kept out of training.
    head_ : Head or None
        Discriminative head, trained where `head_patches` is not 0.
    reference_ : Reference or None
        What these show place by place; None where the residual is not calibrated.
    detection_ : DetectionTable or None
        What was found of defects planted on good images; None where none were planted, or a file does not tell.
    trials_ : tuple of Trial
        The trials that chose the settings, where the preset is ``"auto"``.
    fitted_settings_ : Settings
        Settings that it was fitted with.
    settings_ : Settings
        The same, with all that was left to choose.
    alarm_ : str or None
        That the training collapsed, so that no verdict means anything; None where the network learned. A fit, and
        :meth:`load`, warn of it with a :class:`ssimae.errors.CollapseWarning`.

    Notes
    -----
    Images are arrays of shape (h, w) or (h, w, 3) (uint8 and uint16 are scaled by their type's range, float32 and
    float64 have to lie in [0, 1], or in 0..`data_range`) or paths of image files. An array of 8 or 16 bits is not
    copied: leave it as it is while it is worked on. Maps of more than 16 million values lie in temporary files, which
    vanish with the arrays.

    It shows itself in a notebook: settings, thresholds and what it finds. See ``docs/python.md``.

    Examples
    --------
    >>> detector = Detector(preset="best-texture", stride=64).fit("photos/")  # doctest: +SKIP
    >>> detector.inspect("part.png").verdict  # doctest: +SKIP
    'good'

    A training of a second, which learns nothing but shows the way:

    >>> import numpy as np
    >>> import ssimae
    >>> good = list(np.random.default_rng(0).random((2, 64, 96), np.float32))
    >>> detector = ssimae.Detector(patch_size=32, latent_dim=4, patches=32, epochs=1, batch_size=16, stride=16)
    >>> detector.fit(good).inspect(good[0]).residual.shape
    (64, 96)
    """

    def fit(
        self, X: Sequence[ImageLike] | str | Path | Dataset, y: ArrayLike | None = None, *, ignore: Ignore = None
    ) -> Detector:
        """Train on defect-free images and set the thresholds.

        Parameters
        ----------
        X : sequence of images, path of a folder, or Dataset
            Arrays or paths; sizes may differ. Of a folder, or of what :func:`ssimae.open_dataset` returned, the good
            images are taken, as ``ssimae check`` shows them; what is passed over is said, and names that speak against
            "good" are refused. From 20 images on some are held out for the thresholds, below that a band of each (see
            :func:`ssimae.inspection.holdout.split_good`).
        y : array of shape (n,), optional
            Labels, as for :meth:`score`: only images that they call good are learned from.
        ignore : ndarray of shape (h, w), bool, or path of a mask, or a sequence of them or None, optional
            True or white for pixels that are not inspected: one mask for all images, or one each. Of a folder the path
            of a mask, or of a folder of one for each image.

        Returns
        -------
        self

        Raises
        ------
        OSError
            If a file cannot be read.
        ValueError
            If there is no good image, one is smaller than a patch or not finite, each is of one value throughout, or a
            parameter breaks its rule.
        """
        settings = self._settings()
        device = resolve_device(self.device)
        if not 0 < self.minutes < math.inf:
            raise ValueError(f"`minutes` must be positive and finite, got {self.minutes}")
        begun = None
        if self.warm_start and hasattr(self, "model_"):
            begun = Begun(self.model_, self.head_, self.settings_)
            if self.preset != "auto":
                refuse_unlike(begun, settings)
        with shown_progress(self.progress, logger) as progress:
            good = good_ones(X, y, ignore, progress)
            if not len(good.images):
                raise ValueError("`X` must hold at least one defect-free image, got none")
            fitted = fit_images(
                good,
                settings,
                chooses=self.preset == "auto",
                minutes=self.minutes,
                pretrained=None if self.pretrained is None else Path(self.pretrained),
                begun=begun,
                device=device,
                progress=progress,
            )
        training, settled = fitted.training, fitted.settled
        if training.alarm is not None:
            warnings.warn(training.alarm, CollapseWarning, stacklevel=2)
        self.head_, self.alarm_, self.fitted_settings_ = fitted.head, training.alarm, self._settings()
        self.model_, self.thresholds_ = training.model, settled.thresholds
        self.reference_, self.settings_, self.trials_ = settled.reference, settled.settings, fitted.trials
        self.detection_ = None
        if settled.planted is not None:
            self.detection_ = tabulate_detection(settled.planted, pixel_size_mm=settled.settings.pixel_size)
        return self

    def inspect(self, image: ImageLike, *, ignore: MaskLike | None = None) -> Prediction:
        """Return score, verdict, residual map, segmentation and regions of one image; nothing where `ignore` is True.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before :meth:`fit`, and where a setting was changed after it.
        ValueError
            If the image is smaller than a patch, not finite, or has other channels than the model.
        """
        self._check_fitted()
        if self.thresholds_.masked and ignore is None:
            logger.warning("the detector was fitted with ignore masks; without `ignore` the whole image is inspected")
        taken = image_of(image, self.settings_, "image")
        array = taken.pixels
        if taken.made_gray:
            logger.warning("%s: in colour, and inspected in gray", image)
        maps = self._saved().on(resolve_device(self.device)).inspect(array, ignored_of(ignore, array, "ignore"))
        return prediction_of(array, maps, self.thresholds_)

    def predict(self, X: Sequence[ImageLike], *, ignore: Ignore = None) -> NDArray[np.int64]:
        """Return +1 for good images and -1 for defective ones, (n,); `review` counts as good.

        :meth:`inspect` tells the three verdicts apart. `ignore` is as for :meth:`fit`.
        """
        found = self._inspect_each(X, ignore)
        return np.array([-1 if prediction.verdict == "defective" else 1 for prediction in found], dtype=np.int64)

    def score_samples(self, X: Sequence[ImageLike], *, ignore: Ignore = None) -> NDArray[np.float64]:
        """Return the negative score of each image, (n,) float64: higher is more normal."""
        return np.array([-prediction.score for prediction in self._inspect_each(X, ignore)], dtype=np.float64)

    def decision_function(self, X: Sequence[ImageLike], *, ignore: Ignore = None) -> NDArray[np.float64]:
        """Return :meth:`score_samples` shifted so that 0 is the threshold `defective`."""
        return self.score_samples(X, ignore=ignore) + self.thresholds_.defective

    @property
    def offset_(self) -> float:
        """What is taken off :meth:`score_samples` for :meth:`decision_function`."""
        return -self.thresholds_.defective

    def score(self, X: Sequence[ImageLike], y: ArrayLike | None = None, *, ignore: Ignore = None) -> float:
        """Return how well images are told apart, in [0, 1], larger being better; what a grid search maximises.

        Parameters
        ----------
        X : sequence of images
        y : array of shape (n,), optional
            Labels: True or 1 for defective and False or 0 for good, or -1 for defective and +1 for good, as
            :meth:`predict` has them. With labels the score is the AUROC of the images. Without, all images have to be
            good: defects are planted on them, the same for every detector, and the score is the mean of the AU-PRO up
            to a false positive rate of 5 % and of how often a planted defect exceeds the levels of good images, over
            the upper half of these (see ``docs/verdicts.md``).
        ignore : as for :meth:`fit`

        Raises
        ------
        ValueError
            If labels are of one kind or another, or no defect can be planted that is seen.
        """
        self._check_fitted()
        if y is not None:
            return image_auroc(-self.score_samples(X, ignore=ignore), defective(y, len(X)))
        images = [image.pixels for image in images_of(sequence_of(X), self.settings_, lambda count: None)]
        masks = [
            ignored_of(mask, image, f"ignore {index}")
            for index, (mask, image) in enumerate(zip(one_each(ignore, len(X)), images, strict=True))
        ]
        inspector = self._saved().on(resolve_device(self.device))
        return planted_score(inspector, images, masks, min_area=self.thresholds_.min_area)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags

    def save(self, path: str | Path) -> None:
        """Write network, settings and thresholds to one safetensors file.

        Raises
        ------
        OSError
            If the file cannot be written; what stood there stays.
        """
        self._check_fitted()
        save_model(Path(path), self._saved())

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> Detector:
        """Return the detector of a file written by :meth:`save` or by a run: its ``model.safetensors`` or its folder.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is not a model of this version, or has no thresholds yet.
        """
        folder = RunFolder(Path(path))
        saved = load_model(folder.model if folder.root.is_dir() else folder.root)
        if saved.thresholds is None:
            raise ValueError(f"{path}: the model has no thresholds yet; finish its run first")
        detector = cls(**asdict(saved.settings), device=device)
        detector.model_, detector.thresholds_ = place(saved.model, resolve_device(device)), saved.thresholds
        detector.head_ = None if saved.head is None else place(saved.head, resolve_device(device))
        detector.reference_, detector.settings_, detector.alarm_ = saved.reference, saved.settings, saved.alarm
        detector.fitted_settings_, detector.trials_ = saved.settings, ()
        detector.detection_ = read_detection(folder.pod)
        if saved.alarm is not None:
            warnings.warn(f"{path}: {saved.alarm}", CollapseWarning, stacklevel=2)
        return detector

    def _inspect_each(self, X: Sequence[ImageLike], ignore: Ignore) -> Iterator[Prediction]:
        """Yield what :meth:`inspect` says of each image, one held at a time."""
        for image, mask in zip(sequence_of(X), one_each(ignore, len(X)), strict=True):
            yield self.inspect(image, ignore=mask)

    def _saved(self) -> SavedModel:
        return SavedModel(
            self.model_,
            self.settings_,
            self.thresholds_.precision,
            self.thresholds_,
            self.head_,
            self.reference_,
            self.alarm_,
        )

    def _check_fitted(self) -> None:
        """Refuse to inspect before a fit, or with other settings than those of the fit."""
        check_is_fitted(self, "model_")
        now = self._settings()
        for name in changed(now, self.fitted_settings_):
            raise NotFittedError(
                f"`{name}` is {getattr(now, name)!r}, and was {getattr(self.fitted_settings_, name)!r} when the "
                "detector was fitted: fit it again"
            )
