"""Public networks that read pictures, as plain torch modules: an ISP can be judged, and taught, through them."""
