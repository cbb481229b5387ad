"""Imports that an assignment does not allow answer with a sentence, where they stand in a cell."""

import ast
import importlib.util
import sys


class Guard(ast.NodeTransformer):
    """Replaces imports of what the assignment does not allow by an exception that says so.

    Parameters
    ----------
    allowed : list of str
        Packages that the assignment names, for the sentence.
    hidden : list of str
        Packages that are there because others need them, and that answers may not import.

    Notes
    -----
    This gives honest students a clear reason. What keeps packages out is that they are not in the sandbox.
    """

    def __init__(self, allowed, hidden):
        """Know what is allowed."""
        self.allowed, self.hidden = allowed, frozenset(hidden)

    def visit_Import(self, node):
        """Check each name of `import a, b.c`."""
        for alias in node.names:
            if refused := self._refused(alias.name):
                return self._raise(node, refused)
        return node

    def visit_ImportFrom(self, node):
        """Check `from a.b import c`."""
        names = [node.module] if node.level == 0 else []
        if names == ["selfgated"]:
            names = [f"selfgated.{alias.name}" for alias in node.names]
        for name in names:
            if refused := self._refused(name):
                return self._raise(node, refused)
        return node

    def _refused(self, name):
        top = name.partition(".")[0]
        if top == "selfgated" and name != top and not (name + ".").startswith("selfgated.checks."):
            return name
        if top in sys.stdlib_module_names or (top in sys.modules and top not in self.hidden):
            return None
        if top not in self.hidden and importlib.util.find_spec(top) is not None:
            return None
        return top

    def _raise(self, node, name):
        names = ", ".join([*self.allowed, "selfgated.checks"])
        sentence = f"this assignment does not allow {name}; it allows {names}"
        call = ast.Call(
            ast.Name("ModuleNotFoundError", ast.Load()),
            [ast.Constant(sentence)],
            [ast.keyword("name", ast.Constant(name))],
        )
        return ast.fix_missing_locations(ast.copy_location(ast.Raise(call, None), node))
