"""Rig files: what ships loads, what is wrong is told at once, by path and line."""

import pytest
from pydantic import ValidationError

from isp_sim.photo_pairs.rig import load_any_rig
from isp_sim.rig import Figure, Model
from isp_sim.rigfile import load_rig, load_sensor, rigs_folder

RIGS = sorted(p.stem for p in rigs_folder().glob("*.yaml"))
SENSORS = sorted(p.stem for p in (rigs_folder() / "sensors").glob("*.yaml"))


@pytest.mark.parametrize("name", RIGS)
def test_every_rig_loads_by_name_and_by_path(name):
    assert load_any_rig(name) == load_any_rig(rigs_folder() / f"{name}.yaml")


@pytest.mark.parametrize("name", SENSORS)
def test_every_sensor_loads(name):
    assert load_sensor(name).name


def test_every_figure_has_a_source_that_is_no_placeholder(exlpose):
    def figures(model):
        for field in type(model).model_fields:
            value = getattr(model, field)
            if isinstance(value, Figure):
                yield field, value
            elif isinstance(value, Model):
                yield from figures(value)

    found = list(figures(exlpose))
    assert len(found) > 35
    assert not [name for name, figure in found if "placeholder" in figure.source]


def test_two_faults_are_reported_together_with_line_and_what_was_expected(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: exlpose\nwidht_px: 1920\nlens:\n  f_number: {value: -2, status: assumed, source: mine}\n"
        "nd_filter:\n  transmittance: {value: [0.01, 2, 0.01], status: guessed, source: mine}\n"
    )
    with pytest.raises(ValueError) as fault:
        load_rig(path)
    told = str(fault.value).splitlines()
    assert len(told) == 4
    assert f"{path}:2: widht_px: unknown field; did you mean 'width_px'? expected one of name, extends" in str(
        fault.value
    )
    assert f"{path}:4: lens.f_number.value = -2: should be greater than 0" in told
    assert f"{path}:6: nd_filter.transmittance.value.1 = 2: should be less than or equal to 1" in told
    assert any("status = 'guessed': should be 'measured', 'published', 'proxy' or 'assumed'" in line for line in told)


def test_a_misspelt_extends_is_told_alone(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extend: exlpose\nname: mine\n")
    with pytest.raises(ValueError) as fault:
        load_rig(path)
    assert str(fault.value).startswith(f"{path}:1: extend: unknown field; did you mean 'extends'?")
    assert len(str(fault.value).splitlines()) == 1


def test_faults_are_told_in_the_order_of_their_lines_this_file_first(tmp_path):
    """pydantic tells unknown fields last and blocks in the order the model declares them."""
    (tmp_path / "base.yaml").write_text(
        "extends: exlpose\nname: base\nwell_lit:\n  path: sideways\nbinning: 99\n", encoding="utf-8"
    )
    path = tmp_path / "top.yaml"
    path.write_text(
        "extends: base.yaml\nwidht_px: 3\nname: top\nlens:\n  f_number: {value: -2, status: assumed, source: a guess}\n"
        "height_px: 7\nwidth_px: 9\n",
        encoding="utf-8",
    )
    with pytest.raises(ValueError, match="widht_px") as fault:
        load_rig(path)
    told = [line.split(": ")[0] for line in str(fault.value).splitlines()]
    assert told == [f"{path}:{line}" for line in (2, 5, 6, 7)] + [f"{tmp_path / 'base.yaml'}:{n}" for n in (4, 5)]


def test_a_fault_in_the_sensor_file_names_the_sensor_file(tmp_path):
    (tmp_path / "chip.yaml").write_text("name: chip\ncfa: RGB\n")
    path = tmp_path / "mine.yaml"
    path.write_text("extends: exlpose\nsensor: chip.yaml\n")
    with pytest.raises(ValueError) as fault:
        load_rig(path)
    assert f"{tmp_path / 'chip.yaml'}:2: sensor.cfa = 'RGB': should be 'RGGB', 'BGGR', 'GRBG' or 'GBRG'" in str(
        fault.value
    )
    assert "sensor.full_well_e: missing, and it has no default" in str(fault.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1", "not YAML"),
        ("- 1\n", "holds no mapping"),
        ("", "holds no mapping"),
        ("name: a\nname: b\n", "mine.yaml:2: name is duplicated (first in line 1)"),
        ("extends: mine.yaml\n", "extends itself"),
        ("extends: [exlpose]\n", "mine.yaml:1: extends = ['exlpose']: should be one rig's name or file"),
        (
            "extends: exlpose\nsensor: imx93\nbinning: 0\n",
            "mine.yaml:2: sensor = 'imx93': no such sensor file; known are",
        ),
        ("extends: exlpose\nsensor: imx93\nbinning: 0\n", "mine.yaml:3: binning = 0: should be greater than or equal"),
        ("extends: exlpose\nlens:\n  defocus_um: 4\n", "mine.yaml:3: lens.defocus_um = 4: should be a block {value: …"),
        ("extends: exlpose\nname: ../../evil\n", "mine.yaml:2: name = '../../evil': "),
        ("a: &a [*a]\n", "not YAML"),
        ("name: 2001-99-99\n", "not YAML"),
        ("extends: ../secret.yaml\n", "must lie beside the rig that names it"),
        ("extends: exlpose\nbinning: 8\n", "mine.yaml:2: binning 8 of 12 bits sums to"),
        ("extends: exlpose\nwidth_px: 4000\n", "mine.yaml:2: width_px × binning is 4000: the sensor has 1920 pixels"),
        (
            "extends: exlpose\nlow_light:\n  serial: sim-daA1920-160uc-well-lit\n",
            "mine.yaml:3: both arms name the camera",
        ),
        (
            "extends: exlpose\nlow_light:\n  path: transmitted\n",
            "mine.yaml:3: both arms take the transmitted light: one is",
        ),
        ("extends: exlpose\nwell_lit:\n  serial: !!python/object:os.system x\n", "not YAML"),
    ],
)
def test_bad_files_get_a_sentence(tmp_path, text, told):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError) as fault:
        load_rig(path)
    assert told in str(fault.value)
    assert "mine.yaml" in str(fault.value)


def test_light_cannot_be_made_by_the_splitter(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: exlpose\nbeam_splitter:\n  transmittance: {value: [0.5, 0.6, 0.5], status: assumed, source: mine}\n"
    )
    with pytest.raises(
        ValueError, match=r"mine\.yaml:3: beam_splitter: transmittance \+ reflectance of G is 1.100, expected at most 1"
    ):
        load_rig(path)


def test_a_fault_between_fields_names_the_line_of_one_that_the_file_itself_sets(tmp_path):
    figure = "status: assumed, source: a test"
    for text, told in (
        (
            f"light:\n  flicker: {{frequency_hz: {{value: 100, {figure}}}, depth: {{value: 0, {figure}}}}}\n"
            f"  level:\n    {figure.replace(', ', chr(10) + '    ')}\n    value:\n"
            "      - [0, 1]\n      - [2, 1]\n      - [1, 1]\n",
            "mine.yaml:10: light: level's moments are [0.0, 2.0, 1.0]: expected rising seconds",
        ),
        (
            f"width_px: 1200\nbinning: 2\nsensor: {{max_gain_db: {{value: 3, {figure}}}}}\n",
            "mine.yaml:2: width_px × binning is 2400: the sensor has 1920 pixels",
        ),
        (
            f"temperature_c: {{value: 20, {figure}}}\nsensor:\n  max_gain_db: {{value: 3, {figure}}}\n",
            "mine.yaml:4: schedule mix",  # which stands in the file that it extends
        ),
        (
            f"sensor:\n  name: chip\n  adc_bits: {{value: 8, {figure}}}\n  black_level_dn: {{value: 300, {figure}}}\n",
            "mine.yaml:5: sensor: black_level_dn 300.0 must lie below the ADC's top 255",
        ),
        (
            f"sensor:\n  companding: {{value: [[0, 0], [255, 255]], {figure}}}\n",
            "mine.yaml:3: sensor.companding ends at 255 DN",
        ),
        (
            f"low_light:\n  defects:\n    value:\n      stuck: [[3, 1199, 1]]\n      hot:\n      - [3, 3, 9]\n"
            f"      - [5000, 3, 9]\n    {figure.replace(', ', chr(10) + '    ')}\n",
            "mine.yaml:8: low_light.defects.value.hot.1 is (5000, 3, 9.0): expected it in the frame",
        ),
        (
            f"low_light:\n  defects: {{value: {{dead_rows: [1199, 1200]}}, {figure}}}\n",
            "mine.yaml:3: low_light.defects.value.dead_rows.1 is 1200: expected it in the frame",
        ),
        (
            f"low_light:\n  defects: {{value: {{dead_columns: [1920]}}, {figure}}}\n",
            "mine.yaml:3: low_light.defects.value.dead_columns.0 is 1920: expected it in the frame",
        ),
    ):
        with pytest.raises(ValueError) as fault:
            load_rig(written(tmp_path, f"extends: exlpose\n{text}"))
        assert str(fault.value).startswith(f"{tmp_path}/{told}")


def test_an_unknown_name_lists_the_known():
    with pytest.raises(FileNotFoundError, match=f"known are {', '.join(RIGS)}"):
        load_rig("exlpoze")


def test_a_sensor_file_without_fixed_rows_and_columns_has_none_and_says_so(tmp_path):
    path = tmp_path / "older.yaml"
    names = ("prnu_row_percent", "prnu_column_percent", "dsnu_row_e", "dsnu_column_e")
    lines = (rigs_folder() / "sensors" / "imx392.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith(names)), encoding="utf-8")
    chip = load_sensor(path)
    for name in names:
        figure = getattr(chip, name)
        assert (figure.value, figure.status, figure.source) == (0, "assumed", "not stated in the sensor file: none")
    path.write_text(path.read_text(encoding="utf-8") + "dsnu_rows_e: {value: 1, status: assumed, source: mine}\n")
    with pytest.raises(ValueError, match="dsnu_rows_e: unknown field; did you mean 'dsnu_row_e'"):
        load_sensor(path)


def test_models_are_frozen(exlpose):
    with pytest.raises(ValidationError):
        exlpose.width_px = 3


def test_a_rig_written_out_is_the_same_rig(exlpose, tmp_path):
    import yaml

    path = tmp_path / "rig.yaml"
    path.write_text(yaml.safe_dump(exlpose.model_dump(mode="json"), sort_keys=False))
    assert load_rig(path) == exlpose


def test_a_fault_in_a_replaced_list_names_the_file_that_replaced_it(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: exlpose\nschedule:\n  mixes:\n    status: assumed\n    source: mine\n    value:\n"
        "      - {name: a, ratios: [1], bases: [[5000]]}\n"
    )
    with pytest.raises(ValueError) as fault:
        load_rig(path)
    assert str(fault.value).splitlines() == [
        f"{path}:7: schedule.mixes.value.0.bases.0.1: missing, and it has no default"
    ]


def written(folder, text):
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_sensor_may_change_single_fields_of_another(tmp_path):
    row_time = "row_time_us: {value: 15, status: assumed, source: a test}"
    plain = load_rig("exlpose-small").sensor
    for text in (f"sensor: {{extends: imx392, {row_time}}}", f"sensor: {{{row_time}}}"):
        rig = load_rig(written(tmp_path, f"extends: exlpose-small\nname: mine\n{text}\n"))
        assert rig.sensor.row_time_us.value == 15
        assert rig.sensor.model_copy(update={"row_time_us": None}) == plain


def test_a_sensor_that_extends_nothing_known_is_one_sentence(tmp_path):
    path = written(tmp_path, "extends: exlpose-small\nname: mine\nsensor: {extends: imx929}\n")
    with pytest.raises(
        FileNotFoundError, match=r"imx929: no such file, and no sensors file of that name; known"
    ) as told:
        load_rig(path)
    assert "\n" not in str(told.value)
