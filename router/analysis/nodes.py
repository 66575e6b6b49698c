"""The nodes of a statement's tree by their class: one walk, which every question after it shares."""

from collections.abc import Mapping
from functools import cache
from typing import TypeVar

from sqlglot import expressions as exp

Node = TypeVar("Node", bound=exp.Expr)


class Nodes:
    """All nodes of one tree. Those of a class come outermost first, as `find_all` gives them.

    Edits are made in texts and never in trees, so what was read once stays true.
    """

    __slots__ = ("_by_class",)

    def __init__(self, tree: exp.Expr) -> None:
        by_class: dict[type[exp.Expr], list[exp.Expr]] = {}
        nodes = [tree]
        for node in nodes:  # which grows as it is read: breadth first
            found = by_class.get(type(node))
            if found is None:
                by_class[type(node)] = [node]
            else:
                found.append(node)
            for value in node.args.values():
                if isinstance(value, exp.Expr):
                    nodes.append(value)
                elif type(value) is list:
                    nodes += [item for item in value if isinstance(item, exp.Expr)]
        self._by_class = by_class

    @property
    def by_class(self) -> Mapping[type[exp.Expr], list[exp.Expr]]:
        """The nodes of each class that the tree has, without those of its subclasses."""
        return self._by_class

    def of(self, *kinds: type[Node]) -> list[Node]:
        """The nodes of these classes and of their subclasses, class by class."""
        found: list[exp.Expr] = []
        by_class = self._by_class
        for kind in kinds:
            members = family(kind)  # type: ignore[arg-type]  # a class is hashable
            if len(members) == 1:
                found += by_class.get(kind, ())
            else:
                for known, nodes in by_class.items():
                    if known in members:
                        found += nodes
        return found  # type: ignore[return-value]  # they are of the classes

    def have(self, *kinds: type[exp.Expr]) -> bool:
        """Whether there is a node of one of these classes."""
        return any(self.of(kind) for kind in kinds)


@cache
def family(kind: type[exp.Expr]) -> frozenset[type[exp.Expr]]:
    """A class with all its subclasses."""
    found = [kind]
    for each in found:
        found += each.__subclasses__()
    return frozenset(found)
