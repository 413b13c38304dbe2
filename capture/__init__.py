"""Real frames: devices, registration, the commands grab and align."""
