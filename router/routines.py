"""The functions of a database that clients may call by name, as `pg_proc` describes them."""

from dataclasses import dataclass

from shardmap import TableName


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of a function, or a column of the rows that it gives.

    `type` is spelled as `Column.type` is, and `category` is `pg_type.typcategory`.
    """

    name: str
    """Empty: it has none, and is given by its place."""
    type: str
    category: str


@dataclass(frozen=True, slots=True)
class Routine:
    """One function. Several of one name differ in their arguments."""

    schema: str
    name: str
    arguments: tuple[Parameter, ...]
    defaults: int
    """So many of the last arguments may be left out."""
    variadic: bool
    """The last argument is an array that takes all that are left."""
    volatile: bool
    void: bool
    """It gives nothing."""
    set_of: bool
    """It gives any number of rows or values."""
    type: str
    columns: tuple[Parameter, ...] = ()
    """Of the rows that it gives; none: it gives values."""
    table: TableName | None = None
    """The table whose rows it gives."""
    category: str = "U"
    """`pg_type.typcategory` of what it gives."""
    one_row: bool = False
    """It gives any number of rows, and is declared to give one: `ROWS 1`."""

    @property
    def of_row(self) -> str | None:
        """The type of its only argument that must be given; None: it is not called with one."""
        if self.variadic or not self.arguments or len(self.arguments) - self.defaults > 1:
            return None
        return self.arguments[0].type
