"""Navigation on grids, and the drawing of surfaces into them, as compiled loops: the same rules, the same bits.

``simulators.kernels`` decides when they are used; nothing else imports this package, for it imports numba. The loops
compute in the order in which NumPy's operations do, without fused multiply-adds and without reassociation.
"""
