#!/bin/sh
# Schemathesis against our own OpenAPI document: every answer is below 500, and of a kind that the document
# names. It brings its own environment:
#
#   python3 -m venv /tmp/schemathesis && /tmp/schemathesis/bin/pip install schemathesis
#   fluxshard demo --port 18900 &                                # prints keys
#   PATH=/tmp/schemathesis/bin:$PATH tests/fuzz/schemathesis.sh http://127.0.0.1:18900 "$KEY_A" --max-time 600
set -eu
url=$1 key=$2
shift 2
exec schemathesis run "$url/openapi.json" --url "$url" -H "Authorization: Bearer $key" --no-color \
    --checks not_a_server_error,status_code_conformance,content_type_conformance \
    --phases fuzzing --mode all --request-timeout 30 --generation-deterministic \
    --exclude-path-regex '^/(api/v1/sql/transaction|docs.*|metrics|ready|health|live|api/v1/admin/.*)$|^/$' \
    --suppress-health-check all --max-response-time 30 "$@"
