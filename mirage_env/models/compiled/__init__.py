"""The networks as loops that numba compiles, for inference on the processor."""
