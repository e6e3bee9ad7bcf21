"""An application behind the gateway that checks Cf-Access-Jwt-Assertion as applications behind Cloudflare Access do: with PyJWT,
by its client for key sets, and by hand as Cloudflare's documentation shows it. It is ended by a signal."""

import json
import socket
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

TOLD = json.loads(sys.argv[1])
TEAM, AUDIENCE = TOLD["team"], TOLD["audience"]
CERTS = f"{TEAM}/cdn-cgi/access/certs"

# Names below `localhost` are this machine, as browsers have it (RFC 6761); the resolver of a machine may not know them.
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: resolve(
    "127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **more)

client = jwt.PyJWKClient(CERTS)


def by_client(token):
    key = client.get_signing_key_from_jwt(token)
    return jwt.decode(token, key.key, algorithms=[key.algorithm_name], audience=AUDIENCE, issuer=TEAM)


def by_hand(token):
    with urllib.request.urlopen(CERTS) as answer:
        published = json.load(answer)
    for public in published["keys"]:
        try:
            key = jwt.algorithms.RSAAlgorithm.from_jwk(json.dumps(public))
            return jwt.decode(token, key=key, audience=AUDIENCE, algorithms=["RS256"])
        except jwt.exceptions.InvalidSignatureError:
            pass
    raise ValueError("no key verifies it")


JUDGES = {"/pyjwt": by_client, "/documented": by_hand}


class Origin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        token = self.headers.get("Cf-Access-Jwt-Assertion")
        try:
            if not token:
                raise ValueError("no assertion")
            claims = JUDGES[self.path](token)
            status, said = 200, {"email": claims["email"], "token": token}
        except Exception as error:
            status, said = 403, {"refused": repr(error)}
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *rest):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *rest):
        """The gateway closes connections that it needs no more."""


server = Server(("127.0.0.1", TOLD["port"]), Origin)
print("ready", flush=True)
server.serve_forever()
