"""Read settings as JSON and TOML carry them, also those that earlier versions stored."""

from __future__ import annotations

import dataclasses
from typing import Any

from ssimae.config.settings import Settings
from ssimae.errors import perhaps

_EARLIER: dict[str, Any] = {"residual_scales": 1, "stains": 0}
"""What settings were before they had a name, where that is not their default: older files lack them."""


def settings_from_dict(fields: dict[str, Any], *, stored: bool) -> Settings:
    """Return settings from their fields by name, as JSON and TOML carry them.

    Parameters
    ----------
    fields : dict
        Values by name; what is missing takes its default.
    stored : bool
        Whether they are those of a run or model: what is missing there did not exist yet.

    Raises
    ------
    ValueError
        If a name is unknown or a value breaks its rule.
    """
    if stored:
        fields = _EARLIER | fields
    known = {field.name for field in dataclasses.fields(Settings)}
    unknown = sorted(fields.keys() - known)
    if unknown:
        raise ValueError(
            f"unknown setting `{unknown[0]:.40}`{perhaps(unknown[0], known)}; known are {', '.join(sorted(known))}"
        )
    return Settings(**fields)
