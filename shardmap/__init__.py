"""Where a tenant's data lives, and what changes between two maps."""

from shardmap.address import Address, is_url, parse_url, split_host_port
from shardmap.audit import AuditEntry, AuditLog, AuditRecord
from shardmap.changes import (
    Changes,
    Edit,
    PinChanged,
    SlotsMoved,
    changes_between,
    changes_document,
    changes_text,
    gained,
)
from shardmap.connection import Connection
from shardmap.credentials import Login, is_reference, resolve
from shardmap.document import read_document, read_map
from shardmap.endpoint import Durability, Endpoint, Place, Pooling, Role, Shard, Tls
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
    NumberTaken,
    Problem,
    ShardMapError,
    TablesUnsafe,
)
from shardmap.findings import REFUSING, Finding, Rule, Severity, merged
from shardmap.global_unique import guard, unguard, unique_columns, unique_names
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
from shardmap.inspection import Facts, SequenceFact, read_facts, table_findings, tables_of
from shardmap.lastgood import LastGoodCopy
from shardmap.listed import read_listed
from shardmap.map import Pin, PinUnit, ShardMap, SlotUnit, Unit
from shardmap.markup import Plain
from shardmap.numbers import CATALOG_NUMBER, NUMBERS, claim_number, read_number
from shardmap.placement import Global, Placement, Reference, Sharded, TableName, Unsharded
from shardmap.ranges import format_ranges, parse_ranges
from shardmap.rebalancing import (
    drained,
    handed_over,
    rebalanced,
    weighted,
    with_shard,
    without_shard,
)
from shardmap.relocations import (
    Relocation,
    SlotsMove,
    Staged,
    TenantMove,
    moved_map,
    moving_tenants,
    reverted,
    staged,
)
from shardmap.ring import fair_shares, propose
from shardmap.schema import document_schema
from shardmap.seed import GivenCluster, GivenServers, adopted, differences, first_from
from shardmap.sequences import sequence_findings
from shardmap.slots import HASH, SLOTS, slot_of
from shardmap.source import CHANNEL, CatalogSource, FileSource, MapRecord
from shardmap.succession import refusals, refuse_moves, succeed
from shardmap.units import read_unit, unit_text
from shardmap.writing import content_hash, write_document, write_json, write_yaml

__all__ = [
    "CATALOG",
    "CATALOG_NUMBER",
    "CHANNEL",
    "HASH",
    "IDENTITY",
    "IDENTITY_EXISTS",
    "NUMBERS",
    "REFUSING",
    "SLOTS",
    "Address",
    "AuditEntry",
    "AuditLog",
    "AuditRecord",
    "CatalogSource",
    "Changes",
    "Connection",
    "CredentialsUnavailable",
    "Durability",
    "Edit",
    "Endpoint",
    "Facts",
    "FileSource",
    "Finding",
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
    "NumberTaken",
    "Pin",
    "PinChanged",
    "PinUnit",
    "Place",
    "Placement",
    "Plain",
    "Pooling",
    "Problem",
    "Reference",
    "Relocation",
    "Role",
    "Rule",
    "SequenceFact",
    "Severity",
    "Shard",
    "ShardId",
    "ShardMap",
    "ShardMapError",
    "Sharded",
    "SlotUnit",
    "SlotsMove",
    "SlotsMoved",
    "Staged",
    "TableName",
    "TablesUnsafe",
    "TenantId",
    "TenantMove",
    "Tls",
    "Unit",
    "Unsharded",
    "adopted",
    "changes_between",
    "changes_document",
    "changes_text",
    "claim_identity",
    "claim_number",
    "content_hash",
    "differences",
    "document_schema",
    "drained",
    "endpoint_at_url",
    "endpoint_name",
    "expected_identities",
    "fair_shares",
    "first_from",
    "format_ranges",
    "gained",
    "guard",
    "handed_over",
    "is_reference",
    "is_url",
    "merged",
    "moved_map",
    "moving_tenants",
    "parse_ranges",
    "parse_url",
    "propose",
    "read_document",
    "read_facts",
    "read_identity",
    "read_listed",
    "read_map",
    "read_number",
    "read_unit",
    "rebalanced",
    "refusals",
    "refuse_moves",
    "resolve",
    "reverted",
    "sequence_findings",
    "settle_identity",
    "slot_of",
    "split_host_port",
    "staged",
    "succeed",
    "table_findings",
    "tables_of",
    "tenant_id",
    "unguard",
    "unique_columns",
    "unique_names",
    "unit_text",
    "weighted",
    "with_shard",
    "without_shard",
    "write_document",
    "write_json",
    "write_yaml",
]
