"""Stored procedures: SQL files that are called by name, for clients of the native API."""

from server.rpc.door import RpcDoor
from server.rpc.errors import ProceduresInvalid
from server.rpc.library import Library, load_procedures

__all__ = ["Library", "ProceduresInvalid", "RpcDoor", "load_procedures"]
