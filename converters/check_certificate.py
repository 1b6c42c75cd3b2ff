"""`python -m nasfpn_lite.converters.check_certificate FILE --data DIR`: file and photos are those it was made with?"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nasfpn_lite.cli.output import print_table
from nasfpn_lite.converters.calibration import load_calibration
from nasfpn_lite.converters.certificate import Certificate, hash_data, hash_file, hash_images, read_certificate
from nasfpn_lite.converters.metadata import Metadata, read_metadata
from nasfpn_lite.data.coco import load_split
from nasfpn_lite.errors import UserError

EXIT_DIFFERENT = 1


def compare_hashes(file: Path, data: Path) -> dict[str, tuple[str, str]]:
    """Works every hash of a file's certificate out again.

    Args:
        data: The COCO folder that it was calibrated and scored with.

    Returns:
        Name -> the certificate's hash, and the one found now.

    Raises:
        UserError: The file has no certificate, or the photos cannot be read.
    """
    content = file.read_bytes()
    certificate = read_certificate(content)
    if certificate is None:
        raise UserError(f"{file} has no certificate; `nasfpn-lite convert` with --max-ap-drop makes one")
    hashes = {"file": (certificate["file"]["sha256_without_certificate"], hash_file(content))}
    metadata = read_metadata(content)
    seed = metadata.split_seed or 0
    for key in ("data", "training"):
        if recorded := certificate.get(key):  # only quantization-aware training has photos to train on
            split = load_split(data, recorded["split"], categories=metadata.categories, seed=seed)
            hashes[key] = (recorded["sha256"], hash_data(data, split))
    if "sha256" in certificate["calibration"]:
        hashes["calibration"] = (certificate["calibration"]["sha256"], _hash_calibration(metadata, certificate, data))
    return hashes


def _hash_calibration(metadata: Metadata, certificate: Certificate, data: Path) -> str:
    name = certificate["calibration"]["source"].rpartition("/")[2]
    split = load_split(data, name, categories=metadata.categories, seed=metadata.split_seed or 0)
    return hash_images(load_calibration(split, metadata.spec, source=name, force=True))


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the hashes; returns 0 if all are the same, EXIT_DIFFERENT else."""
    parser = argparse.ArgumentParser(prog="check_certificate", description=__doc__)
    parser.add_argument("file", metavar="FILE", type=Path, help=".tflite file with a certificate")
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="COCO folder it was made with")
    args = parser.parse_args(argv)
    try:
        hashes = compare_hashes(args.file, args.data)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_DIFFERENT + 1
    rows = [(name, *pair, "same" if len(set(pair)) == 1 else "DIFFERENT") for name, pair in hashes.items()]
    print_table(("", "certificate", "now", ""), rows)
    return 0 if all(recorded == now for recorded, now in hashes.values()) else EXIT_DIFFERENT


if __name__ == "__main__":
    sys.exit(main())
