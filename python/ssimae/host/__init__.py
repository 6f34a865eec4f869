"""Ask the operating system for what each does in its own way: `system` is the module of this one.

As :mod:`os.path` does, it stands for one of two modules with the same names, which a test compares.
"""

import sys

if sys.platform == "win32":
    from ssimae.host import windows as system
else:
    from ssimae.host import posix as system

__all__ = ["system"]
