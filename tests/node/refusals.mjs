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

/** A login that the provider refuses, or that brings less than a policy asks for. */
export async function refusedLogins(scene, context) {
  const page = await scene.tab(context);
  await page.goto(`${scene.wiki}/`);
  const told = await leave(page, () => scene.logIn(page));
  await scene.ours(page, told, "provider-refused", 403, /refused the sign-in/, /not assigned/, /For an administrator/);
  scene.step("a provider's refusal is told in its own words");
}

export async function stepUp(scene, context) {
  const page = await scene.tab(context);
  await page.goto(`${scene.wiki}/`);
  await leave(page, () => scene.logIn(page));
  const told = await page.goto(`${scene.vault}/`);
  await scene.ours(page, told, "step-up-unmet", 403, /not strong enough/, /acr urn:okta:loa:2fa:any/, /amr pwd/, /ask your administrator/);
  scene.step("a login that stays too weak is told, and not asked for again");
}

/** What has to be said or asked before an application opens; and the page of whoever answers. */
export async function errands(scene, context) {
  const page = await scene.tab(context);
  await page.goto(`${scene.vault}/`);
  const purpose = await leave(page, () => scene.logIn(page, scene.engineer));
  await scene.ours(page, purpose, "purpose", 200, /What do you need this application for/, /Which ticket/);
  await page.getByLabel("What for?").fill("Ticket 7");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.waitForURL(`${scene.vault}/`);
  scene.step("a purpose opens the application, without a script");

  const ask = await page.goto(`${scene.payroll}/`);
  await scene.ours(page, ask, "ask-for-access", 200, /Ask for access/);
  await page.getByLabel("Why do you need it?").fill("Year's end & <b>audit</b>");
  await page.getByLabel("For how long?").selectOption({ label: "1 hour" });
  const waits = await leave(page, () => page.getByRole("button", { name: "Ask for access" }).click());
  await scene.ours(page, waits, "access-waits", 200, /waits for an answer/, /<b>audit<\/b>/);
  // Somebody else sits down: known neither here nor at the provider.
  await context.clearCookies();

  await page.goto(`${scene.vault}/`);
  await leave(page, () => scene.logIn(page, scene.designer));
  const open = await page.goto(`${scene.auth}/cdn-cgi/access/requests`);
  await scene.ours(page, open, "requests", 200, /engineer@corp.example asks for payroll/, /for 1 hour/);
  const granted = await leave(page, () => page.getByRole("button", { name: "Grant" }).click());
  await scene.ours(page, granted, "access-granted", 200, /Access is granted/);
  const held = await page.goto(`${scene.auth}/cdn-cgi/access/requests`);
  await scene.ours(page, held, "access-held", 200, /has access to payroll/, /End it now/);
  scene.step("who approves sees who asks, and who has access");
}

export async function terminal(scene, context) {
  const page = await scene.tab(context);
  await page.goto(`${scene.wiki}/`);
  await leave(page, () => scene.logIn(page));
  const asked = await page.goto(`${scene.wiki}/cdn-cgi/access/device`);
  await scene.ours(page, asked, "terminal-code", 200, /Connect a terminal/, /Type the code/);
  assert.equal(await page.getByLabel("Code").count(), 1, "the field has no label");
  await page.getByLabel("Code").fill("AAAA-AAAA");
  const unknown = await leave(page, () => page.getByRole("button", { name: "Go on" }).click());
  await scene.ours(page, unknown, "terminal-code-unknown", unknown.status(), /Reference\s+[0-9a-f]{16}/);
  const query = new URLSearchParams({ port: "49152", state: "s", code_challenge: "a".repeat(43), code_challenge_method: "S256", name: "laptop of <b>Eve</b>" });
  const question = await page.goto(`${scene.wiki}/cdn-cgi/access/terminal?${query}`);
  if (question.status() === 200) {
    await scene.ours(page, question, "terminal-question", 200, /Let a program act as you/);
  } else {
    await scene.ours(page, question, "terminal-malformed", question.status(), /Reference\s+[0-9a-f]{16}/);
  }
  scene.step("a terminal's question can be read");
}

/** Under the organisation's name, in its colour, with its help. */
export async function branded(scene, context) {
  const page = await scene.tab(context);
  await page.goto(`${scene.wiki}/`);
  const denied = await leave(page, () => scene.logIn(page, scene.designer));
  assert.equal(await page.title(), "You have no access to this application · Corp & Sons");
  await scene.ours(page, denied, "branded", 403, /Ask the owner of the wiki/, /Reference/);
  assert.match(await page.locator("footer").innerText(), /help@corp.example/);
  scene.step("a page under the organisation's name");
}
