"""Which trials run, where, and what tunes them."""
