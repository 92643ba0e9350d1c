"""Mints a token with each of two independent libraries: mint.py CLIENT_ID SECRET SUB."""

import json
import sys

import jwt
from jose import jwt as jose

client_id, secret, sub = sys.argv[1:4]
claims = {"appId": client_id, "sub": sub}
print(json.dumps({
    "PyJWT": jwt.encode(claims, secret, algorithm="HS256"),
    "python-jose": jose.encode(claims, secret, algorithm="HS256"),
}))
