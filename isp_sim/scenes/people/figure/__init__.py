"""Who people are: bone lengths, poses, clothes, and the outline that they are placed by."""
