"""Black-box tuning of an ISP in the loop: raw files → a tunable ISP → a frozen pose network's score → a search."""
