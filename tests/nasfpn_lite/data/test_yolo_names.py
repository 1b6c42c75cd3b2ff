import pytest

from nasfpn_lite.data.problems import DatasetError
from nasfpn_lite.data.yolo_names import read_class_names

NAMES = ("cat", "big dog", "it's #1, really")


@pytest.mark.parametrize(
    "text",
    [
        """names: ['cat', "big dog", "it's #1, really"]  # three""",
        """names: [cat, big dog, 'it''s #1, really']""",
        """names:\n- cat\n- big dog\n- "it's #1, really"\nnc: 3""",
        """names:\n  - cat # a comment\n\n  # another\n  - 'big dog'\n  - "it's #1, really"\n""",
        """names:\n  0: cat\n  1: big dog\n  2: "it's #1, really"\nroboflow:\n  version: 1""",
        """names:\n  2: "it's #1, really"\n  0: cat\n  1: big dog""",
        """names: ['cat',\n  'big dog', # second\n  "it's #1, really",\n]\nval: x""",
    ],
)
@pytest.mark.parametrize("file", ["data.yaml", "my set.yml"])
def test_yaml(tmp_path, text, file):
    (tmp_path / file).write_text(f"path: /data # names: [no]\nnc: 3\n{text}\n")
    assert read_class_names(tmp_path) == NAMES


def test_inline_dict(tmp_path):
    (tmp_path / "data.yaml").write_text("""names: {0: cat, '1': "big dog", 2: it's ünicorn}\n""", encoding="utf-8")
    assert read_class_names(tmp_path) == ("cat", "big dog", "it's ünicorn")


@pytest.mark.parametrize("file", ["classes.txt", "obj.names", "labels/classes.txt"])
def test_list_files(tmp_path, file):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("cat\n big dog \n\nit's #1, really\n")
    assert read_class_names(tmp_path) == NAMES


@pytest.mark.parametrize(
    "text, message",
    [
        ("names: cat", r"data.yaml, line 1: expected names as \[a, b\]"),
        ("nc: 1\nnames: [cat", r"data.yaml, line 2: expected names as \[a, b\]"),
        ("names: [cat, [dog]]", r"data.yaml, line 1: cannot read the names at '\[dog\]'"),
        ("names: {0: cat, dog}", r"data.yaml, line 1: cannot read the names at 'dog'"),
        ("names: [cat, 1: dog]", r"data.yaml, line 1: cannot read the names at '1: dog'"),
        ("names:\n  0: cat\n  dog", r"data.yaml, line 3: expected `- name` or `0: name`, got 'dog'"),
        ("names:\n  0: cat\n  2: dog", r"class numbers 0 to 1 without gaps, got \[0, 2\]"),
        ("names:\nnc: 3", r"at least one class name and no empty one, got \[\]"),
        ("names: []", r"at least one class name and no empty one, got \[\]"),
        ("names: [cat, cat]", r"a class name stands twice: \['cat'\]"),
    ],
)
def test_what_is_not_understood_is_named(tmp_path, text, message):
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_class_names(tmp_path)


@pytest.mark.parametrize("file", ["data.yaml", "classes.txt"])
def test_names_must_be_utf8(tmp_path, file):
    (tmp_path / file).write_bytes("names: [kühl]".encode("latin-1"))
    with pytest.raises(DatasetError, match=rf"{file}: expected UTF-8 text: .* byte 0xfc in position 9: .*; save it"):
        read_class_names(tmp_path)


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    (tmp_path / "data.yaml").mkdir()
    with pytest.raises(DatasetError, match=r"data\.yaml: expected UTF-8 text: Is a directory"):
        read_class_names(tmp_path)


def test_no_names_at_all(tmp_path):
    with pytest.raises(DatasetError, match=r"expected the class names in data.yaml .* or in classes.txt"):
        read_class_names(tmp_path)
