// Pages of ours that say no, each looked at as a person sees it.
import assert from "node:assert/strict";
import { leave } from "./walk.mjs";

export async function refusals(scene, context) {
  const page = await scene.tab(context);
  await page.goto(`${scene.wiki}/`);
  const denied = await leave(page, () => scene.logIn(page, scene.designer));
  await scene.ours(page, denied, "denied", 403, /no access to this application/, /ask your administrator/, /Reference\s+[0-9a-f]{16}/);
  scene.step("a person without the group is refused with a reference");

  const visits = [
    ["upstream-down", 502, `${scene.broken}/`, /cannot be reached/, /Try again/],
    ["nothing-here", 404, `${scene.auth}/cdn-cgi/access/no-such-thing`, /Nothing here/],
    ["stale-sign-in", 400, `${scene.auth}/cdn-cgi/access/callback?state=forged&code=forged`, /sign-in has expired/],
    ["malformed-sign-in", 400, `${scene.auth}/cdn-cgi/access/callback`, /cannot be completed/],
  ];
  for (const [name, status, address, ...words] of visits) {
    await scene.ours(page, await page.goto(address), name, status, ...words);
    scene.step(`${name} is told`);
  }
}

export async function tooManyGroups(scene, context) {
  const page = await scene.tab(context);
  await page.goto(`${scene.wiki}/`);
  const told = await leave(page, () => scene.logIn(page, scene.collector));
  await scene.ours(page, told, "too-many-groups", 403, /too many groups/, /For an administrator/);
  scene.step("too many groups are told");
}

export async function providerDown(scene, context) {
  const page = await scene.tab(context);
  const response = await page.goto(`${scene.wiki}/`);
  assert.equal(new URL(page.url()).origin, scene.auth);
  await scene.ours(page, response, "provider-down", 502, /provider does not answer/, /Try again/);
  scene.step("a provider that is down is told");
}

export async function picker(scene, context) {
  const page = await scene.tab(context);
  const response = await page.goto(`${scene.wiki}/`);
  await scene.ours(page, response, "picker", 200, /Choose how to sign in/);
  await page.getByRole("link", { name: /okta/ }).click();
  await page.getByLabel("Username").waitFor();
  scene.step("the choice of a provider leads to its login");
}
