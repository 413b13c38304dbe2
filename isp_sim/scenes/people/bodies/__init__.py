"""Bodies: MakeHuman's mesh in a build's shape, a figure's pose and an outfit.

| file | what |
|---|---|
| `build_asset`, `own_pieces` | make `makehuman.npz` from MakeHuman's files (a command, not needed at run time) |
| `asset` | reads it |
| `shape` | a build's body before it is posed |
| `dress` | clothes on it |
| `pose`, `hands` | a figure's pose on the rig |
| `blend` | skinning, normals |
| `carried` | what is in the hands |
| `body` | all of it: one function |
"""
