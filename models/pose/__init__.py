"""The pose network: CPN with lighting-specific batch norm and learning under privileged information."""
