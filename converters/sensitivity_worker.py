"""The subprocess that measures stages, `python -m nasfpn_lite.converters.sensitivity_worker FOLDER`; see `boundary`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nasfpn_lite.converters.calibration import as_batches
from nasfpn_lite.converters.convert import JOB_FILE, RESULT_FILE
from nasfpn_lite.converters.networks import Job, Networks
from nasfpn_lite.converters.progress import NETWORK, Steps
from nasfpn_lite.errors import UserError

MEASUREMENT = "error of each stage"
IMAGES = 8  # twice as many give the same first stages, and take twice as long


def main(argv: list[str]) -> int:
    """Does the job in a folder; what a user can mend goes into the result, all else is a traceback."""
    folder = Path(argv[0])
    try:
        result = _work(folder)
    except UserError as error:
        result = {"error": str(error)}
    (folder / RESULT_FILE).write_text(json.dumps(result), encoding="utf-8")
    return 1 if "error" in result else 0


def _work(folder: Path) -> dict[str, Any]:
    from nasfpn_lite.converters.sensitivity import measure_sensitivity

    job = Job.read(folder, json.loads((folder / JOB_FILE).read_text(encoding="utf-8")))
    if job.images is None:
        raise UserError("the search needs calibration images")
    steps = Steps({NETWORK: 1.0, MEASUREMENT: 4.0})
    networks = Networks(job, steps.begin)
    images = as_batches(job.images[:IMAGES])
    network, plan, ranges = networks.folded, networks.plan, networks.ranges
    steps.begin(MEASUREMENT)
    stages = measure_sensitivity(network, plan, ranges, images)
    return {"stages": [asdict(stage) for stage in stages]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
