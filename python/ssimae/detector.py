"""The detector as a scikit-learn estimator: it is fitted on good images, then predicts, scores and inspects."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any, Self, Unpack, get_type_hints

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from ssimae.config.keywords import SettingsKeywords
from ssimae.config.presets import Preset
from ssimae.config.presets import preset as named_settings
from ssimae.config.settings import Settings, setting_fields
from ssimae.data.check import depth_note, flat_note, gray_note
from ssimae.data.ignore import inspected_frame
from ssimae.errors import CollapseWarning, perhaps
from ssimae.hardware import resolve_device
from ssimae.images.depth import Image, view
from ssimae.images.given import Given, take_image
from ssimae.images.read import is_flat
from ssimae.inspection.feasible import refuse_infeasible
from ssimae.inspection.holdout import arrange_good
from ssimae.models.build import place
from ssimae.models.dictionary import FeatureDictionary
from ssimae.prediction.prediction import Prediction, prediction_of
from ssimae.storage.model_file import SavedModel, load_model, save_model
from ssimae.training.head.train import train_head
from ssimae.training.learn import learn
from ssimae.tuning.look import LOOKED_AT, look_at, shows_colour
from ssimae.tuning.recipe import choose
from ssimae.tuning.settle import refuse_unsettled, settle

logger = logging.getLogger(__name__)

ImageLike = NDArray[Any] | str | Path
Ignore = NDArray[np.bool_] | Sequence[NDArray[np.bool_] | None] | None


class Detector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
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

    Examples
    --------
    >>> detector = Detector(preset="best-texture", stride=64).fit(good_images)  # doctest: +SKIP
    >>> detector.inspect("part.png").verdict  # doctest: +SKIP
    'good'
    """

    def __init__(
        self,
        *,
        preset: Preset = "default",
        minutes: float = 20.0,
        pretrained: str | Path | None = None,
        device: str = "auto",
        **settings: Unpack[SettingsKeywords],
    ) -> None:
        self.preset = preset
        self.minutes = minutes
        self.pretrained = pretrained
        self.device = device
        self._take(asdict(named_settings(preset)))
        self._take(settings)

    def set_params(self, **params: Any) -> Self:
        """Set parameters and return the detector; with `preset`, all settings become the preset's first.

        A detector that is fitted has to be fitted again when a setting changes: its thresholds hold for the others.
        """
        if "preset" in params:
            self._take(asdict(named_settings(params["preset"])))
        super().set_params(**params)
        return self

    def fit(self, X: Sequence[ImageLike], y: object = None, *, ignore: Ignore = None) -> Detector:
        """Train on defect-free images and set the thresholds.

        Parameters
        ----------
        X : sequence of images
            Arrays or paths; sizes may differ. From 20 on some are held out for the thresholds, below that a band of
            each (see :func:`ssimae.inspection.holdout.split_good`).
        y : ignored
        ignore : ndarray of shape (h, w), bool, or a sequence of them or None, optional
            True for pixels that are not inspected: one mask for all images, or one each.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no image, one is smaller than a patch or not finite, each is of one value throughout, or a
            parameter breaks its rule.
        """
        settings = self._settings()
        device = resolve_device(self.device)
        if not len(X):
            raise ValueError("`X` must hold at least one defect-free image, got none")
        if not 0 < self.minutes < math.inf:
            raise ValueError(f"`minutes` must be positive and finite, got {self.minutes}")
        chooses, given = self.preset == "auto", _changed(settings, named_settings("auto"))
        looked_at = X[:LOOKED_AT] if chooses else []
        some = [_as_image(image, _of_channels(image, settings), "image").pixels[:] for image in looked_at]
        if chooses and "channels" not in given:
            # Files are read in as many as carry something; an array is taken as it is.
            given_so = any(not isinstance(image, str | Path) and np.ndim(image) == 3 for image in X)
            settings = replace(settings, channels=3 if given_so or shows_colour(some) else 1)
        taken = [_as_image(image, settings, f"image {index}") for index, image in enumerate(X)]
        images = [image.pixels for image in taken]
        refuse_infeasible([(image.shape[0], image.shape[1]) for image in images], [], settings)
        files = [(str(name), image.depth) for name, image in zip(X, taken, strict=True) if image.depth is not None]
        notes = [gray_note(sum(image.made_gray for image in taken), len(images))]
        if settings.data_range is None:
            notes.append(depth_note(files))
        for note in notes:
            if note is not None:
                logger.warning("%s", note)
        masks = _one_each(ignore, len(images))
        ignored = [
            _as_ignored(mask, image, f"ignore {index}")
            for index, (mask, image) in enumerate(zip(masks, images, strict=True))
        ]
        kept = [view(image, inspected_frame(mask)) for image, mask in zip(images, ignored, strict=True)]
        if (note := flat_note([is_flat(image) for image in kept])) is not None:
            raise ValueError(f"`X`: {note}")
        if chooses:
            look = look_at(some, [(image.shape[0], image.shape[1]) for image in images])
            settings, _ = choose(images, ignored, look, settings, given=given, minutes=self.minutes, device=device)
        good = arrange_good(images, ignored, settings)
        refuse_unsettled(good, settings)
        parts, part_masks = good.training_parts(settings)
        training = learn(
            parts,
            settings,
            ignored=part_masks,
            pretrained=None if self.pretrained is None else Path(self.pretrained),
            device=device,
        )
        head = None
        if settings.head_patches and not isinstance(training.model, FeatureDictionary):
            head = train_head(
                training.model, parts, settings, ignored=part_masks, device=device, precision=training.precision
            )
        settled = settle(training.model, good, settings, head=head, device=device, precision=training.precision)
        if training.alarm is not None:
            warnings.warn(training.alarm, CollapseWarning, stacklevel=2)
        self.head_, self.alarm_, self.fitted_settings_ = head, training.alarm, self._settings()
        self.model_, self.thresholds_ = training.model, settled.thresholds
        self.reference_, self.settings_ = settled.reference, settled.settings
        return self

    def inspect(self, image: ImageLike, *, ignore: NDArray[np.bool_] | None = None) -> Prediction:
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
        taken = _as_image(image, self.settings_, "image")
        array = taken.pixels
        if taken.made_gray:
            logger.warning("%s: in colour, and inspected in gray", image)
        maps = self._saved().on(resolve_device(self.device)).inspect(array, _as_ignored(ignore, array, "ignore"))
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
        """Return the detector of a file written by :meth:`save` or by a run, or of the folder of a run.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is not a model of this version, or has no thresholds yet.
        """
        path = Path(path)
        path = path / "model.safetensors" if path.is_dir() else path
        saved = load_model(path)
        if saved.thresholds is None:
            raise ValueError(f"{path}: the model has no thresholds yet; finish its run first")
        detector = cls(**asdict(saved.settings), device=device)
        detector.model_, detector.thresholds_ = place(saved.model, resolve_device(device)), saved.thresholds
        detector.head_ = None if saved.head is None else place(saved.head, resolve_device(device))
        detector.reference_, detector.settings_, detector.alarm_ = saved.reference, saved.settings, saved.alarm
        detector.fitted_settings_ = saved.settings
        if saved.alarm is not None:
            warnings.warn(f"{path}: {saved.alarm}", CollapseWarning, stacklevel=2)
        return detector

    def _inspect_each(self, X: Sequence[ImageLike], ignore: Ignore) -> Iterator[Prediction]:
        """Yield what :meth:`inspect` says of each image, one held at a time."""
        for image, mask in zip(X, _one_each(ignore, len(X)), strict=True):
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

    def _take(self, settings: Mapping[str, Any]) -> None:
        for name, value in settings.items():
            if name not in setting_fields():
                raise TypeError(
                    f"Detector has no parameter `{name}`{perhaps(name, setting_fields())}; its settings are the fields "
                    "of ssimae.Settings"
                )
            setattr(self, name, value)

    def _check_fitted(self) -> None:
        """Refuse to inspect before a fit, or with other settings than those of the fit."""
        check_is_fitted(self, "model_")
        now = self._settings()
        for name in _changed(now, self.fitted_settings_):
            raise NotFittedError(
                f"`{name}` is {getattr(now, name)!r}, and was {getattr(self.fitted_settings_, name)!r} when the "
                "detector was fitted: fit it again"
            )

    def _settings(self) -> Settings:
        return Settings(**{name: getattr(self, name) for name in setting_fields()})


def _changed(settings: Settings, base: Settings) -> tuple[str, ...]:
    """Return the names of the settings that differ from others."""
    return tuple(name for name in setting_fields() if getattr(settings, name) != getattr(base, name))


def _of_channels(image: ImageLike, settings: Settings) -> Settings:
    """Return the settings with as many channels as an image may have: three in files."""
    colour = isinstance(image, str | Path) or np.ndim(image) == 3
    return replace(settings, channels=3 if colour else 1)


def _signature() -> Signature:
    """Return the parameters of a detector one by one, for scikit-learn, help() and notebooks."""
    *named, _ = signature(Detector.__init__).parameters.values()
    hints = get_type_hints(Settings)
    defaults = asdict(Settings())
    settings = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=defaults[name], annotation=hints[name]) for name in defaults
    ]
    return Signature([*named, *settings])


Detector.__init__.__signature__ = _signature()  # type: ignore[attr-defined]


def _one_each(ignore: Ignore, count: int) -> list[NDArray[np.bool_] | None]:
    """Return a mask, or None, for each of `count` images."""
    masks = [ignore] * count if ignore is None or isinstance(ignore, np.ndarray) else list(ignore)
    if len(masks) != count:
        raise ValueError(f"`ignore` must be one mask, or as many as images ({count}), got {len(masks)}")
    return masks


def _as_ignored(mask: NDArray[np.bool_] | None, image: Image, what: str) -> NDArray[np.bool_] | None:
    """Return an ignore mask of an image, None where it ignores nothing."""
    if mask is None:
        return None
    ignored = np.asarray(mask) != 0
    if ignored.shape != image.shape[:2]:
        raise ValueError(f"{what} must have the shape of its image {image.shape[:2]}, got {ignored.shape}")
    if ignored.all():
        raise ValueError(f"{what} leaves nothing of its image")
    return ignored if ignored.any() else None


def _as_image(image: ImageLike, settings: Settings, what: str) -> Given:
    return take_image(image, what, channels=settings.channels, data_range=settings.data_range)
