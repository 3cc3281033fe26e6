"""True scenes from files of triangles, by the rules of habitat-sim."""
