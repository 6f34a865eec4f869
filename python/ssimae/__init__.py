"""ssimae: surface defects found without defect examples (Bergmann et al. 2019).

The public names stand in ``__init__.pyi``; each is imported when it is first used.
"""

from __future__ import annotations

import lazy_loader

_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name != "__version__":
        return _public(name)
    from importlib.metadata import version  # noqa: PLC0415 - it imports more than all of this package does here

    return version("ssimae")
