"""Image quality of a developed picture of a chart: tone, noise, sharpness, texture, colour, flare.

Each figure is a function of arrays; `chart.measure` takes all of them from one picture whose layout is known.
"""
