"""What a subprocess of ours needs to find."""

import os
from pathlib import Path

import nasfpn_lite


def package_environment() -> dict[str, str]:
    """Returns this process's environment, so extended that `python -m nasfpn_lite...` works from any folder."""
    root = str(Path(nasfpn_lite.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])}
