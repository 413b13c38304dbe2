"""Built-in scenes with people: drawn from a seed, ray-cast over analytic solids, labelled exactly.

| file | what |
|---|---|
| `skeleton`, `poses` | bones, joint limits; what people do |
| `clothes`, `head`, `body` | a figure dressed, as solids |
| `shapes`, `materials` | solids and what they are made of |
| `indoor`, `outdoor`, `paints`, `furniture`, `light` | the world round them |
| `crowd`, `placing`, `layout` | how many, how large, where, who hides whom: ExLPose's statistics |
| `intersect`, `trace`, `skin`, `textures`, `shade`, `render` | the ray caster |
| `labels`, `source` | joints, boxes, planes; `People`, the scene source |
"""
