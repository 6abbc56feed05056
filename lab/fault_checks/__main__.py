"""``python -m lab.fault_checks``."""

import sys

from lab.fault_checks.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
