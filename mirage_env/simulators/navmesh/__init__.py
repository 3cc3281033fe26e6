"""Where an agent can walk on a mesh, by the rules of Recast and Detour as habitat-sim uses them."""
