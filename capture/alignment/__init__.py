"""A session's pairs judged, brought onto one arm's pixels and written."""
