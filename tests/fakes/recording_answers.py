"""A twin of the router for tests of the REST API: remembers statements, answers as told."""

from router import Result


class RecordingAnswers:
    """Answers each statement with `result`, or raises it if it is an error."""

    def __init__(self):
        self.statements = []
        self.contexts = []
        self.result = Result(0)
        self.expected = 0
        self.plans = ()
        self.options = None

    async def answer(self, statement, context):
        self.statements.append(statement)
        self.contexts.append(context)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    async def stream(self, statement, context, longest_s):
        return await self.answer(statement, context)

    async def planned_rows(self, statement, context):
        await self.answer(statement, context)
        return self.expected

    async def server_plans(self, statement, context, options):
        await self.answer(statement, context)
        self.options = options
        return self.plans
