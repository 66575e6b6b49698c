"""The errors of the benchmark harness; a class says what whoever runs it should do.

BenchError                          B100
├── ExtraMissing                    B101  install fluxshard[bench]
├── WorldFailed                     B102  look at the log of the server that did not start
├── GeneratorFailed                 B103  look at what the load generator said
├── LimitUnavailable                B104  choose a limit that this machine can keep
├── ResultUnreadable                B105  give a file that `fluxshard bench` wrote
├── NotComparable                   B106  compare runs of the same thing
├── WorkloadUnknown                 B107  choose one that `fluxshard bench list` names
└── PeerFailed                      B108  look at what the peer said

Codes are public, documented and never reused.
"""


class BenchError(Exception):
    """Anything that keeps a benchmark from giving figures. `hint` says what would help."""

    code = "B100"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ExtraMissing(BenchError):
    """Packages that only benchmarks need are not installed."""

    code = "B101"


class WorldFailed(BenchError):
    """A server of the world under test did not start."""

    code = "B102"


class GeneratorFailed(BenchError):
    """A process that makes load ended without its figures."""

    code = "B103"


class LimitUnavailable(BenchError):
    """This machine cannot limit servers in the way that was asked for."""

    code = "B104"


class ResultUnreadable(BenchError):
    """A file is no result of this harness, or one of another release's form."""

    code = "B105"


class NotComparable(BenchError):
    """Two results are of different things; a ratio of them would mean nothing."""

    code = "B106"


class WorkloadUnknown(BenchError):
    """There is no workload of that name."""

    code = "B107"


class PeerFailed(BenchError):
    """Another program that was to be measured did not start, or gave no figure."""

    code = "B108"
