"""Built-in scenes with people: drawn from a seed, ray-cast over solids and meshes, labelled exactly.

| room or file | what |
|---|---|
| `shapes`, `materials`, `semantics` | solids, what surfaces are made of, classes |
| `raycast` | rays, solids and triangles under light: the picture and its planes |
| `figure` | bones, joint limits, poses, clothes, the outline that people are placed by |
| `bodies` | a figure dressed, as triangles |
| `places` | rooms, streets, squares and parks round them |
| `crowd`, `placing`, `layout` | how many, how large, where, who hides whom: ExLPose's statistics |
| `labels`, `source` | joints, boxes, planes; `People`, the scene source |

Each room imports from those above it only.

Coordinates. There is one frame, the camera's before it is pitched: x to the picture's right, y up, z away from the
camera, metres. It is left-handed: a right-handed frame with the same x and y has z towards the camera. Solids,
furniture, cars and people are made in frames of the same hand, standing on y = 0 with their front at +z. So whoever
faces +z, away from the camera, has their right side at +x and their left at −x; who is turned to the camera (heading
180°) has the left side on the picture's right. Rotations say which axis turns towards which (`shapes.turn_x` …),
because "clockwise" depends on the hand.
"""
