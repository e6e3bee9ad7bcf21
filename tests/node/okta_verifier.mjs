// Okta's own verifier of tokens, asked about some; one line of JSON each.
import OktaJwtVerifier from "@okta/jwt-verifier";

const { issuer, jwksUri, clientId, nonce, audience, idTokens, accessTokens } = JSON.parse(process.argv[2]);
const verifier = new OktaJwtVerifier({ issuer, jwksUri, clientId, testing: { disableHttpsCheck: true } });

const judge = async (what, judged) => {
  const verdict = await judged.then((token) => ({ claims: token.claims }), (error) => ({ refused: String(error.userMessage ?? error.message) }));
  console.log(JSON.stringify({ what, ...verdict }));
};
for (const [what, token] of Object.entries(idTokens ?? {})) await judge(what, verifier.verifyIdToken(token, clientId, nonce));
for (const [what, token] of Object.entries(accessTokens ?? {})) await judge(what, verifier.verifyAccessToken(token, audience));
