"""Turns Pascal VOC and YOLO folders into COCO folders."""

from pathlib import Path

from nasfpn_lite.data.labelled import Faults, ImportResult, LabelledImage, check_folders, write_dataset
from nasfpn_lite.data.voc import read_voc
from nasfpn_lite.data.yolo import read_yolo
from nasfpn_lite.data.yolo_names import read_class_names


def import_voc(source: Path, output: Path, *, force: bool = False, skip_bad: bool = False) -> ImportResult:
    """Imports a Pascal VOC folder; `nasfpn_lite.data.voc` says which layouts.

    Category ids are 1..K in the order of the names. Images without an XML are left out and counted.

    Args:
        force: Replace an existing COCO folder.
        skip_bad: Leave out faulty labels and images and go on; they are named in the result.

    Raises:
        DatasetError: Nothing to import, or faulty labels; each is named with file and object or line.
    """
    source, output = Path(source), Path(output)
    check_folders(source, output)
    faults = Faults()
    images, notes = read_voc(source, faults)
    if not skip_bad:
        faults.refuse()
    names = tuple(sorted({box.name for image in images for box in image.boxes}))
    return _write(images, names, output, faults, force=force, notes=notes)


def import_yolo(source: Path, output: Path, *, force: bool = False, skip_bad: bool = False) -> ImportResult:
    """Imports a YOLO folder; `nasfpn_lite.data.yolo` says which layouts.

    Category ids are YOLO's class numbers plus 1.

    Args:
        force: Replace an existing COCO folder.
        skip_bad: Leave out faulty labels and images and go on; they are named in the result.

    Raises:
        DatasetError: Nothing to import, no class names, or faulty labels; each is named with file and line.
    """
    source, output = Path(source), Path(output)
    check_folders(source, output)
    faults = Faults()
    names = read_class_names(source)
    images = read_yolo(source, names, faults)
    if not skip_bad:
        faults.refuse()
    return _write(images, names, output, faults, force=force)


def _write(
    images: list[LabelledImage],
    names: tuple[str, ...],
    output: Path,
    faults: Faults,
    *,
    force: bool,
    notes: tuple[str, ...] = (),
) -> ImportResult:
    counts = write_dataset(images, names, output, force=force)
    boxes = sum(len(image.boxes) for image in images)
    return ImportResult(output, counts, boxes, names, tuple(faults.lines), notes)
