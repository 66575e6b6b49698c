"""The nodes of a statement's tree by their class: one walk, which every question after it shares."""

from collections.abc import Iterator, Mapping
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

    def of(self, *kinds: type[Node]) -> Iterator[Node]:
        """The nodes of these classes and of their subclasses, class by class."""
        for known, nodes in self._by_class.items():
            if issubclass(known, kinds):
                yield from nodes  # type: ignore[misc]  # they are of the class

    def have(self, *kinds: type[exp.Expr]) -> bool:
        """Whether there is a node of one of these classes."""
        return any(issubclass(known, kinds) for known in self._by_class)
