"""Self-checks of the assignments: they say in words what is wrong, and decide no points.

One module per assignment (`checks.swish`, `checks.gelu`, ...) with one function per problem; the comparisons
are in `checks.engine`, the grammar of the answers that are formulas in `checks.expressions`.
"""
