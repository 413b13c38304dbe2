"""Black-box tuning of an ISP in the loop: raw files → an ISP with knobs → a frozen pose network's score → a search."""
