"""Labels beside pictures that EXIF turns, and beside pictures of another size."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from isp_sim.scenes import Person
from isp_sim.scenes.orientation import Header, meaning, read_header, turned
from isp_sim.scenes.photos import Photos

CASES = Path(__file__).parents[3] / "shared" / "cases" / "labels"
WIDTH, HEIGHT = 90, 60  # of the rows as stored
DOT = (21, 12)
QUARTERS = {1: 0, 6: 3, 3: 2, 8: 1}
"""Counter-clockwise quarter turns, NumPy's, from the stored rows to the upright picture."""
SUFFIXES = (".jpg", ".png", ".tif", ".webp")


def save(path: Path, orientation: int, dot: tuple[int, int] = DOT, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    """A grey picture whose one white blot is centred on `dot`, on the stored rows."""
    rows = np.full((size[1], size[0], 3), 40, np.uint8)
    rows[dot[1] - 3 : dot[1] + 4, dot[0] - 3 : dot[0] + 4] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(rows).save(path, exif=exif, quality=95)


def annotate(folder: Path, name: str, spot: tuple[int, int], size: tuple[int, int] | None) -> None:
    joints = [spot[0], spot[1], 2] + [0, 0, 0] * 13
    image = {"id": 1, "file_name": name} | ({"width": size[0], "height": size[1]} if size else {})
    person = {"id": 1, "image_id": 1, "keypoints": joints, "bbox": [spot[0] - 3, spot[1] - 3, 7, 7]}
    (folder / "people.json").write_text(json.dumps({"images": [image], "annotations": [person]}))


def blot(light: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero(light[..., 0] > light.max() / 2)
    return columns.mean(), rows.mean()


def upright_spot(orientation: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> tuple[int, int]:
    plane = np.zeros(size[::-1], bool)
    plane[DOT[1], DOT[0]] = True
    ((y, x),) = np.argwhere(np.rot90(plane, QUARTERS[orientation]))
    return int(x), int(y)


def on_the_blot(photos: Photos) -> bool:
    scene = photos.scene(0)
    (person,) = scene.people
    x, y, width, height = person.bbox
    middle = np.array(blot(scene.radiance))
    joint, centre = np.array(person.keypoints[0][:2]), np.array((x + width / 2 - 0.5, y + height / 2 - 0.5))
    assert np.abs(joint - centre).max() < 0.01  # the box goes where the joint goes
    return bool(np.abs(joint - middle).max() < 0.6)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_header_tells_what_opencv_does(tmp_path, orientation, suffix):
    path = tmp_path / f"a{suffix}"
    save(path, orientation)
    header = read_header(path)
    assert header == Header((WIDTH, HEIGHT), orientation)
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    assert header.upright == picture.shape[1::-1]
    assert blot(picture) == pytest.approx(upright_spot(orientation), abs=0.6)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_stored_labels_turn_with_the_picture(tmp_path, orientation):
    save(tmp_path / "a.jpg", orientation)
    annotate(tmp_path, "a.jpg", DOT, None)
    assert on_the_blot(Photos(tmp_path, None, 999, 999, labels_orientation="stored"))
    assert not on_the_blot(Photos(tmp_path, None, 999, 999, labels_orientation="upright"))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_upright_labels_stay(tmp_path, orientation):
    save(tmp_path / "a.jpg", orientation)
    annotate(tmp_path, "a.jpg", upright_spot(orientation), None)
    photos = Photos(tmp_path, None, 999, 999)
    assert on_the_blot(photos)
    doubt = photos.doubt(0)
    if orientation == 1:
        assert doubt is None
    else:
        assert "a.jpg: EXIF turns it" in doubt and "for the upright picture, though nothing says so" in doubt


@pytest.mark.parametrize(("size", "meant"), [((WIDTH, HEIGHT), "stored"), ((HEIGHT, WIDTH), "upright")])
def test_the_size_in_the_json_settles_which_is_meant_and_is_told(tmp_path, size, meant):
    save(tmp_path / "a.jpg", 6)
    annotate(tmp_path, "a.jpg", DOT if meant == "stored" else upright_spot(6), size)
    photos = Photos(tmp_path, None, 999, 999)
    assert on_the_blot(photos)
    assert f"for the {meant} picture, because the annotations say {size[0]}×{size[1]}" in photos.doubt(0)


def test_what_the_user_says_counts_more_than_the_size(tmp_path):
    """Tools that show a picture upright and write its stored size into the file."""
    save(tmp_path / "a.jpg", 6)
    annotate(tmp_path, "a.jpg", upright_spot(6), (WIDTH, HEIGHT))
    photos = Photos(tmp_path, None, 999, 999, labels_orientation="upright")
    assert on_the_blot(photos) and photos.doubt(0) is None


@pytest.mark.parametrize("orientation", [1, 6])
def test_labels_for_another_size_are_refused_from_the_header_and_from_the_picture(tmp_path, orientation):
    save(tmp_path / "a.jpg", orientation)
    annotate(tmp_path, "a.jpg", DOT, (2 * WIDTH, 2 * HEIGHT))
    photos = Photos(tmp_path, None, 999, 999)
    upright = "90×60" if orientation == 1 else "60×90"
    for look in (photos.doubt, photos.scene):
        with pytest.raises(ValueError, match=f"a.jpg: its annotations say 180×120, the picture has {upright} px"):
            look(0)


def test_sides_exchanged_without_exif_are_another_size(tmp_path):
    save(tmp_path / "a.jpg", 1)
    annotate(tmp_path, "a.jpg", DOT, (HEIGHT, WIDTH))
    with pytest.raises(ValueError, match="its annotations say 60×90, the picture has 90×60 px"):
        Photos(tmp_path, None, 999, 999).scene(0)


def test_stored_labels_of_a_mirrored_picture_are_refused(tmp_path):
    header = Header((WIDTH, HEIGHT), 5)
    with pytest.raises(ValueError, match="EXIF orientation 5 mirrors it"):
        meaning(Path("a.jpg"), header, None, "stored")
    assert meaning(Path("a.jpg"), header, None, "upright") == ("upright", None)


def test_four_quarter_turns_are_none():
    person = Person(((3.0, 4.0, 2),) + ((0.0, 0.0, 0),) * 13, (1.0, 2.0, 30.0, 40.0))
    size, back = (WIDTH, HEIGHT), person
    for _ in range(4):
        back, size = turned(back, Header(size, 6)), size[::-1]
    assert back == person
    assert turned(turned(person, Header((WIDTH, HEIGHT), 3)), Header((WIDTH, HEIGHT), 3)) == person


@pytest.mark.parametrize(
    ("case", "told"),
    [("exif", "480×640 upright"), ("backslash", None), ("resized", "annotations say 640×480, the picture has 480×360")],
)
def test_the_three_inputs_that_failed(case, told):
    if not (CASES / case).is_dir():
        pytest.skip(f"{CASES / case} is not here")
    photos = Photos(CASES / case, None, 999, 999)
    if case == "resized":
        with pytest.raises(ValueError, match=told):
            photos.scene(0)
        return
    (person,) = photos.scene(0).people
    expected = (60, 230, 390, 180) if case == "exif" else (230, 30, 180, 390)
    assert person.bbox == expected
    assert photos.doubt(0) is None if told is None else told in photos.doubt(0)
