"""Where one arm's pixels lie on the other: from the raws of a session to a map with its error."""
