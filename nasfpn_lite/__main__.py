"""`python -m nasfpn_lite` is `nasfpn-lite`."""

import sys

from nasfpn_lite.cli import main

if __name__ == "__main__":
    sys.exit(main())
