"""The navigable space of a triangle mesh, built and walked by the rules of Recast and Detour, as habitat-sim uses them.

From mesh to polygons: ``voxels`` (solid spans), ``floors`` (linked cells, eroded), ``watershed`` and ``regions``,
``contours``, ``polygons`` and ``detail`` (their heights); ``build`` joins them. On the polygons: ``surface`` (nearest
places, motion), ``corridors`` (paths) and ``top_down`` (maps). Recast and Detour: M. Mononen and contributors,
github.com/recastnavigation/recastnavigation, commit 6dc1667, which habitat-sim 0.2.5 to 0.3.4 build on. None of their
code is used here.
"""
