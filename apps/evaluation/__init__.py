"""Models measured against people: gold sets, evaluations, and what follows from them."""
