"""A polygon with whole-number corners as triangles, and those joined to convex polygons (Recast's method)."""

from __future__ import annotations

from mirage_env.simulators.mesh.navmesh.rings import Corner, Ring, in_cone, meets, same_place, side_of, squared_length

MOST_CORNERS = 6

Polygon = list[int]


def triangles_of(corners: Ring) -> list[tuple[int, int, int]]:
    """Triangles of a ring of corners, as places in it; the shortest diagonal is cut first.

    Fewer than len(corners) - 2 where the ring crosses itself.
    """
    ring = list(range(len(corners)))
    ear = [False] * len(ring)
    for i in range(len(ring)):
        ear[(i + 1) % len(ring)] = _diagonal(corners, ring, i, (i + 2) % len(ring))
    triangles = []
    while len(ring) > 3:
        n = len(ring)
        lengths = [
            (squared_length(corners[ring[i]], corners[ring[(i + 2) % n]]), i) for i in range(n) if ear[(i + 1) % n]
        ]
        if not lengths:
            # Contours that overlap themselves may have no ear; then one that touches the border does, too.
            loose = [i for i in range(n) if _diagonal(corners, ring, i, (i + 2) % n, loose=True)]
            lengths = [(squared_length(corners[ring[i]], corners[ring[(i + 3) % n]]), i) for i in loose]
        if not lengths:
            return triangles
        i = min(lengths)[1]
        cut = (i + 1) % n
        triangles.append((ring[i], ring[cut], ring[(i + 2) % n]))
        del ring[cut], ear[cut]
        n -= 1
        after = cut if cut < n else 0
        before = (after + n - 1) % n
        ear[before] = _diagonal(corners, ring, (before + n - 1) % n, after)
        ear[after] = _diagonal(corners, ring, before, (after + 1) % n)
    triangles.append((ring[0], ring[1], ring[2]))
    return triangles


def _diagonal(corners: Ring, ring: list[int], i: int, k: int, loose: bool = False) -> bool:
    """Whether the segment from ring corner i to k runs inside the polygon; loosely: it may touch the border."""
    n = len(ring)
    a, b = corners[ring[i]], corners[ring[k]]
    if not in_cone(corners[ring[i - 1]], a, corners[ring[(i + 1) % n]], b, loose):
        return False
    p = corners[ring[-1]]
    for j in range(n):
        q = corners[ring[j]]
        before = j - 1 if j > 0 else n - 1
        if (
            not (before in (i, k) or j in (i, k))
            and not (same_place(a, p) or same_place(b, p) or same_place(a, q) or same_place(b, q))
            and meets(a, b, p, q, loose)
        ):
            return False
        p = q
    return True


def convex_polygons(triangles: list[Polygon], corners: list[Corner]) -> list[Polygon]:
    """Triangles (each three numbers of corners) joined over their longest shared edges while they stay convex."""
    polygons = [list(triangle) for triangle in triangles]
    # Only polygons that share an edge can be joined: what they share changes only when they do.
    shares = {}
    for i, k in _pairs(polygons):
        shares[i, k] = _shared_edge(polygons[i], polygons[k], corners)
    while shares:
        # The longest; of equally long ones the first pair.
        (i, k), (length, at_i, at_k) = min(shares.items(), key=lambda item: (-item[1][0], item[0]))
        if length <= 0:
            break
        a, b = polygons[i], polygons[k]
        polygons[i] = [a[(at_i + 1 + m) % len(a)] for m in range(len(a) - 1)]
        polygons[i] += [b[(at_k + 1 + m) % len(b)] for m in range(len(b) - 1)]
        last = len(polygons) - 1
        near = {j for pair in shares if i in pair or k in pair or last in pair for j in pair} - {k, last}
        polygons[k] = polygons[last]
        del polygons[last]
        shares = {pair: shared for pair, shared in shares.items() if not {i, k, last} & set(pair)}
        for changed in {i, k} - {last}:
            for j in near | ({i, k} - {last}):
                if j != changed:
                    pair = min(j, changed), max(j, changed)
                    shares[pair] = _shared_edge(polygons[pair[0]], polygons[pair[1]], corners)
    return polygons


def _pairs(polygons: list[Polygon]) -> set[tuple[int, int]]:
    beside: dict[frozenset[int], list[int]] = {}
    for i, ring in enumerate(polygons):
        for a, b in zip(ring, [*ring[1:], ring[0]], strict=True):
            beside.setdefault(frozenset((a, b)), []).append(i)
    return {(i, k) for sharing in beside.values() for i in sharing for k in sharing if i < k}


def _shared_edge(a: Polygon, b: Polygon, corners: list[Corner]) -> tuple[int, int, int]:
    """The squared length of the edge that two polygons share and where it is in both; -1 if they cannot be joined."""
    na, nb = len(a), len(b)
    if na + nb - 2 > MOST_CORNERS:
        return -1, -1, -1
    at_a, at_b = -1, -1
    for i in range(na):
        edge = {a[i], a[(i + 1) % na]}
        for k in range(nb):
            if edge == {b[k], b[(k + 1) % nb]}:
                at_a, at_b = i, k
                break
    if at_a < 0:
        return -1, -1, -1
    if side_of(corners[a[at_a - 1]], corners[a[at_a]], corners[b[(at_b + 2) % nb]]) >= 0:
        return -1, -1, -1
    if side_of(corners[b[at_b - 1]], corners[b[at_b]], corners[a[(at_a + 2) % na]]) >= 0:
        return -1, -1, -1
    return squared_length(corners[a[at_a]], corners[a[(at_a + 1) % na]]), at_a, at_b
