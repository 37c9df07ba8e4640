"""Methods in use: on pictures of one's own, as samples, as files for other programs."""
