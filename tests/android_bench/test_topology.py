"""Clusters and masks of real chips, from the trees that their kernels show."""

import pytest

from nasfpn_lite.android_bench.topology import (
    KNOWN_BIG_MASK,
    Topology,
    TopologyError,
    parse_core_list,
    parse_topology,
    read_topology,
)
from tests.fake_measured_phone import CPU, PIXEL_1_FILES, FakePhone, cpu_tree

# Model -> frequencies in kHz and capacities by core number, as cpuinfo_max_freq and cpu_capacity tell them.
TREES = {
    "Pixel": ([1593600] * 2 + [2150400] * 2, None),
    "Pixel 2": ([1900800] * 4 + [2361600] * 4, None),
    "Pixel 3a": ([1708800] * 6 + [1996800] * 2, None),
    "Pixel 4": ([1785600] * 4 + [2419200] * 3 + [2841600], [261] * 4 + [871] * 3 + [1024]),
    "Pixel 5": ([1804800] * 6 + [2208000, 2400000], [245] * 6 + [942, 1024]),
    "Pixel 6": ([1803000] * 4 + [2253000] * 2 + [2802000] * 2, [160] * 4 + [498] * 2 + [1024] * 2),
    "Pixel 8": ([1704000] * 4 + [2367000] * 4 + [2914000], [210] * 4 + [656] * 4 + [1024]),
    "Pixel 9": ([1950000] * 4 + [2600000] * 3 + [3105000], [250] * 4 + [747] * 3 + [1024]),
}


def topology_of(*tree, **options) -> Topology:
    return parse_topology(cpu_tree(*tree, **options))


@pytest.mark.parametrize(
    ("model", "kinds", "one_big"),
    [
        ("Pixel", ["03", "0c"], "08"),
        ("Pixel 2", ["0f", "f0"], "80"),
        ("Pixel 3a", ["3f", "c0"], "80"),
        ("Pixel 4", ["0f", "70", "80"], "80"),
        ("Pixel 5", ["3f", "40", "80"], "80"),
        ("Pixel 6", ["0f", "30", "c0"], "80"),
        ("Pixel 8", ["0f", "f0", "100"], "100"),
        ("Pixel 9", ["0f", "70", "80"], "80"),
    ],
)
def test_pixels(model, kinds, one_big):
    topology = topology_of(*TREES[model])
    sizes = [len(cluster.cores) for cluster in topology.clusters]
    names = ["little", "mid", "big"] if len(kinds) == 3 else ["little", "big"]
    assert [topology.mask(name, size) for name, size in zip(names, sizes, strict=True)] == kinds
    assert topology.mask() == one_big
    assert topology.find_oddities(model, topology.select()) == ()


def test_the_phone_is_asked_in_one_round_trip(tmp_path):
    phone = FakePhone(tmp_path, PIXEL_1_FILES)
    topology = read_topology(phone)
    assert [(c.cores, c.max_khz, c.capacity) for c in topology.clusters] == [
        ((0, 1), 1593600, 512),
        ((2, 3), 2150400, 1024),
    ]
    assert phone.scripts == 1


def test_capacity_decides_before_frequency():
    topology = topology_of([2000000] * 4 + [1900000] * 4, [300] * 4 + [1024] * 4)
    assert topology.mask("big", 4) == "f0"
    assert topology.mask("little", 4) == "0f"


def test_capacity_of_some_cores_only_is_left_out():
    topology = topology_of([2000000, 2000000, 1900000, 1900000], [None, 300, 1024, 1024])
    assert topology.mask("big", 2) == "03"
    assert topology.clusters[0].capacity is None


def test_capacity_without_any_frequency():
    topology = topology_of([None] * 4, [512, 512, 1024, 1024])
    assert topology.mask("big", 2) == "0c"
    assert topology.clusters[0].max_khz is None


def test_equal_cores_are_all_big_and_little_with_a_note():
    topology = topology_of([2000000] * 4)
    assert topology.mask("big", 4) == topology.mask("little", 4) == "0f"
    assert topology.find_oddities("Odd", ()) == ("all cores look equal: big and little cannot be told apart",)


def test_a_core_that_is_offline_is_not_used_and_named():
    topology = topology_of(*TREES["Pixel 8"], offline=[8])
    assert topology.mask("big", 1) == "80"
    notes = topology.find_oddities("Pixel 8", topology.select())
    assert "core(s) 8 are offline" in notes[0]
    assert notes[1] == "the fastest cores of a Pixel 8 should be 100, but this phone tells 80"


def test_the_table_only_warns():
    topology = topology_of([2150400] * 2 + [1593600] * 2)  # large cores first
    assert topology.mask("big", 2) == "03"
    assert topology.find_oddities("Pixel XL", (0, 1)) == (
        "the fastest cores of a Pixel XL should be 0c, but this phone tells 03",
    )
    assert topology.find_oddities("Some other phone", (0, 1)) == ()
    assert topology.find_oddities(None, (0, 1)) == ()


def test_table_knows_pixels_1_to_9():
    assert {f"Pixel{number}" for number in ("", *(f" {n}" for n in range(2, 10)))} <= set(KNOWN_BIG_MASK)


@pytest.mark.parametrize(
    ("cores", "count", "mask"),
    [("all", 1, "ff"), ("all", 8, "ff"), ("f0", 4, "f0"), ("0x3", 2, "03"), ("C0", 1, "c0"), ("mid", 2, "30")],
)
def test_cores_and_threads(cores, count, mask):
    assert topology_of(*TREES["Pixel 6"]).mask(cores, count) == mask


@pytest.mark.parametrize(
    ("cores", "count", "message"),
    [
        ("big", 3, r"'big' has 2 core\(s\) \(c0\), too few for 3 threads; .* --cores all \(ff\)"),
        ("80", 2, r"'80' has 1 core\(s\)"),
        ("100", 1, "names core.s. 8, which are not there or offline; online are ff"),
        ("bigg", 1, "expected big, mid, little, all or a mask in hex as f0 of the cores to use, got 'bigg'"),
        ("0", 1, "expected big, mid"),
        ("", 1, "expected big, mid"),
        ("big", 0, "at least one thread"),
    ],
)
def test_cores_that_are_not_there(cores, count, message):
    with pytest.raises(TopologyError, match=message):
        topology_of(*TREES["Pixel 6"]).mask(cores, count)


def test_no_mid_cores_on_two_kinds():
    with pytest.raises(TopologyError, match=r"only 2 kind\(s\): 03, 0c; take big or little"):
        topology_of(*TREES["Pixel"]).mask("mid")


def test_a_phone_that_does_not_tell_its_cores():
    with pytest.raises(TopologyError, match="FAKE does not say which cores it has"):
        parse_topology({}, serial="FAKE")


def test_without_the_file_online_all_cores_count_as_online():
    files = cpu_tree([1, 1, 2, 2])
    del files[f"{CPU}/online"]
    assert parse_topology(files).online == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("text", "cores"), [("0-3", (0, 1, 2, 3)), ("0,2-3,7\n", (0, 2, 3, 7)), ("5", (5,)), ("", ()), ("0-x", ())]
)
def test_core_lists(text, cores):
    assert parse_core_list(text) == cores
