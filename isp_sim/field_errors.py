"""A fault between fields of a model, with the fields that it is about: so a file's complaint can name their line."""

Keys = tuple[str | int, ...]
"""From a block of a file to something in it: names of fields, places in lists."""


class FieldError(ValueError):
    """What a validator of a whole block raises.

    Args:
        sentence: what is wrong, and what was expected.
        fields: that it is about, each by its name or by its keys from the block; `isp_sim.rigfile` tells the line of
            the first that the file itself sets, else of the first that any file sets.
    """

    def __init__(self, sentence: str, *fields: str | Keys) -> None:
        super().__init__(sentence)
        self.fields: tuple[Keys, ...] = tuple((field,) if isinstance(field, str) else field for field in fields)
