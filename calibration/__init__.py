"""Frames and published figures → rig numbers as YAML: sensor, colour, geometry, filter."""
