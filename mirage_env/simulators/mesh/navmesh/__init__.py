"""The navigable space of a triangle mesh, built and walked by the rules of Recast and Detour, as habitat-sim uses them.

From mesh to polygons: ``voxels`` (solid spans), ``floors`` (linked cells, eroded), ``watershed`` and ``regions``,
``contours``, ``polygons`` and ``detail`` (their heights); ``build`` joins them. On the polygons: ``surface`` (nearest
places, motion), ``corridors`` (paths) and ``top_down`` (maps).

Recast and Detour 1.6.0 are by M. Mononen and contributors (github.com/recastnavigation/recastnavigation); habitat-sim
0.3.4 builds on that version, earlier ones on older. This is a new program by the same rules, without their code.
"""
