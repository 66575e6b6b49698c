"""The errors of the demonstration.

DemoError
├── DemoRunning    D101  another demonstration has the directory   end it, or name another
├── NoRoom         D102  nowhere enough space                       name a directory
├── NoPort         D103  all ports tried are taken                  name a port
├── ServerEnded    D104  the API server ended by itself             read its log
├── StepFailed     D105  a step of the tour proved untrue           a defect, or a broken server
└── NotOurs        D106  the directory holds something else         name another directory
"""


class DemoError(Exception):
    """Anything that ends the demonstration."""

    code = "D100"


class DemoRunning(DemoError):
    """Another demonstration lives in the same directory."""

    code = "D101"


class NoRoom(DemoError):
    """There is not enough space for the cluster."""

    code = "D102"


class NoPort(DemoError):
    """Every port that was tried is taken."""

    code = "D103"


class ServerEnded(DemoError):
    """The API server did not start, or ended by itself."""

    code = "D104"


class StepFailed(DemoError):
    """A step of the tour proved untrue."""

    code = "D105"


class NotOurs(DemoError):
    """The directory holds something that no demonstration made."""

    code = "D106"
