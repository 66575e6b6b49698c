"""The keys that tokens are signed with: read from a secret's text, and asked for a token's payload.

Which algorithms a key is for is decided by the key, never by the token: a public key is no secret
for HMAC, and `none` is for nobody (RFC 8725, 3.1). What a token may say is which of several keys
it means (`kid`).
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

import jwt
from jwt.algorithms import get_default_algorithms

from server.errors import TokenUndecodable

LEAST_BYTES: Final = 32
"""HS256 keys shorter than the hash (RFC 7518, 3.2) can be guessed offline from one token."""

_HMAC: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The shortest key of each, in bytes: as long as the hash (RFC 7518, 3.2)."""
_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Final = {
    "P-256": "ES256",
    "P-384": "ES384",
    "P-521": "ES512",
    "secp256k1": "ES256K",
    "Ed25519": "EdDSA",
    "Ed448": "EdDSA",
}
_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "oth")
"""Members of a JWK that only its owner needs (RFC 7518, 6.2.2 and 6.3.2)."""

_ALGORITHMS: Final = get_default_algorithms()
_SIGNATURES: Final = jwt.PyJWS()
_KNOWN: Final = frozenset({*_HMAC, *_RSA, *_CURVES.values()})


class KeysUnusable(ValueError):
    """The text is no key that tokens can be checked with."""


class Key(NamedTuple):
    """One key, and what it is for. `id` is None where nobody has named it."""

    id: str | None
    algorithms: tuple[str, ...]
    material: Any
    """As PyJWT takes it: bytes, or a public key."""


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys that are believed. `named`: they are JWKs, so a token's `kid` must be one of theirs."""

    keys: tuple[Key, ...] = field(repr=False)
    named: bool = False

    @classmethod
    def read(cls, text: str, *, is_base64: bool = False) -> Self:
        """The keys of a secret: a JWK, a set of them, PEM, or else the bytes of a secret.

        Raises:
            KeysUnusable: It is none of them, or too short.
        """
        if is_base64:
            secret = _decoded(text)
            try:
                text = secret.decode()
            except UnicodeDecodeError:
                return cls((_of_bytes(None, secret, None),))
        else:
            secret = text.encode()
        document = _document(text)
        if document is not None:
            return cls(tuple(_of_document(document)), named=True)
        if text.lstrip().startswith("-----BEGIN "):
            return cls((_of_pem(text.strip()),))
        return cls((_of_bytes(None, secret, None),))

    def payload(self, token: str) -> bytes:
        """What a token says that one of the keys has signed.

        Raises:
            TokenUndecodable: Not a token, another algorithm, or another key.
        """
        parts = token.count(".") + 1
        if not token:
            raise TokenUndecodable("Empty JWT is sent in Authorization header")
        if parts != 3:
            raise TokenUndecodable(f"Expected 3 parts in JWT; got {parts}")
        algorithm, name = _header(token)
        found = [key for key in self.keys if algorithm in key.algorithms and self._means(name, key)]
        if not found:
            raise _no_key("No suitable key was found to decode the JWT")
        for key in found:
            try:
                payload: bytes = _SIGNATURES.decode(token, key.material, algorithms=[algorithm])
            except jwt.InvalidSignatureError:
                continue
            except jwt.PyJWTError as error:
                raise TokenUndecodable("JWT cryptographic operation failed") from error
            return payload
        raise _no_key("None of the keys was able to decode the JWT")

    @property
    def secret(self) -> bool:
        """Whether they are secrets, rather than keys that everybody may know."""
        return all(isinstance(key.material, bytes) for key in self.keys)

    def signed(self, claims: Mapping[str, object]) -> str:
        """A token with these claims, signed with the first key that is a secret.

        Raises:
            KeysUnusable: There is none: those who sign have other keys than those who check.
        """
        for key in self.keys:
            if isinstance(key.material, bytes):
                headers = None if key.id is None else {"kid": key.id}
                return jwt.encode(dict(claims), key.material, key.algorithms[0], headers=headers)
        raise KeysUnusable(
            "a public key cannot sign: tokens are made by whoever has the private one"
        )

    def _means(self, name: str | None, key: Key) -> bool:
        return name is None or not self.named or name == key.id


def _header(token: str) -> tuple[str, str | None]:
    if not token.isascii():
        raise TokenUndecodable("JWT cryptographic operation failed")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise TokenUndecodable("JWT cryptographic operation failed") from error
    algorithm, name = header.get("alg"), header.get("kid")
    if isinstance(algorithm, str) and algorithm.lower() == "none":
        raise TokenUndecodable(
            "Wrong or unsupported encoding algorithm",
            details="JWT is unsecured but expected 'alg' was not 'none'",
        )
    if not isinstance(algorithm, str) or algorithm not in _KNOWN:
        raise TokenUndecodable("JWT cryptographic operation failed")
    return algorithm, name


def _no_key(details: str) -> TokenUndecodable:
    return TokenUndecodable("No suitable key or wrong key type", details=details)


def _decoded(text: str) -> bytes:
    """Base64 in either alphabet, with padding or without."""
    plain = "".join(text.split()).translate(str.maketrans("-_.", "+/="))
    try:
        return base64.b64decode(
            plain.rstrip("=") + "=" * (-len(plain.rstrip("=")) % 4), validate=True
        )
    except binascii.Error as error:
        raise KeysUnusable("is no base64") from error


def _document(text: str) -> dict[str, Any] | None:
    """The JSON object that the text is; None: it is something else."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        document = json.loads(text)
    except ValueError as error:
        raise KeysUnusable("begins like a JSON Web Key and is no JSON") from error
    return document if isinstance(document, dict) else None


def _of_document(document: Mapping[str, Any]) -> Iterator[Key]:
    if "keys" not in document:
        yield _of_jwk(document)
        return
    listed = document["keys"]
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise KeysUnusable("is no JSON Web Key Set: its `keys` are no list of keys")
    signing = [each for each in listed if _checks_signatures(each)]
    if not signing:
        raise KeysUnusable("is a JSON Web Key Set without a key for signatures")
    yield from map(_of_jwk, signing)


def _checks_signatures(jwk: Mapping[str, Any]) -> bool:
    operations = jwk.get("key_ops")
    return jwk.get("use", "sig") == "sig" and (
        not isinstance(operations, list) or not {"verify", "sign"}.isdisjoint(operations)
    )


def _of_jwk(jwk: Mapping[str, Any]) -> Key:
    name, kind = jwk.get("kid"), jwk.get("kty")
    said = jwk.get("alg")
    if name is not None and not isinstance(name, str):
        raise KeysUnusable("is a JSON Web Key whose `kid` is no text")
    if kind == "oct":
        return _of_bytes(name, _decoded(str(jwk.get("k", ""))), said)
    possible: tuple[str, ...]
    if kind == "RSA":
        possible = _RSA
    elif kind in {"EC", "OKP"} and jwk.get("crv") in _CURVES:
        possible = (_CURVES[str(jwk["crv"])],)
    else:
        raise KeysUnusable(
            f"is a JSON Web Key of an unknown kind: {kind} {jwk.get('crv', '')}".strip()
        )
    chosen = _chosen(said, possible)
    public = {key: value for key, value in jwk.items() if key not in _PRIVATE}
    algorithm = _ALGORITHMS.get(chosen[0])
    if algorithm is None:
        raise KeysUnusable(f"needs the package cryptography, for {chosen[0]}")
    try:
        return Key(name, chosen, algorithm.from_jwk(public))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise KeysUnusable(f"is no usable JSON Web Key: {error}") from error


def _of_pem(text: str) -> Key:
    for possible in (_RSA, *((each,) for each in _CURVES.values())):
        algorithm = _ALGORITHMS.get(possible[0])
        if algorithm is None:
            raise KeysUnusable("needs the package cryptography, for a key in PEM")
        try:
            material = algorithm.prepare_key(text)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        if hasattr(material, "public_key"):
            material = material.public_key()
        curve = getattr(getattr(material, "curve", None), "name", None)
        named = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
        return Key(None, possible if curve is None else (named.get(curve, "ES256K"),), material)
    raise KeysUnusable("is no public key in PEM")


def _of_bytes(name: str | None, secret: bytes, said: object) -> Key:
    """A secret, for each HMAC whose hash is not longer than it."""
    if len(secret) < LEAST_BYTES:
        raise KeysUnusable(f"must have at least {LEAST_BYTES} bytes")
    possible = tuple(each for each, least in _HMAC.items() if len(secret) >= least)
    return Key(name, _chosen(said, possible), secret)


def _chosen(said: object, possible: tuple[str, ...]) -> tuple[str, ...]:
    """The algorithms of a key: the one that it names, else all of its kind."""
    if said is None:
        return possible
    if said not in possible:
        raise KeysUnusable(f"is a JSON Web Key that cannot be used for {said}")
    return (str(said),)
