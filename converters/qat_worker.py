"""The process of a quantization-aware training, `python -m nasfpn_lite.converters.qat_worker FOLDER`."""

import json
import logging
import sys
from pathlib import Path

from nasfpn_lite.converters.qat_recipe import ERROR_FILE, JOB_FILE, QatJob
from nasfpn_lite.errors import UserError

EXIT_INTERRUPTED = 130


def main(argv: list[str]) -> int:
    """Does the job in a folder; what a user can mend goes into a file, all else is a traceback."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("absl").setLevel(logging.ERROR)
    folder = Path(argv[0])
    try:
        from nasfpn_lite.converters.qat_train import train_quantized

        train_quantized(QatJob.from_dict(json.loads((folder / JOB_FILE).read_text(encoding="utf-8"))), folder)
    except UserError as error:
        (folder / ERROR_FILE).write_text(json.dumps({"error": str(error)}), encoding="utf-8")
        return 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
