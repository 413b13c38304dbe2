"""The learned raw stage: noisy mosaic and its known noise → linear RGB, trained on the rig's pairs."""
