"""Built-in scenes with people: drawn from a seed, ray-cast over solids and meshes, labelled exactly.

| file | what |
|---|---|
| `skeleton`, `poses` | bones, joint limits; what people do |
| `clothes`, `bodies`, `mesh` | what somebody wears; a figure dressed, as triangles |
| `shapes`, `materials` | solids and what surfaces are made of |
| `indoor`, `outdoor`, `paints`, `furniture`, `light` | the world round them |
| `crowd`, `outline`, `placing`, `layout` | how many, how large, where, who hides whom: ExLPose's statistics |
| `intersect`, `trace`, `hierarchy`, `triangles`, `textures`, `shade`, `camera`, `render` | the ray caster |
| `labels`, `source` | joints, boxes, planes; `People`, the scene source |

Coordinates. There is one frame, the camera's before it is pitched: x to the picture's right, y up, z away from the
camera, metres. It is left-handed: a right-handed frame with the same x and y has z towards the camera. Solids,
furniture, cars and people are made in frames of the same hand, standing on y = 0 with their front at +z. So whoever
faces +z, away from the camera, has their right side at +x and their left at −x; who is turned to the camera (heading
180°) has the left side on the picture's right. Rotations say which axis turns towards which (`shapes.turn_x` …),
because "clockwise" depends on the hand.
"""
