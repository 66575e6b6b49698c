"""Where a tenant's data lives, and what changes between two maps."""

from shardmap.address import Address, is_url, parse_url, split_host_port
from shardmap.changes import (
    Changes,
    Edit,
    PinChanged,
    SlotsMoved,
    changes_between,
    changes_document,
    changes_text,
)
from shardmap.connection import Connection
from shardmap.credentials import Login, is_reference, resolve
from shardmap.document import read_document, read_map
from shardmap.endpoint import Durability, Endpoint, Role, Shard, Tls
from shardmap.endpoints import endpoint_at_url, endpoint_name
from shardmap.errors import (
    CredentialsUnavailable,
    IdentityTaken,
    InvalidMap,
    InvalidTenantKey,
    InvalidUrl,
    MapConflict,
    MapRefused,
    MapUnavailable,
    Problem,
    ShardMapError,
)
from shardmap.identity import (
    IDENTITY,
    IDENTITY_EXISTS,
    Identity,
    claim_identity,
    expected_identities,
    read_identity,
    settle_identity,
)
from shardmap.ids import CATALOG, KeyType, ShardId, TenantId, tenant_id
from shardmap.inspection import merged, read_facts, table_problems, tables_of
from shardmap.lastgood import LastGoodCopy
from shardmap.map import Pin, PinUnit, ShardMap, SlotUnit, Unit
from shardmap.placement import Global, Placement, Reference, Sharded, TableName, Unsharded
from shardmap.ring import fair_shares, propose
from shardmap.seed import GivenCluster, GivenServers, adopted, differences, first_from
from shardmap.slots import HASH, SLOTS, slot_of
from shardmap.source import CHANNEL, CatalogSource, FileSource, MapRecord
from shardmap.succession import refusals, refuse_moves, succeed
from shardmap.writing import content_hash, write_document, write_json, write_yaml

__all__ = [
    "CATALOG",
    "CHANNEL",
    "HASH",
    "IDENTITY",
    "IDENTITY_EXISTS",
    "SLOTS",
    "Address",
    "CatalogSource",
    "Changes",
    "Connection",
    "CredentialsUnavailable",
    "Durability",
    "Edit",
    "Endpoint",
    "FileSource",
    "GivenCluster",
    "GivenServers",
    "Global",
    "Identity",
    "IdentityTaken",
    "InvalidMap",
    "InvalidTenantKey",
    "InvalidUrl",
    "KeyType",
    "LastGoodCopy",
    "Login",
    "MapConflict",
    "MapRecord",
    "MapRefused",
    "MapUnavailable",
    "Pin",
    "PinChanged",
    "PinUnit",
    "Placement",
    "Problem",
    "Reference",
    "Role",
    "Shard",
    "ShardId",
    "ShardMap",
    "ShardMapError",
    "Sharded",
    "SlotUnit",
    "SlotsMoved",
    "TableName",
    "TenantId",
    "Tls",
    "Unit",
    "Unsharded",
    "adopted",
    "changes_between",
    "changes_document",
    "changes_text",
    "claim_identity",
    "content_hash",
    "differences",
    "endpoint_at_url",
    "endpoint_name",
    "expected_identities",
    "fair_shares",
    "first_from",
    "is_reference",
    "is_url",
    "merged",
    "parse_url",
    "propose",
    "read_document",
    "read_facts",
    "read_identity",
    "read_map",
    "refusals",
    "refuse_moves",
    "resolve",
    "settle_identity",
    "slot_of",
    "split_host_port",
    "succeed",
    "table_problems",
    "tables_of",
    "tenant_id",
    "write_document",
    "write_json",
    "write_yaml",
]
