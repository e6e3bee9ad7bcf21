// Thirty tabs of one person, opened at once without a session, as a browser does that restores its windows.
import assert from "node:assert/strict";
import { PATIENCE } from "./scene.mjs";

const TABS = 30;
const MOST_COOKIE_BYTES = 16 * 1024;

export async function tabs(scene, context) {
  const sizes = [];
  context.on("request", (request) => {
    if (!request.isNavigationRequest()) return;
    sizes.push(request.allHeaders().then((headers) => Buffer.byteLength(headers.cookie ?? "")).catch(() => 0));
  });
  const address = (number) => `${scene.wiki}/status/200?tab=${number}`;
  const pages = await Promise.all(Array.from({ length: TABS }, () => scene.tab(context)));
  await Promise.all(pages.map((page, number) => page.goto(address(number))));
  const waiting = pages.filter((page) => new URL(page.url()).origin === scene.okta);
  scene.step(`${waiting.length} of ${TABS} tabs wait at the login form`);
  assert.equal(waiting.length, TABS);

  await Promise.all(
    pages.map(async (page, number) => {
      await scene.logIn(page);
      await page.waitForURL(address(number), PATIENCE).catch(() => {});
    }),
  );
  const astray = pages.map((page, number) => [page.url(), address(number)]).filter(([is, wanted]) => is !== wanted);
  assert.deepEqual(astray, [], "tabs that did not come to their page");
  const largest = Math.max(...(await Promise.all(sizes)));
  assert.ok(largest > 0 && largest < MOST_COOKIE_BYTES, `a Cookie header of ${largest} bytes`);
  scene.step(`all ${TABS} are at their own page; the largest Cookie header had ${largest} bytes`);
  scene.takeComplaints();
}
