"""Enhancers before the pose network: a picture in, a brighter picture out.

| file | what |
|---|---|
| `gladnet`, `zero_dce`, `sci`, `sllen`, `sdag` | networks and their losses; no training code |
| `retinex`, `lime`, `histogram` | classical ones |
| `tiles` | any network over a picture of any size, part by part |
| `enhancer`, `weights` | an enhancer by name, file or factory; files of weights |
| `learners`, `patches`, `voc` | what `models.train_enhancer` trains, and on what |
| `poses` | an enhancer before a frozen pose network |
"""
