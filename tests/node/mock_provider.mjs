// An OpenID provider that was not written here, `oauth2-mock-server`, whose hooks spoil what it sends: a request to the second
// port says how. It leaves when its input ends.
import http from "node:http";
import { OAuth2Server } from "oauth2-mock-server";
import { SignJWT, UnsecuredJWT, decodeJwt, decodeProtectedHeader, generateKeyPair } from "jose";

const { port, controlPort } = JSON.parse(process.argv[2]);
const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
await server.start(port, "127.0.0.1");
server.issuer.url = `http://127.0.0.1:${port}`;
const stranger = await generateKeyPair("RS256");

const now = () => Math.floor(Date.now() / 1000);
const hour = 3600;
// What becomes of the ID token before it is signed.
const tokens = {
  "wrong audience": ({ payload }) => { payload.aud = "somebody-else"; },
  "a further audience": ({ payload }) => { payload.aud = [payload.aud, "somebody-else"]; },
  "for another party": ({ payload }) => { payload.azp = "somebody-else"; },
  "wrong issuer": ({ payload }) => { payload.iss = "https://elsewhere.example"; },
  "expired": ({ payload }) => { payload.iat = payload.nbf = now() - 2 * hour; payload.exp = now() - hour; },
  "from the future": ({ payload }) => { payload.iat = now() + hour; payload.exp = now() + 2 * hour; },
  "not valid yet": ({ payload }) => { payload.nbf = now() + hour; },
  "for two years": ({ payload }) => { payload.exp = now() + 2 * 365 * 24 * hour; },
  "wrong nonce": ({ payload }) => { payload.nonce = "wrong"; },
  "no nonce": ({ payload }) => { delete payload.nonce; },
  "no subject": ({ payload }) => { delete payload.sub; },
  "unknown key": ({ header }) => { header.kid = "stranger"; },
  "wrong access token hash": ({ payload }) => { payload.at_hash = "wrong"; },
};
// What becomes of the answer of the token endpoint.
const answers = {
  "no algorithm": async (body) => { body.id_token = new UnsecuredJWT(decodeJwt(body.id_token)).encode(); },
  "another's signature": async (body) => {
    const header = decodeProtectedHeader(body.id_token);
    body.id_token = await new SignJWT(decodeJwt(body.id_token)).setProtectedHeader(header).sign(stranger.privateKey);
  },
  "shared secret": async (body) => {
    const header = { ...decodeProtectedHeader(body.id_token), alg: "HS256" };
    const secret = new TextEncoder().encode(JSON.stringify(server.issuer.keys.toJSON()[0]));
    body.id_token = await new SignJWT(decodeJwt(body.id_token)).setProtectedHeader(header).sign(secret);
  },
  "changed after signing": async (body) => {
    const [header, , signature] = body.id_token.split(".");
    const payload = Buffer.from(JSON.stringify({ ...decodeJwt(body.id_token), sub: "admin" })).toString("base64url");
    body.id_token = [header, payload, signature].join(".");
  },
  "no token": async (body) => { delete body.id_token; },
  "not a token": async (body) => { body.id_token = "not.a.token"; },
};
// What becomes of the way back.
const redirects = {
  "wrong state": ({ url }) => url.searchParams.set("state", "wrong"),
  "two codes": ({ url }) => url.searchParams.append("code", "another"),
  "refused": ({ url }) => { url.searchParams.delete("code"); url.searchParams.set("error", "access_denied"); },
};
const refusals = { "code refused": [400, { error: "invalid_grant" }], "broken": [500, { error: "server_error" }] };

let spoil = "nothing";
server.service.on("beforeTokenSigning", (token) => {
  // The access token has no audience, and nobody reads it.
  if (token.payload.aud) tokens[spoil]?.(token);
});
server.service.on("beforeAuthorizeRedirect", (back) => redirects[spoil]?.(back));
server.service.on("beforeResponse", (response) => {
  if (refusals[spoil]) [response.statusCode, response.body] = refusals[spoil];
});
// A hook cannot wait for a signature, so what is signed anew is exchanged on its way out.
const respond = http.ServerResponse.prototype.end;
http.ServerResponse.prototype.end = function (body, ...rest) {
  const change = answers[spoil];
  if (!change || !String(body ?? "").includes("id_token\":")) return respond.call(this, body, ...rest);
  const parsed = JSON.parse(String(body));
  change(parsed).then(() => {
    const changed = JSON.stringify(parsed);
    this.setHeader("content-length", Buffer.byteLength(changed));
    respond.call(this, changed);
  });
  return this;
};
http.createServer((request, response) => {
  const wanted = decodeURIComponent(new URL(request.url, "http://localhost").pathname.slice(1));
  const known = [tokens, answers, redirects, refusals].some((spoils) => wanted in spoils) || wanted === "nothing";
  if (known) spoil = wanted;
  response.writeHead(known ? 204 : 404).end();
}).listen(controlPort, "127.0.0.1", () => console.log("ready"));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
