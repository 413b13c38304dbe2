"""What a finished run reports: how much it made of how much, who is labelled, and how bright it is."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from isp_sim.manifest import PairRecord
from isp_sim.tables import terminal_table

PUBLISHED_MEANS = {"LL-N": 3.2, "LL-H": 1.4, "LL-E": 0.9, "LL-A": 2.0, "WL": 90.5}
"""Mean 8-bit intensity of ExLPose's test splits (Lee et al., CVPR 2023, Table 1)."""


def means_table(records: Sequence[PairRecord]) -> Table:
    """Mean 8-bit intensity of a data set's pairs by split, beside the published ones."""
    scenes = len({record.scene for record in records})
    rows = []
    for split, published in PUBLISHED_MEANS.items():
        chosen = [record for record in records if split in ("LL-A", "WL", record.split)]
        means = [record.mean_well_lit if split == "WL" else record.mean_low_light for record in chosen]
        if means:
            mean = sum(means) / len(means)
            rows.append((split, len(means), f"{mean:.2f}", published, f"{mean / published:.2f}"))
        else:
            rows.append((split, 0, "-", published, "-"))
    title = f"mean 8-bit intensity over {_many(scenes, 'scene', 'scenes')}; ExLPose's are of 50"
    return terminal_table(title, ("split", "pairs", "here", "ExLPose", "ratio"), rows)


def summary(records: Sequence[PairRecord], folder: Path, sheet: Path, kind: str) -> str:
    """How many pairs of how many scenes with how many labelled people lie in a data set, and what to do next.

    A photograph that was shot again as another scene counts once; so do the people in it.

    Args:
        records: of the data set.
        folder: where it lies.
        sheet: its contact sheet.
        kind: of what was shot: `photograph` or `scene`.
    """
    people = {record.scene: sum(person.labelled for person in record.persons) for record in records}
    labelled = sum(map(bool, people.values()))
    people_labelled = f"{_many(sum(people.values()), 'labelled person', 'labelled people')} in {labelled} of them"
    poses = "Annotations/ holds the poses, docs/loaders.md says for whom"
    if not labelled:
        people_labelled = "nobody in them is labelled"
        poses = "Annotations/ lists the pictures without a pose (photographs take labels from --annotations)"
    of_what = _many(len(people), kind, f"{kind}s")
    return (
        f"{_many(len(records), 'pair', 'pairs')} of {of_what}, {people_labelled}, in {folder}, contact sheet {sheet}\n"
        f"next: look at the contact sheet; open raw/*.dng in any raw developer; {poses}"
    )


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
