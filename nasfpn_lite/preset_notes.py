"""Where each training preset comes from, and which AP it was published with. Text alone, so that --help is quick."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PresetNote:
    """One preset's origin.

    Attributes:
        source: Who published it, and what it does.
        expected: The AP that the source reports for it, on COCO; nothing here was trained on COCO.
        own_choices: What the source does not say or does otherwise.
    """

    source: str
    expected: str
    own_choices: str = ""


PRESET_NOTES: dict[str, PresetNote] = {
    "finetune": PresetNote(
        "our own, for a few hundred photos: 120 epochs of batch 8, AdamW, cosine, stem frozen",
        "none published",
    ),
    "paper": PresetNote(
        "NAS-FPN paper section 4: 50 epochs of batch 64, SGD, rate .08 divided by 10 after epochs 30 and 40",
        "test-dev: nasfpnlite_3x48 24.2, nasfpnlite_7x64 25.7, fpnlite_64 22.7, nasfpn_r50_7x256 at 640 39.9",
        "averaged weights and a bound of the gradient's norm",
    ),
    "paper_dropblock": PresetNote(
        "NAS-FPN paper section 4.5: 150 epochs, drops after 120 and 140, DropBlock 3x3 in the pyramid",
        "test-dev: nasfpn_r50_7x384 at 1280 46.6, without DropBlock 45.4",
        "keep probability .9, falling from 1 linearly: the paper gives none; .9 is common in public DropBlock code",
    ),
    "amoebanet_cosine": PresetNote(
        "NAS-FPN paper section 4: cosine schedule for AmoebaNet at 1280",
        "test-dev: NAS-FPN 7x384 on AmoebaNet 48.0",
        "50 epochs, batch 64 and rate .08 as for the other networks: the paper gives none for this one; "
        "branches kept with .7, as in AmoebaNet's code for ImageNet (tensorflow/tpu)",
    ),
    "crop640": PresetNote(
        "mmdetection, configs/nas_fpn: 50 epochs of batch 64 on crops of 640, batch norms trained",
        "val2017: fpn_r50_256 37.9, nasfpn_r50_7x256 40.5; its authors saw runs up to 3 lower by chance",
        "our losses (focal gamma 1.5 and Huber, theirs 2.0 and L1) and our NAS-FPN (gates by maximum, theirs by mean); "
        "the first convolution of conv3 is frozen with conv2, for its stride is 4 too",
    ),
}


def describe_presets() -> str:
    """Returns the presets as lines of text, for --help."""
    lines = []
    for name, note in PRESET_NOTES.items():
        lines += [f"  {name}", f"      {note.source}", f"      published AP: {note.expected}"]
        lines += [f"      our choice: {note.own_choices}"] if note.own_choices else []
    return "\n".join(lines)
