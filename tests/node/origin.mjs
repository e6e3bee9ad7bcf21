// An application behind the gateway that checks Cf-Access-Jwt-Assertion as applications behind Cloudflare Access do: with
// `jose`, as Cloudflare's documentation shows it, and with Cloudflare's own plugin. It leaves when its input ends.
import "./localhost.mjs";
import http from "node:http";
import { createRemoteJWKSet, jwtVerify } from "jose";
import cloudflareAccess from "@cloudflare/pages-plugin-cloudflare-access";

const { port, team, audience } = JSON.parse(process.argv[2]);

const keys = createRemoteJWKSet(new URL(`${team}/cdn-cgi/access/certs`));
const byJose = async (token) => {
  const { payload, protectedHeader } = await jwtVerify(token, keys, { issuer: team, audience });
  return { email: payload.email, alg: protectedHeader.alg };
};

const plugin = cloudflareAccess({ domain: team, aud: audience });
const byPlugin = async (token) => {
  const data = {};
  const answer = await plugin({
    request: new Request("https://wiki.localhost/", { headers: { "Cf-Access-Jwt-Assertion": token } }),
    functionPath: "", env: {}, data, next: async () => new Response("let in"),
    waitUntil: () => {}, passThroughOnException: () => {},
  });
  if (answer.status !== 200) throw new Error(`the plugin answers with ${answer.status} ${answer.headers.get("location")}`);
  return { email: data.cloudflareAccess.JWT.payload.email };
};

const judges = { "/jose": byJose, "/cloudflare": byPlugin };
const server = http.createServer(async (request, response) => {
  const answer = (status, body) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  const token = request.headers["cf-access-jwt-assertion"];
  try {
    if (!token) throw new Error("no assertion");
    answer(200, { ...(await judges[request.url](token)), token });
  } catch (error) {
    answer(403, { refused: String(error) });
  }
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
server.listen(port, "127.0.0.1", () => console.log("ready"));
