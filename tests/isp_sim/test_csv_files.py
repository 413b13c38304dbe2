"""CSV files that users write: every fault names the file, every row its line."""

import pytest

from isp_sim.csv_files import read_rows


def test_rows_come_with_their_lines_and_without_gaps(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("\ufefffile,kind\n\na.png,flat\nb.png\n", encoding="utf-8")
    assert read_rows(path, ("file", "kind")) == [
        (3, {"file": "a.png", "kind": "flat"}),
        (4, {"file": "b.png", "kind": ""}),
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"file,kind\n\xff,flat\n", "list.csv: not a CSV in UTF-8: 'utf-8' codec can't decode byte 0xff"),
        (b"file\na.png\n", r"list.csv: lacks the column\(s\) kind; expected file, kind and, if known, photons"),
        (b"", r"list.csv: lacks the column\(s\) file, kind; expected file, kind"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, content, sentence):
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        read_rows(path, ("file", "kind"), "photons")
