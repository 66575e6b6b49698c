"""The forms of a statement's text: as one shard runs it, and as each of several does."""

from sqlglot import TokenType
from sqlglot import expressions as exp

from router.analysis.parse import Parsed
from router.analysis.query import (
    GatherForm,
    PulledTable,
    PullUpForm,
    Reply,
    StreamForm,
    TotalsForm,
)
from router.analysis.scopes import Region, quoted
from router.analysis.strangers import at_home
from router.analysis.tables import Located
from router.backends import Access
from router.errors import StatementNotUnderstood, UnsupportedAcrossShards
from router.rewrite.dependent import dependent_edits
from router.rewrite.envelope import (
    ANSWER,
    WRITTEN,
    capped_envelope,
    counted_rows,
    few_envelope,
    gather_envelope,
    json_rows,
    read_envelope,
    write_envelope,
)
from router.rewrite.gather import gather_json_page, gather_json_rows, gather_rows, gatherable
from router.rewrite.page import page
from router.rewrite.partial import partial
from router.rewrite.pull_up import (
    OWN_ARGUMENTS,
    Arguments,
    Fetch,
    check_pullable,
    fetch_envelope,
    row_edits,
    whole_rows,
)
from router.rewrite.splice import Edit, insertion, splice
from router.rewrite.totals import totals
from router.rewrite.whole_groups import groups_are_whole
from router.statement import FEW_ROWS, WHOLE_ROWS


class Forms:
    """The texts of one statement.

    `edits` hold it to the tenant in context, or (`leaving_out`) to tenants that are at home.
    """

    def __init__(  # noqa: PLR0913 - what a text depends on
        self,
        parsed: Parsed,
        found: tuple[Region, ...],
        tables: tuple[Located, ...],
        edits: tuple[Edit, ...],
        access: Access,
        *,
        json: bool,
        counted: bool,
        leaving_out: bool = False,
    ) -> None:
        self.parsed = parsed
        self.tree = parsed.tree
        self.regions = found
        self.tables = tables
        self.edits = edits
        self.access = access
        self.counted = counted
        self.json = json
        self.leaving_out = leaving_out

    def reply(self) -> Reply:
        """What one shard's rows look like."""
        if self.parsed.explained is not None:
            return Reply.ROWS
        writes = isinstance(self.tree, exp.Insert | exp.Update | exp.Delete | exp.Merge)
        if writes and self.tree.args.get("returning") is None:
            return Reply.COMMAND
        return Reply.ENVELOPE if self.json else Reply.ROWS

    def single(self) -> str:
        """The text for one shard, in the form of its answer."""
        return self._whole(self.edits)

    def _whole(self, edits: tuple[Edit, ...]) -> str:
        sql = splice(self.parsed.body, edits)
        if self.reply() is not Reply.ENVELOPE:
            if self.counted:
                raise StatementNotUnderstood("a total is counted for JSON answers of reads")
            explained = self.parsed.explained
            return sql if explained is None else explained.text + sql
        if self.access is Access.READ:
            return read_envelope(sql, self._without_page(edits))
        if self.tree.args.get("with_") is not None:
            return self._behind_with()
        return write_envelope(sql)

    def _behind_with(self) -> str:
        """A write that begins with WITH: its last part becomes one more of the list."""
        start = min((region.start for region in self.regions if region.depth == 0), default=0)
        before = [token for token in self.parsed.tokens if token.start < start]
        if not before or before[-1].token_type is not TokenType.R_PAREN:
            raise StatementNotUnderstood("WITH before a write in parentheses that returns JSON")
        opening = insertion(start, f", {ANSWER} AS (")
        return f"{splice(self.parsed.body, [opening, *self.edits])}) {WRITTEN}"

    def stream(self) -> StreamForm | None:
        """The texts for an answer in pieces from one shard; None: it is given whole."""
        if self.access is Access.WRITE or not self.json:
            return None
        sql, counted = splice(self.parsed.body, self.edits), self._without_page(self.edits)
        capped = capped_envelope(sql, WHOLE_ROWS + 1, counted)
        return StreamForm(capped, counted_rows(json_rows(sql), counted))

    def _without_page(self, edits: tuple[Edit, ...]) -> str | None:
        """The statement without ORDER BY, LIMIT and OFFSET, whose rows are the total."""
        if not self.counted:
            return None
        last = max(
            (region for region in self.regions if region.depth == 0),
            key=lambda region: region.start,
            default=None,
        )
        if last is None or isinstance(self.tree.args.get("expression"), exp.Subquery):
            raise StatementNotUnderstood("a total of SELECT in parentheses is not counted")
        start = _tail(last)
        end = max(token.end + 1 for token in self.parsed.tokens if token.start < start)
        return splice(self.parsed.sql[:end], [edit for edit in edits if edit.end <= end])

    def several(self) -> GatherForm:
        """The text for each of several shards, and how their answers become one.

        Raises:
            UnsupportedAcrossShards: They cannot answer together.
        """
        if groups_are_whole(self.parsed, self.tables):
            return self._of_whole_groups()
        form = gatherable(self.parsed, self.tables)
        region = self.regions[0]
        if self.reply() is Reply.ENVELOPE:
            source, counted = self.tables[0].use.alias, self._without_page(self.edits)
            keys = len(form.terms)
            each = gather_json_rows(self.parsed, region, form, self.edits, source=source)
            page = gather_json_page(self.parsed, region, form, self.edits, source=source)
            return GatherForm(
                sql=gather_envelope(each, keys, counted),
                sort=form.sort,
                limit=form.limit,
                offset=form.offset,
                rows=counted_rows(each, counted),
                page=None if page is None else gather_envelope(page, keys, counted),
                few=few_envelope(each, FEW_ROWS + 1, keys, counted),
            )
        sql = gather_rows(self.parsed, region, form, self.edits)
        return GatherForm(sql, form.sort, form.limit, form.offset, sql)

    def _of_whole_groups(self) -> GatherForm:
        sql = splice(self.parsed.body, self.edits)
        if self.reply() is not Reply.ENVELOPE:
            return GatherForm(sql, (), None, None, sql)
        each, counted = json_rows(sql), self._without_page(self.edits)
        return GatherForm(
            sql=gather_envelope(each, 0, counted),
            sort=(),
            limit=None,
            offset=None,
            rows=counted_rows(each, counted),
            few=few_envelope(each, FEW_ROWS + 1, 0, counted),
        )

    def pulled_up(self, parameters: int) -> PullUpForm:
        """The statement as one server computes it over the rows of several.

        Raises:
            UnsupportedAcrossShards: It would not mean the same over fetched rows.
        """
        check_pullable(self.parsed.nodes, self.tables)
        region, first = self.regions[0], OWN_ARGUMENTS + 1
        arguments = Arguments(first, {})
        taken = partial(self.parsed, region, self.tables, arguments)
        fetches: tuple[Fetch, ...]
        if taken is not None:
            fetches, changes, args = (taken.fetch,), taken.edits, taken.args
        else:
            arguments = Arguments(first, {})
            rows = page(self.parsed, region, self.tables, arguments)
            if rows is not None:
                fetches = (rows,)
            else:
                arguments = Arguments(first, {})
                fetches = whole_rows(self.parsed, self.tables, arguments)
            numbers = {fetch.table: parameters + 1 + at for at, fetch in enumerate(fetches)}
            changes = tuple(row_edits(self.tables, numbers))
            args = tuple(range(parameters))
        if self.leaving_out:
            columns = {t.name: t.tenant_column for t in self.tables if t.tenant_column is not None}
            fetches = at_home(fetches, columns, arguments.number(parameters + 1))
        own = () if self.leaving_out else self.edits
        edits = (*own, *changes, *dependent_edits(self.tables))
        _prove_pulled(self.parsed, self.tables, edits)
        return PullUpForm(
            fetch=fetch_envelope(fetches),
            fetch_args=arguments.indices,
            tables=tuple(PulledTable(fetch.table, fetch.sql, fetch.arrays) for fetch in fetches),
            sql=self._whole(edits),
            args=args,
        )

    def totals(self) -> TotalsForm | None:
        """One row of integers from each shard; None: the answer is something else.

        Raises:
            UnsupportedAcrossShards: It would mean something else on each.
        """
        check_pullable(self.parsed.nodes, self.tables)
        found = () if self.counted else totals(self.parsed, self.tables)
        return TotalsForm(found) if found else None


def _prove_pulled(parsed: Parsed, tables: tuple[Located, ...], edits: tuple[Edit, ...]) -> None:
    """One server has not all rows of a sharded table: where one is named, an edit must replace it.

    What the edits put in names no table but as the type of its rows.
    """
    for located in tables:
        if located.tenant_column is None:
            continue
        name = located.use.node.this
        start, end = name.meta["start"], name.meta["end"] + 1
        replaced = any(edit.start <= start and end <= edit.end for edit in edits)
        if not replaced or parsed.sql[start:end] not in {name.name, quoted(name.name)}:
            raise UnsupportedAcrossShards(f"table {located.name} where it stands")


def _tail(region: Region) -> int:
    starts = [
        region.clauses[kind].start
        for kind in (TokenType.ORDER_BY, TokenType.LIMIT, TokenType.OFFSET, TokenType.FETCH)
        if kind in region.clauses
    ]
    return min(starts, default=region.end)
