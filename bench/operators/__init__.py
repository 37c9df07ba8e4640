"""Physics and arithmetic of pictures: blur, a scanner, resizing, colour, noise, boxes."""
