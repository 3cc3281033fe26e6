"""The reads of ``raster`` and ``sightlines`` as compiled loops for the CPU: the same rules, the same bits.

``memory.paths`` decides when they are used; nothing else imports this package, for it imports numba. The loops compute
in the order in which torch's operations do, without fused multiply-adds and without reassociation.
"""
