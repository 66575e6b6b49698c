import base64
import hashlib
import hmac

import jwt
import orjson
import pytest
from hypothesis import given, strategies
from multidict import CIMultiDict

from server.auth import (
    Authenticator,
    Carrier,
    Credential,
    Roles,
    check_claims,
    credential,
    mint,
    principal,
    verified_claims,
)
from server.errors import (
    ClaimsRefused,
    CredentialMissing,
    CredentialUnsupported,
    RoleUnknown,
    SecretMissing,
    TenantContradicted,
    TokenUndecodable,
    Unauthenticated,
)
from server.settings import AuthSettings
from shardmap import InvalidTenantKey, KeyType

SECRET = "an ordinary secret of 32 bytes.."
NOW = 1_800_000_000
ISSUERS = ("fluxbase", "supabase")


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header, payload, secret=SECRET):
    text = f"{base64url(header)}.{base64url(payload)}"
    digest = hmac.digest(secret.encode(), text.encode(), hashlib.sha256)
    return f"{text}.{base64url(digest)}"


def token_of(claims):
    return signed(b'{"alg":"HS256"}', orjson.dumps(claims))


def of(claims, key_type=KeyType.INTEGER, tenant_claim="tenant_id"):
    return principal(claims, tenant_claim=tenant_claim, key_type=key_type, key_hash="k")


class Clock:
    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now


def authenticator(clock=None, key_type=KeyType.INTEGER, **settings):
    settings = AuthSettings(jwt_secret=SECRET, **settings)
    return Authenticator(settings, lambda: key_type, clock or Clock())


def bearer(claims, **more):
    return CIMultiDict({"Authorization": f"Bearer {token_of(claims)}", **more})


class TestWhichCredentialCounts:
    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            ({}, None),
            ({"Authorization": "Bearer a.b.c"}, Credential(Carrier.BEARER, "a.b.c")),
            ({"authorization": "bearer  a.b.c "}, Credential(Carrier.BEARER, "a.b.c")),
            ({"Authorization": "ServiceKey a.b.c"}, Credential(Carrier.SERVICE, "a.b.c")),
            ({"Authorization": "Basic dTpw"}, None),
            ({"Authorization": "Basic dTpw", "apikey": "k"}, Credential(Carrier.BEARER, "k")),
            ({"apikey": "k"}, Credential(Carrier.BEARER, "k")),
            ({"Authorization": "Bearer t", "apikey": "k"}, Credential(Carrier.BEARER, "t")),
            (
                {"Authorization": "Bearer t", "X-Client-Key": "fbk_1"},
                Credential(Carrier.BEARER, "t"),
            ),
            (
                {"X-Service-Key": "s", "Authorization": "Bearer t", "apikey": "k"},
                Credential(Carrier.SERVICE, "s"),
            ),
            ({"Authorization": "Bearer "}, Credential(Carrier.BEARER, "")),
        ],
    )
    def test_the_first_that_is_present_counts(self, headers, expected):
        assert credential(CIMultiDict(headers)) == expected

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Client-Key": "fbk_1"},
            {"X-Client-Key": "fbk_1", "apikey": "k"},
            {"X-Service-Key": "sk_1", "Authorization": "Bearer t"},
            {"Authorization": "ServiceKey sk_1"},
            {"apikey": "fbk_1"},
        ],
    )
    def test_keys_that_are_no_tokens_are_refused_by_name(self, headers):
        with pytest.raises(CredentialUnsupported, match="not supported"):
            credential(CIMultiDict(headers))


class TestWhatIsAToken:
    def test_claims_come_back_from_a_token_of_ours(self):
        assert verified_claims(mint({"a": [1]}, SECRET), SECRET) == {"a": [1]}

    @pytest.mark.parametrize(
        ("token", "message"),
        [
            ("", "Empty JWT is sent in Authorization header"),
            ("x", "Expected 3 parts in JWT; got 1"),
            ("a.b.c.d", "Expected 3 parts in JWT; got 4"),
            ("é.b.c", "cryptographic operation"),
            ("\udcff.b.c", "cryptographic operation"),
            ("a.b.c", "cryptographic operation"),
            (mint({}, "another secret of 32 bytes......"), "No suitable key"),
            (jwt.encode({}, None, algorithm="none"), "encoding algorithm"),
            (signed(b'{"alg":"HS512"}', b"{}"), "No suitable key"),
            (signed(b'{"alg":"hs256"}', b"{}"), "cryptographic operation"),
            (signed(b'{"alg":["HS256"]}', b"{}"), "cryptographic operation"),
            (signed(b'{"alg":"HS256","crit":["x"]}', b"{}"), "cryptographic operation"),
            (signed(b'{"alg":"HS256","b64":false,"crit":["b64"]}', b"{}"), "cryptographic"),
            (signed(b"[]", b"{}"), "cryptographic operation"),
            (signed(b"{}", b"{}"), "cryptographic operation"),
        ],
    )  # fmt: skip
    def test_what_is_no_token_of_ours_is_refused(self, token, message):
        with pytest.raises(TokenUndecodable, match=message):
            verified_claims(token, SECRET)

    @pytest.mark.parametrize("payload", [b"not json", b'{"a":"\\ud800"}', b'"text"'])
    def test_a_token_of_ours_that_says_no_object_is_refused(self, payload):
        with pytest.raises(ClaimsRefused, match="Parsing claims failed"):
            verified_claims(signed(b'{"alg":"HS256"}', payload), SECRET)

    @pytest.mark.parametrize("part", [0, 1, 2])
    def test_a_token_with_one_changed_character_is_refused(self, part):
        parts = mint({"role": "anon"}, SECRET).split(".")
        changed = "A" if parts[part][3] != "A" else "B"
        parts[part] = parts[part][:3] + changed + parts[part][4:]

        with pytest.raises(TokenUndecodable):
            verified_claims(".".join(parts), SECRET)

    @given(strategies.text())
    def test_any_text_is_a_token_or_refused(self, text):
        with pytest.raises(TokenUndecodable):
            verified_claims(text, SECRET)


class TestWhetherClaimsHold:
    @pytest.mark.parametrize(
        "claims",
        [
            {},
            {"exp": NOW + 1},
            {"exp": NOW - 30},
            {"exp": NOW - 29.5},
            {"nbf": NOW + 30},
            {"iat": NOW + 30},
            {"iss": ""},
            {"iss": None},
            {"iss": "supabase"},
            {"token_type": "access"},
            {"exp": None},
            {"aud": "anybody"},
            {"aud": ["a", "b"]},
        ],
    )
    def test_these_hold(self, claims):
        check_claims(claims, NOW, ISSUERS)

    @pytest.mark.parametrize(
        ("claims", "message"),
        [
            ({"exp": NOW - 31}, "JWT expired"),
            ({"exp": NOW - 30.5}, "JWT expired"),
            ({"exp": 0}, "JWT expired"),
            ({"exp": str(NOW + 60)}, "'exp' claim must be a number"),
            ({"exp": True}, "'exp' claim must be a number"),
            ({"nbf": NOW + 31}, "JWT not yet valid"),
            ({"iat": NOW + 31}, "JWT issued at future"),
            ({"iat": "x"}, "'iat' claim must be a number"),
            ({"iss": "somebody"}, "JWT issuer not accepted"),
            ({"iss": ["fluxbase"]}, "JWT issuer not accepted"),
            ({"token_type": "refresh"}, "JWT is no access token"),
            ({"token_type": ["access"]}, "JWT is no access token"),
            ({"aud": 1}, "The JWT 'aud' claim must be a string or an array of strings"),
            ({"aud": ["a", 1]}, "must be a string or an array of strings"),
        ],
    )
    def test_these_do_not(self, claims, message):
        with pytest.raises(ClaimsRefused, match=message):
            check_claims(claims, NOW, ISSUERS)

    @pytest.mark.parametrize("said", [None, "ours", ["x", "ours"], []])
    def test_a_token_for_us_or_for_nobody_is_accepted(self, said):
        check_claims({"aud": said}, NOW, ISSUERS, "ours")

    @pytest.mark.parametrize("said", ["theirs", "", ["theirs"], ["our", "s"]])
    def test_a_token_for_somebody_else_is_not(self, said):
        with pytest.raises(ClaimsRefused, match="JWT not in audience"):
            check_claims({"aud": said}, NOW, ISSUERS, "ours")

    def test_any_issuer_and_kind_may_be_accepted(self):
        check_claims({"iss": "https://idp.example", "token_type": "id"}, NOW, ("*",))

    def test_they_hold_until_the_expiry_and_the_clock_skew(self):
        assert check_claims({"exp": NOW + 10}, NOW, ISSUERS) == NOW + 40


class TestWhoTheBearerIs:
    @pytest.mark.parametrize(
        ("claims", "role"),
        [
            ({"role": "anon"}, "anon"),
            ({"role": "authenticated"}, "authenticated"),
            ({"role": "service_role"}, "service_role"),
            ({"role": "editor"}, "authenticated"),
            ({"role": "postgres"}, "authenticated"),
            ({"role": "SERVICE_ROLE"}, "authenticated"),
            ({}, "anon"),
            ({"role": None}, "anon"),
            ({"role": ""}, "anon"),
        ],
    )
    def test_the_role_is_one_of_three(self, claims, role):
        assert of(claims).role == role

    @pytest.mark.parametrize("role", [1, True, ["service_role"], {"x": 1}])
    def test_a_role_that_is_no_text_is_refused(self, role):
        with pytest.raises(ClaimsRefused, match="role"):
            of({"role": role})

    @pytest.mark.parametrize("known", [("editor",), ("*",)])
    def test_a_role_of_the_database_stays_what_it_is(self, known):
        roles = Roles.of("nobody", known, ".app.roles[0]")
        found = principal(
            {"role": "x", "app": {"roles": ["editor"]}},
            tenant_claim="tenant_id",
            key_type=KeyType.INTEGER,
            key_hash="k",
            roles=roles,
        )

        assert (found.role, found.anonymous) == ("editor", False)
        assert orjson.loads(found.claims)["role"] == "editor"

    @pytest.mark.parametrize("role", ["none", "\0login", "x" * 64, "\ud800"])
    def test_a_role_that_no_database_can_have_is_refused(self, role):
        roles = Roles.of(None, ("*",), ".role")

        with pytest.raises(RoleUnknown, match="does not exist"):
            roles.of_claims({"role": role})

    def test_without_a_role_for_nobody_a_token_has_to_name_one(self):
        with pytest.raises(CredentialMissing):
            Roles.of(None, ("*",), ".role").of_claims({"sub": "x"})

    def test_all_claims_stay_and_so_does_the_name_of_the_role(self):
        claims = {"role": "editor", "nested": {"a": [1, None]}, "text": "ä"}

        assert orjson.loads(of(claims).claims) == claims

    def test_claims_without_a_role_are_given_the_one_that_holds(self):
        assert orjson.loads(of({"sub": "u"}).claims) == {"sub": "u", "role": "anon"}

    @pytest.mark.parametrize(
        ("claims", "tenant"),
        [
            ({}, None),
            ({"tenant_id": None}, None),
            ({"tenant_id": 7}, "7"),
            ({"tenant_id": "7"}, "7"),
            ({"tenant_id": " +07 "}, "7"),
            ({"app_metadata": {"tenant_id": 8}}, "8"),
            ({"tenant_id": 7, "app_metadata": {"tenant_id": 8}}, "7"),
            ({"app_metadata": "text"}, None),
            ({"user_metadata": {"tenant_id": 8}}, None),
        ],
    )
    def test_the_tenant_is_in_its_claim_or_in_the_app_metadata(self, claims, tenant):
        assert of(claims).tenant == tenant

    @pytest.mark.parametrize("value", ["", "x", "7;8", 7.0, True, [7], {"a": 1}, 2**63])
    def test_a_tenant_that_is_no_key_is_refused(self, value):
        for claims in ({"tenant_id": value}, {"app_metadata": {"tenant_id": value}}):
            with pytest.raises(ClaimsRefused, match="is no tenant"):
                of(claims)

    def test_the_tenant_claim_may_have_another_name(self):
        assert of({"org": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"}, KeyType.UUID, "org").tenant == (
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
        )

    @pytest.mark.parametrize(
        ("claims", "session"),
        [
            ({"session_id": "s", "sub": "u", "tenant_id": 7}, "session_id:s"),
            ({"sub": "u", "tenant_id": 7}, "sub:u"),
            ({"sub": "", "tenant_id": 7}, "tenant:7"),
            ({"role": "anon"}, "key:k"),
        ],
    )
    def test_the_session_is_the_narrowest_name_there_is(self, claims, session):
        assert of(claims).session == session

    @given(
        strategies.dictionaries(
            strategies.sampled_from(
                ["role", "tenant_id", "app_metadata", "sub", "exp", "nbf", "iat", "iss", "x"]
            ),
            strategies.recursive(
                strategies.none()
                | strategies.booleans()
                | strategies.integers(-(2**63), 2**63 - 1)
                | strategies.floats(allow_nan=False)
                | strategies.text(),
                lambda inner: (
                    strategies.lists(inner, max_size=3)
                    | strategies.dictionaries(strategies.text(), inner, max_size=3)
                ),
                max_leaves=4,
            ),
        )
    )
    def test_any_signed_claims_give_a_principal_or_are_refused(self, claims):
        try:
            found = authenticator().caller(bearer(claims))
        except Unauthenticated:
            return
        assert found.role in {"anon", "authenticated", "service_role"}


class TestTheAuthenticator:
    def test_no_credential_is_no_caller(self):
        assert authenticator().caller(CIMultiDict()) is None

    def test_a_verified_token_is_remembered(self):
        auth, headers = authenticator(), bearer({"role": "authenticated", "tenant_id": 7})

        assert auth.caller(headers) is auth.caller(headers)

    def test_a_remembered_token_still_expires(self):
        clock = Clock()
        auth, headers = authenticator(clock), bearer({"exp": NOW + 10})
        auth.caller(headers)

        clock.now = NOW + 41

        with pytest.raises(ClaimsRefused, match="JWT expired"):
            auth.caller(headers)

    def test_memory_is_bounded_and_forgets_the_oldest(self):
        auth = authenticator(token_cache_entries=2)
        first, second, third = (bearer({"sub": sub}) for sub in "abc")
        oldest = auth.caller(first)
        kept = auth.caller(second)
        auth.caller(third)

        assert len(auth._verified) == 2
        assert auth.caller(second) is kept
        assert auth.caller(first) is not oldest

    def test_nothing_is_remembered_when_there_is_no_room(self):
        auth = authenticator(token_cache_entries=0)

        auth.caller(bearer({}))

        assert auth._verified == {}

    def test_a_map_with_another_key_type_makes_it_forget(self):
        key_type = KeyType.INTEGER
        auth = Authenticator(AuthSettings(jwt_secret=SECRET), lambda: key_type, Clock())
        headers = bearer({"tenant_id": " 7 "})
        assert auth.caller(headers).tenant == "7"

        key_type = KeyType.TEXT

        assert auth.caller(headers).tenant == " 7 "

    def test_without_a_secret_tokens_cannot_be_checked(self):
        auth = Authenticator(AuthSettings(), lambda: KeyType.INTEGER, Clock())

        with pytest.raises(SecretMissing, match="Server lacks JWT secret"):
            auth.caller(bearer({}))
        assert auth.caller(CIMultiDict()) is None

    def test_a_forged_token_is_not_remembered(self):
        auth = authenticator()

        for _ in range(2):
            with pytest.raises(TokenUndecodable):
                auth.caller(CIMultiDict({"apikey": mint({}, "another secret of 32 bytes......")}))
        assert auth._verified == {}

    def test_a_bad_credential_is_not_made_good_by_a_later_one(self):
        headers = CIMultiDict({"Authorization": "Bearer x", "apikey": mint({}, SECRET)})

        with pytest.raises(TokenUndecodable):
            authenticator().caller(headers)

    def test_a_service_key_header_takes_service_keys_only(self):
        auth = authenticator()

        good = auth.caller(CIMultiDict({"X-Service-Key": mint({"role": "service_role"}, SECRET)}))

        assert good.service
        with pytest.raises(ClaimsRefused, match="another role"):
            auth.caller(CIMultiDict({"X-Service-Key": mint({"role": "authenticated"}, SECRET)}))

    def test_a_service_key_chooses_its_tenant_by_header(self):
        caller = authenticator().caller(bearer({"role": "service_role"}, **{"X-Tenant-ID": " 7"}))

        assert (caller.role, caller.tenant) == ("service_role", "7")

    @pytest.mark.parametrize(
        "claims",
        [
            {"role": "authenticated", "tenant_id": 7},
            {"role": "authenticated"},
            {"role": "anon"},
            {"role": "service_role", "tenant_id": 7},
            {"role": "editor"},
        ],
    )
    def test_a_header_that_contradicts_the_token_is_refused(self, claims):
        with pytest.raises(TenantContradicted):
            authenticator().caller(bearer(claims, **{"X-Tenant-ID": "8"}))

    def test_a_header_that_agrees_with_the_token_changes_nothing(self):
        claims = {"role": "authenticated", "tenant_id": 7}

        caller = authenticator().caller(bearer(claims, **{"X-Tenant-ID": "07"}))

        assert caller.tenant == "7"

    def test_a_header_that_is_no_tenant_is_refused(self):
        with pytest.raises(InvalidTenantKey):
            authenticator().caller(bearer({"role": "service_role"}, **{"X-Tenant-ID": "x"}))
