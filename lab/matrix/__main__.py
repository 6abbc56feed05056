"""``python -m lab.matrix``."""

import sys

from lab.matrix.main import main

sys.exit(main(sys.argv[1:]))
