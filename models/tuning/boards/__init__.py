"""Boards: an ISP on another machine or chip, in a process that speaks JSON lines; docs/hardware.md is its page."""
