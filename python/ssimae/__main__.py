"""``python -m ssimae``."""

import sys

from ssimae.cli import main

sys.exit(main())
