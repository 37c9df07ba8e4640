"""Updates of a training as CUDA graphs."""
