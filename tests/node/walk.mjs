// A person at a real browser: logs in, watches the clock, is dropped in the middle of it, and comes back.
import assert from "node:assert/strict";
import { PATIENCE } from "./scene.mjs";

/** Chromium's own words for a WebSocket that was cut. */
const CUT = /WebSocket connection to .*\/ws\/clock' failed/;

async function clockTicks(page) {
  await page.locator("#state").getByText("running").waitFor(PATIENCE);
  const tick = page.locator("#tick");
  const first = await tick.innerText();
  await page.waitForFunction((seen) => document.getElementById("tick").textContent !== seen, first, PATIENCE);
}

/** Logs in at the provider, to which the browser has been sent, and is at the clock. */
async function arriveAtTheClock(scene, page) {
  await page.waitForURL(`${scene.okta}/**`, PATIENCE);
  await scene.logIn(page);
  await page.waitForURL(`${scene.wiki}/clock`, PATIENCE);
  await clockTicks(page);
}

export async function walk(scene, context) {
  const page = await scene.tab(context);
  await page.goto(`${scene.wiki}/clock`);
  await arriveAtTheClock(scene, page);
  await scene.picture(page, "clock-running");
  scene.takeComplaints();
  scene.step("logged in; the clock runs");

  await scene.administer(`people/${scene.engineer}/deactivate`);
  await page.locator("#state").getByText("stopped").waitFor(PATIENCE);
  await scene.picture(page, "clock-stopped");
  scene.takeComplaints(CUT);
  scene.step(`deactivated; the page says: ${await page.locator("#state").innerText()}`);

  let response = await leave(page, () => page.locator("#home").click());
  await scene.ours(page, response, "deactivated", 403, /account was deactivated/, /ask your administrator/, /Reference/);
  scene.step("the next click leads to a page of ours");

  response = await leave(page, () => page.getByRole("link", { name: "Sign in" }).click());
  if (new URL(page.url()).origin === scene.okta) {
    response = await leave(page, () => scene.logIn(page));
  }
  assert.ok([401, 403].includes(response.status()), `a deactivated person got ${response.status()}`);
  assert.match(await page.locator("body").innerText(), /Unable to sign in|refused|deactivated/);
  await scene.picture(page, "deactivated-signs-in");
  scene.takeComplaints();
  scene.step(`signing in is refused at ${new URL(page.url()).origin === scene.okta ? "the provider" : "the gateway"}`);

  await scene.administer(`people/${scene.engineer}/reactivate`);
  // The old session stays ended; its page offers the way to a new one, and to the page that was asked for.
  response = await page.goto(`${scene.wiki}/clock`);
  assert.equal(response.status(), 403);
  await page.getByRole("link", { name: "Sign in" }).click();
  await arriveAtTheClock(scene, page);
  scene.takeComplaints();
  scene.step("reactivated; logged in again, and the clock runs");

  response = await leave(page, () => page.goto(`${scene.wiki}/cdn-cgi/access/logout/app`));
  await scene.ours(page, response, "signed-out-of-application", 200, /signed out of this application/);
  response = await page.goto(`${scene.wiki}/cdn-cgi/access/logout`);
  await scene.ours(page, response, "signed-out", 200, /signed out/);
  scene.step("signed out");
}

/** The answer with which a navigation that `act` begins ends. */
export async function leave(page, act) {
  const answer = page.waitForResponse(
    (response) => response.request().isNavigationRequest() && ![301, 302, 303, 307].includes(response.status()),
    PATIENCE,
  );
  await act();
  const response = await answer;
  await page.waitForLoadState();
  return response;
}
