"""The keys that tokens are checked with, in every form, and the ways to use one as another."""

import base64
import json
import warnings

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from server.auth import Keys, KeysUnusable
from server.errors import TokenUndecodable

SECRET = "reallyreallyreallyreallyverysafe"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
}
EDWARDS = ed25519.Ed25519PrivateKey.generate()


def jwk(key, algorithm, **more):
    made = jwt.get_algorithm_by_name(algorithm).to_jwk(key, as_dict=True)
    made.pop("key_ops", None)
    return {**made, **more}


def pem(key):
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def read(document):
    return Keys.read(json.dumps(document))


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


PUBLIC = [
    *((each, RSA) for each in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
    *EC.items(),
    ("EdDSA", EDWARDS),
]


@pytest.mark.parametrize(("algorithm", "key"), PUBLIC)
@pytest.mark.parametrize("form", ["jwk", "jwks", "private jwk", "pem", "base64 of a jwk"])
def test_a_public_key_checks_what_its_private_one_has_signed(algorithm, key, form):
    public = jwk(key.public_key(), algorithm)
    if form == "base64 of a jwk":
        keys = Keys.read(base64url(json.dumps(public).encode()), is_base64=True)
    else:
        keys = Keys.read(
            {
                "jwk": json.dumps(public),
                "jwks": json.dumps({"keys": [public]}),
                "private jwk": json.dumps(jwk(key, algorithm)),
                "pem": pem(key),
            }[form]
        )

    assert keys.payload(jwt.encode({"a": 1}, key, algorithm=algorithm)) == b'{"a":1}'
    assert not keys.secret


@pytest.mark.parametrize(("algorithm", "bytes_"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_is_for_each_hash_that_is_not_longer(algorithm, bytes_):
    secret = bytes(range(100, 100 + bytes_))
    token = jwt.encode({"a": 1}, secret, algorithm=algorithm)

    for keys in (
        Keys.read(base64.b64encode(secret).decode(), is_base64=True),
        Keys.read(base64url(secret), is_base64=True),
        read({"kty": "oct", "k": base64url(secret), "alg": algorithm}),
        read({"kty": "oct", "k": base64url(secret)}),
    ):
        assert keys.payload(token) == b'{"a":1}'
        assert keys.secret
    if bytes_ > 32:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            short = jwt.encode({}, secret[: bytes_ - 1], algorithm=algorithm)
        with pytest.raises(TokenUndecodable) as refused:
            Keys.read(base64url(secret[: bytes_ - 1]), is_base64=True).payload(short)
        assert refused.value.details == "No suitable key was found to decode the JWT"


def test_a_public_key_is_no_secret():
    """The old confusion: sign with HMAC, and the public key's text as its secret."""
    text = pem(RSA)
    header, payload = base64url(b'{"alg":"HS256"}'), base64url(b'{"role":"service_role"}')
    hmac = jwt.get_algorithm_by_name("HS256")
    for secret in (text, text.strip(), text.strip() + "\n"):
        signature = hmac.sign(f"{header}.{payload}".encode(), secret.encode())
        forged = f"{header}.{payload}.{base64url(signature)}"

        for keys in (Keys.read(text), read(jwk(RSA.public_key(), "RS256"))):
            with pytest.raises(TokenUndecodable) as refused:
                keys.payload(forged)
            assert refused.value.message == "No suitable key or wrong key type"


def test_a_key_that_names_its_algorithm_is_for_no_other():
    keys = read(jwk(RSA.public_key(), "RS256", alg="RS256"))

    keys.payload(jwt.encode({}, RSA, algorithm="RS256"))
    with pytest.raises(TokenUndecodable, match="No suitable key"):
        keys.payload(jwt.encode({}, RSA, algorithm="RS512"))


def test_what_is_not_signed_at_all_is_refused_by_name():
    for keys in (Keys.read(SECRET), Keys.read(pem(RSA))):
        with pytest.raises(TokenUndecodable, match="unsupported encoding algorithm") as refused:
            keys.payload(jwt.encode({}, None, algorithm="none"))
        assert refused.value.details == "JWT is unsecured but expected 'alg' was not 'none'"


class TestASetOfKeys:
    KEYS = read(
        {
            "keys": [
                jwk(RSA.public_key(), "RS256", kid="a"),
                jwk(EC["ES256"].public_key(), "ES256", kid="b"),
                {"kty": "oct", "k": base64url(SECRET.encode())},
                jwk(EDWARDS.public_key(), "EdDSA", use="enc"),
                jwk(EDWARDS.public_key(), "EdDSA", key_ops=["encrypt"]),
            ]
        }
    )

    def test_the_key_that_a_token_names_is_the_only_one(self):
        self.KEYS.payload(jwt.encode({}, EC["ES256"], "ES256", headers={"kid": "b"}))

        for name in ("a", "c", ""):
            with pytest.raises(TokenUndecodable) as refused:
                self.KEYS.payload(jwt.encode({}, EC["ES256"], "ES256", headers={"kid": name}))
            assert refused.value.details == "No suitable key was found to decode the JWT"

    def test_a_token_that_names_none_is_tried_with_each(self):
        for key, algorithm in ((RSA, "PS256"), (EC["ES256"], "ES256"), (SECRET, "HS256")):
            self.KEYS.payload(jwt.encode({}, key, algorithm))

    def test_keys_for_other_uses_are_not_for_signatures(self):
        with pytest.raises(TokenUndecodable):
            self.KEYS.payload(jwt.encode({}, EDWARDS, "EdDSA"))

    def test_a_stranger_s_signature_is_refused(self):
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        with pytest.raises(TokenUndecodable) as refused:
            self.KEYS.payload(jwt.encode({}, other, "RS256"))
        assert refused.value.details == "None of the keys was able to decode the JWT"


def test_a_secret_that_is_no_jwk_has_no_name_to_be_compared():
    assert Keys.read(SECRET).payload(jwt.encode({}, SECRET, headers={"kid": "x"})) == b"{}"


def test_a_secret_signs_and_a_public_key_cannot():
    assert Keys.read(SECRET).payload(Keys.read(SECRET).signed({"a": 1})) == b'{"a":1}'
    with pytest.raises(KeysUnusable, match="cannot sign"):
        Keys.read(pem(RSA)).signed({})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least 32 bytes"),
        ("short", "at least 32 bytes"),
        ("{", "no JSON"),
        ('{"keys": 1}', "no list of keys"),
        ('{"keys": []}', "without a key for signatures"),
        ('{"kty": "oct", "k": "c2hvcnQ"}', "at least 32 bytes"),
        ('{"kty": "oct", "k": "%"}', "no base64"),
        ('{"kty": "RSA", "n": "AQAB"}', "no usable JSON Web Key"),
        ('{"kty": "EC", "crv": "P-999"}', "unknown kind: EC P-999"),
        ('{"kty": "XYZ"}', "unknown kind: XYZ"),
        ('{"kty": "RSA", "n": "x", "e": "AQAB", "alg": "HS256"}', "cannot be used for HS256"),
        ('{"kty": "RSA", "n": "x", "e": "AQAB", "kid": 7}', "`kid` is no text"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "no public key in PEM"),
    ],
)
def test_what_is_no_key_is_refused_at_the_start(text, message):
    with pytest.raises(KeysUnusable, match=message):
        Keys.read(text)
