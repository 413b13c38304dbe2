"""What a finished run reports: how much it made of how much, who is labelled, and how bright it is."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.table import Table

from isp_sim.manifest import PairRecord
from isp_sim.tables import terminal_table

PUBLISHED_MEANS = {"LL-N": 3.2, "LL-H": 1.4, "LL-E": 0.9, "LL-A": 2.0, "WL": 90.5}
"""Mean 8-bit intensity of ExLPose's test splits (Lee et al., CVPR 2023, Table 1)."""


@dataclass
class RunFigures:
    """Sums over a data set's pairs, whatever their number.

    Attributes:
        pairs: by split; LL-A and WL are all.
        levels: sums of the mean 8-bit levels, likewise.
        people: labelled ones, by scene.
    """

    pairs: Counter[str] = field(default_factory=Counter)
    levels: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PUBLISHED_MEANS, 0.0))
    people: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[PairRecord]) -> "RunFigures":
        """Taken in one pass."""
        figures = cls()
        for record in records:
            for split in (record.split, "LL-A", "WL"):
                figures.pairs[split] += 1
                figures.levels[split] += record.mean_well_lit if split == "WL" else record.mean_low_light
            figures.people[record.scene] = sum(person.labelled for person in record.persons)
        return figures


def means_table(figures: RunFigures) -> Table:
    """Mean 8-bit intensity of a data set's pairs by split, beside the published ones."""
    rows = []
    for split, published in PUBLISHED_MEANS.items():
        if count := figures.pairs[split]:
            mean = figures.levels[split] / count
            rows.append((split, count, f"{mean:.2f}", published, f"{mean / published:.2f}"))
        else:
            rows.append((split, 0, "-", published, "-"))
    title = f"mean 8-bit intensity over {_many(len(figures.people), 'scene', 'scenes')}; ExLPose's are of 50"
    return terminal_table(title, ("split", "pairs", "here", "ExLPose", "ratio"), rows)


def summary(figures: RunFigures, folder: str, sheet: str, kind: str, shards: bool, dng: bool) -> str:
    """How many pairs of how many scenes with how many labelled people lie in a data set, and what to do next.

    A photograph that was shot again as another scene counts once; so do the people in it.

    Args:
        figures: of the data set.
        folder: where it lies.
        sheet: its contact sheet.
        kind: of what was shot: `photograph` or `scene`.
        shards: whether it is in shards.
        dng: whether it has raws as DNG.
    """
    people = figures.people
    labelled = sum(map(bool, people.values()))
    people_labelled = f"{_many(sum(people.values()), 'labelled person', 'labelled people')} in {labelled} of them"
    poses = "Annotations/ holds the poses, docs/loaders.md says for whom"
    if shards:
        poses = "docs/scale.md says how they are read"
    elif not labelled:
        poses = "Annotations/ lists the pictures without a pose (photographs take labels from --annotations)"
    of_what = _many(len(people), kind, f"{kind}s")
    if not labelled:
        people_labelled = "nobody in them is labelled"
    files = "open raw/*.dng in any raw developer; " if dng else ""
    if shards:
        files = "unpack them: isp-sim unpack; "
    pairs = _many(figures.pairs["WL"], "pair", "pairs")
    return (
        f"{pairs} of {of_what}, {people_labelled}, in {folder}, contact sheet {sheet}\n"
        f"next: look at the contact sheet; {files}{poses}"
    )


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
