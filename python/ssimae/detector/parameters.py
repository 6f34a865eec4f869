"""Hold the parameters of a detector: a preset, the settings one by one, and how a fit is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any, Self, Unpack, get_type_hints

from sklearn.base import BaseEstimator

from ssimae.config.keywords import SettingsKeywords
from ssimae.config.presets import Preset
from ssimae.config.presets import preset as named_settings
from ssimae.config.settings import Settings, setting_fields
from ssimae.errors import perhaps


class Parameters(BaseEstimator):  # type: ignore[misc]
    """An estimator whose parameters are those of :class:`ssimae.Detector`."""

    def __init__(
        self,
        *,
        preset: Preset = "default",
        minutes: float = 20.0,
        pretrained: str | Path | None = None,
        device: str = "auto",
        warm_start: bool = False,
        progress: bool | None = None,
        **settings: Unpack[SettingsKeywords],
    ) -> None:
        self.preset = preset
        self.minutes = minutes
        self.pretrained = pretrained
        self.device = device
        self.warm_start = warm_start
        self.progress = progress
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

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        own = {name: getattr(self, name) for name in _OWN if getattr(self, name) != _OWN[name]}
        preset, given = named_settings(self.preset), self._given()
        own |= {name: value for name, value in given.items() if value != getattr(preset, name)}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in own.items())})"

    def _take(self, settings: Mapping[str, Any]) -> None:
        for name, value in settings.items():
            if name not in setting_fields():
                raise TypeError(
                    f"Detector has no parameter `{name}`{perhaps(name, setting_fields())}; its settings are the fields "
                    "of ssimae.Settings"
                )
            setattr(self, name, value)

    def _given(self) -> dict[str, Any]:
        """Return the settings as they were given, whether they keep their rules or not."""
        return {name: getattr(self, name) for name in setting_fields()}

    def _settings(self) -> Settings:
        return Settings(**self._given())


def changed(settings: Settings, base: Settings) -> tuple[str, ...]:
    """Return the names of the settings that differ from others."""
    return tuple(name for name in setting_fields() if getattr(settings, name) != getattr(base, name))


def _signature() -> Signature:
    """Return the parameters of a detector one by one, for scikit-learn, help() and notebooks."""
    *named, _ = signature(Parameters.__init__).parameters.values()
    hints = get_type_hints(Settings)
    defaults = asdict(Settings())
    settings = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=defaults[name], annotation=hints[name]) for name in defaults
    ]
    return Signature([*named, *settings])


_OWN = {
    name: parameter.default
    for name, parameter in signature(Parameters.__init__).parameters.items()
    if parameter.default is not Parameter.empty
}
"""Parameters that are no settings, with their defaults."""

Parameters.__init__.__signature__ = _signature()  # type: ignore[attr-defined]
