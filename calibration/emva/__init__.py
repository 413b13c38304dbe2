"""EMVA 1288: flats and darks of a sensor to its numbers, each with its interval."""
