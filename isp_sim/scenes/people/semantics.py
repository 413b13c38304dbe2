"""Classes of the semantic map, by number."""

CLASSES = (
    "nothing", "person", "floor", "wall", "ceiling", "furniture", "vegetation", "vehicle", "sky", "light", "window",
    "building", "ground", "object",
)  # fmt: skip
(
    NOTHING, PERSON, FLOOR, WALL, CEILING, FURNITURE, VEGETATION, VEHICLE, SKY, LIGHT, WINDOW, BUILDING, GROUND, OBJECT,
) = range(len(CLASSES))  # fmt: skip
