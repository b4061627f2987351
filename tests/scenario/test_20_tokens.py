"""POST /token and the JWKS, as OAuth 2.0 clients see them."""
import base64
import json

import grpc
import pytest
from harness.members import Admin


def part(token, index):
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


@pytest.fixture(scope="module")
def member(shared_exchange):
    admin = Admin(shared_exchange)
    admin.create_network(0xC00020)
    admin.create_tenant(0xC00020, "tenant-a")
    return shared_exchange, admin, admin.create_key(0xC00020), admin.create_key(0xC00020, "tenant-a")


def form(key, **more):
    return {"grant_type": "client_credentials", "client_id": key.key_id, "client_secret": key.key,
            "audience": "127.0.0.1", "scope": "networks", **more}


def test_a_token_is_what_clients_need(member):
    exchange, _, key, _ = member
    status, headers, answer = exchange.post_token(form(key))
    assert status == 200
    assert headers["Content-Type"].split(";")[0] == "application/json"
    assert headers["Cache-Control"] == "no-store"
    assert answer["token_type"].lower() == "bearer" and answer["expires_in"] == 3600
    header, claims = part(answer["access_token"], 0), part(answer["access_token"], 1)
    kids = [k["kid"] for k in exchange.get_json("/.well-known/jwks.json")["keys"]]
    assert header["alg"] == "ES256" and header["kid"] in kids
    assert "127.0.0.1" in claims["aud"] and claims["exp"] - claims["iat"] == 3600
    iam = claims["https://iam.packetbroker.net/claims"]
    assert iam["ns"][0]["nid"] == 0xC00020 and iam["ns"][0].get("tid", "") == ""
    assert set(iam["rights"]) == set(key.rights) and not iam.get("c", False)


def test_a_tenant_token_names_its_tenant(member):
    exchange, _, _, key = member
    claims = part(exchange.token(key.key_id, key.key), 1)
    assert claims["https://iam.packetbroker.net/claims"]["ns"] == [{"nid": 0xC00020, "tid": "tenant-a"}]


def test_jwks_holds_public_keys_alone(member):
    for key in member[0].get_json("/.well-known/jwks.json")["keys"]:
        assert key["kty"] == "EC" and key["crv"] == "P-256" and "d" not in key


def test_basic_client_authentication_works_too(member):
    exchange, _, key, _ = member
    pair = base64.b64encode(f"{key.key_id}:{key.key}".encode()).decode()
    status, _, answer = exchange.post_token({"grant_type": "client_credentials", "audience": "localhost"},
                                            headers={"Authorization": f"Basic {pair}"})
    assert status == 200, answer


@pytest.mark.parametrize("change, status, error", [
    ({"client_secret": "WRONGWRONGWRONGWRONGWRONGWRONGWRONGWRONGWRONGWRO"}, 401, "invalid_client"),
    ({"client_id": "AAAAAAAAAAAAAAAA"}, 401, "invalid_client"),
    ({"client_id": "x"}, 401, "invalid_client"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ({"audience": "somewhere.else"}, 400, None),
])
def test_wrong_requests(member, change, status, error):
    exchange, _, key, _ = member
    got, headers, answer = exchange.post_token(form(key, **change))
    assert got == status, answer
    assert headers["Content-Type"].split(";")[0] == "application/json"
    assert answer["error_description"]
    if error:
        assert answer["error"] == error


def test_several_audiences_in_one_token(member):
    exchange, _, key, _ = member
    status, _, answer = exchange.post_token(form(key, audience="127.0.0.1 localhost unknown.example"))
    assert status == 200
    assert sorted(part(answer["access_token"], 1)["aud"]) == ["127.0.0.1", "localhost"]


def test_malformed_bodies_are_refused(member):
    exchange = member[0]
    for body, content_type in ((b"grant_type=client_credentials&client_id=%zz", "application/x-www-form-urlencoded"),
                               (b"{}", "application/json"), (b"", "application/x-www-form-urlencoded"),
                               (b"a=" + b"b" * 100000, "application/x-www-form-urlencoded")):
        status, _, answer = exchange.post_token(body, content_type)
        assert 400 <= status < 500 and (answer.get("error_description") or answer["message"]), body[:40]


def test_a_requested_key_waits_for_approval(member):
    exchange, admin, _, _ = member
    pb = exchange.pb
    keys = pb.iam2.NetworkAPIKeyVaultStub(exchange.channel())
    key = keys.CreateAPIKey(pb.iam2.CreateNetworkAPIKeyRequest(net_id=0xC00020, rights=[0])).key
    assert key.state == pb.v3.APIKeyState.Value("REQUESTED") and len(key.key_id) == 16 and key.key
    assert exchange.post_token(form(key))[0] == 401
    admin.keys.UpdateAPIKeyState(pb.iam2.UpdateAPIKeyStateRequest(key_id=key.key_id, state="APPROVED"), metadata=admin.metadata)
    assert exchange.post_token(form(key))[0] == 200
    admin.keys.UpdateAPIKeyState(pb.iam2.UpdateAPIKeyStateRequest(key_id=key.key_id, state="REJECTED"), metadata=admin.metadata)
    assert exchange.post_token(form(key))[0] == 401


def test_bad_tokens_are_unauthenticated(member):
    exchange, _, key, _ = member
    pb = exchange.pb
    networks = pb.iam1.NetworkRegistryStub(exchange.channel())
    token = exchange.token(key.key_id, key.key)
    head, body, signature = token.split(".")
    forged = json.dumps({**part(token, 1), "https://iam.packetbroker.net/claims": {"ns": [{"nid": 1}], "rights": [0]}})
    forged = base64.urlsafe_b64encode(forged.encode()).decode().rstrip("=")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": part(token, 0)["kid"]}).encode()).decode().rstrip("=")
    for bad in ("Bearer " + token[:-4] + "AAAA", f"Bearer {head}.{forged}.{signature}", f"Bearer {none}.{body}.",
                "Bearer x", "Bearer", "Basic YWRtaW46d3Jvbmc=", "Basic !", "Digest abc", "garbage"):
        with pytest.raises(grpc.RpcError) as error:
            networks.GetNetwork(pb.iam1.NetworkRequest(net_id=0xC00020), metadata=(("authorization", bad),))
        assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED, bad
        assert error.value.details()
    with pytest.raises(grpc.RpcError) as error:
        networks.GetNetwork(pb.iam1.NetworkRequest(net_id=0xC00020))
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_other_methods_and_paths(member):
    import urllib.error
    exchange = member[0]
    with pytest.raises(urllib.error.HTTPError) as error:
        exchange.get_json("/token")
    assert error.value.code == 405
    with pytest.raises(urllib.error.HTTPError) as error:
        exchange.get_json("/nothing")
    assert error.value.code == 404
