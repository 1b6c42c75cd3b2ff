"""Reads Pascal VOC folders: one XML per image, boxes 1-based with both corners inside.

Either `JPEGImages/` with `Annotations/` (or `images/` with `annotations/`) and, for splits,
`ImageSets/Main/{train,val,test}.txt`; or XML files beside the images, in `train/`, `val/`, `test/` if there are splits.
An object marked "difficult" becomes a crowd box: like VOC's own scoring, ours then leaves it out.
"""

from pathlib import Path
from xml.etree import ElementTree

from nasfpn_lite.data.coco import SPLITS
from nasfpn_lite.data.labelled import (
    Faults,
    LabelledBox,
    LabelledImage,
    find_images,
    keep_good_box,
    read_lines,
    split_and_name,
)
from nasfpn_lite.data.problems import DatasetError
from nasfpn_lite.preprocess import ImageError, read_image

_IMAGE_FOLDERS = ("JPEGImages", "images")
_XML_FOLDERS = ("Annotations", "annotations")


def read_voc(source: Path, faults: Faults) -> tuple[list[LabelledImage], tuple[str, ...]]:
    """Reads a Pascal VOC folder.

    Returns:
        The labelled images, and notes on what was left out without being faulty.
    """
    image_dir = _first_folder(source, _IMAGE_FOLDERS) or source
    xml_dir = _first_folder(source, _XML_FOLDERS)
    images = find_images(image_dir)
    xml_files = {path: _xml_of(path, image_dir, xml_dir) for path in images}
    labelled = [path for path in images if xml_files[path].is_file()]
    if not labelled:
        raise DatasetError(
            f"{source}: found no image with a Pascal VOC XML; expected JPEGImages/ and Annotations/, or XML files "
            "beside the images"
        )
    _note_orphans(xml_dir or source, {xml_files[path] for path in labelled}, faults)
    splits = _read_image_sets(source / "ImageSets" / "Main", {path.stem for path in labelled}, faults)
    listed = [path for path in labelled if not splits or path.stem in splits]
    records = []
    for path in listed:
        split, file_name = split_and_name(path, image_dir)
        record = _read_labelled(path, xml_files[path], (splits.get(path.stem, split), file_name), faults)
        if record is not None:
            records.append(record)
    notes = (
        (len(images) - len(labelled), "images without an XML"),
        (len(labelled) - len(listed), "images that stand in no list of ImageSets/Main"),
    )
    return records, tuple(f"{count} {text}" for count, text in notes if count)


def _first_folder(source: Path, names: tuple[str, ...]) -> Path | None:
    return next((source / name for name in names if (source / name).is_dir()), None)


def _xml_of(image: Path, image_dir: Path, xml_dir: Path | None) -> Path:
    beside = image.with_suffix(".xml")
    if xml_dir is None or beside.is_file():
        return beside
    return xml_dir / beside.relative_to(image_dir)


def _note_orphans(folder: Path, known: set[Path], faults: Faults) -> None:
    for path in sorted(folder.rglob("*.xml")):
        if path not in known:
            faults.add(str(path), "there is no image of this name")


def _read_image_sets(folder: Path, stems: set[str], faults: Faults) -> dict[str, str]:
    splits: dict[str, str] = {}
    for split in SPLITS:
        file = folder / f"{split}.txt"
        if not file.is_file():
            continue
        for number, line in enumerate(read_lines(file), start=1):
            stem, place = line.strip(), f"{file}, line {number}"
            if not stem:
                continue
            if stem not in stems:
                faults.add(place, f"there is no labelled image {stem!r}")
            elif splits.setdefault(stem, split) != split:
                faults.add(place, f"{stem!r} is already in {splits[stem]}.txt")
    return splits


def _read_labelled(
    path: Path, xml: Path, split_and_name: tuple[str | None, str], faults: Faults
) -> LabelledImage | None:
    try:
        height, width = size = read_image(path).shape[:2]
        root = ElementTree.parse(xml).getroot()
    except ImageError as error:
        faults.add(str(path), str(error).removeprefix(f"{path}: "))
        return None
    except ElementTree.ParseError as error:
        faults.add(f"{xml}, line {error.position[0]}", f"broken XML: {error}")
        return None
    except (OSError, LookupError, ValueError) as error:  # the latter two: an encoding that the parser does not know
        faults.add(str(xml), f"expected UTF-8 text: {error}")
        return None
    said = tuple(_read_side(root, key) for key in ("height", "width"))
    if all(said) and said != (height, width):
        faults.add(str(xml), f"says {said[1]}x{said[0]} pixels, the upright image {path.name} has {size[1]}x{size[0]}")
        return None
    boxes = (
        _read_object(element, size, f"{xml}, object {number}", faults)
        for number, element in enumerate(root.iter("object"), start=1)
    )
    split, name = split_and_name
    return LabelledImage(path, split, name, height, width, tuple(box for box in boxes if box is not None))


def _read_side(root: ElementTree.Element, key: str) -> int:
    # Some tools leave the size out or write 0; then there is nothing to compare with.
    text = (root.findtext(f"size/{key}") or "").strip()
    return int(text) if text.isdecimal() else 0


def _read_object(element: ElementTree.Element, size: tuple[int, int], place: str, faults: Faults) -> LabelledBox | None:
    name = (element.findtext("name") or "").strip()
    if not name:
        faults.add(place, "has no <name>")
        return None
    texts = [(element.findtext(f"bndbox/{key}") or "").strip() for key in ("xmin", "ymin", "xmax", "ymax")]
    try:
        xmin, ymin, xmax, ymax = (float(text) for text in texts)
    except ValueError:
        faults.add(place, f"({name!r}) expected numbers xmin, ymin, xmax, ymax in <bndbox>, got {texts}")
        return None
    crowd = (element.findtext("difficult") or "0").strip() == "1"
    return keep_good_box(
        LabelledBox(name, (xmin - 1, ymin - 1, xmax, ymax), crowd), size, f"{place} ({name!r})", faults
    )
