// What every walk has at hand: where things are, what an administrator does, and what must hold on every page of ours.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

export const PATIENCE = { timeout: 30_000 };
const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
const SCHEMES = ["light", "dark"];
/** WCAG 2.2, success criterion 1.4.3. */
const LEAST_CONTRAST = 4.5;

export class Scene {
  constructor(told) {
    Object.assign(this, told);
    this.complaints = [];
    mkdirSync(this.screenshots, { recursive: true });
  }

  step(text) {
    console.log(`- ${text}`);
  }

  /** The simulator's administration; what is pushed must be accepted. */
  async administer(path, body) {
    const answer = await fetch(`${this.okta}/admin/api/${path}`, { method: "POST", body: body && JSON.stringify(body) });
    const told = await answer.json();
    assert.equal(answer.status, 200, JSON.stringify(told));
    assert.notEqual(told.accepted, false, JSON.stringify(told));
  }

  /** A tab whose complaints are kept. */
  async tab(context) {
    const page = await context.newPage();
    page.on("pageerror", (error) => this.complaints.push(`${page.url()}: ${error}`));
    page.on("console", (message) => {
      // Chromium reports the status of the page itself there, which is no fault of the page.
      const loading = message.text().startsWith("Failed to load resource");
      const from = message.location().url;
      // Icons are asked for on pages of others alone: the policy of ours forbids it.
      const expected = loading && (from === page.url() || new URL(from).pathname === "/favicon.ico");
      if (message.type() === "error" && !expected) this.complaints.push(`${page.url()}: ${message.text()}`);
    });
    return page;
  }

  /** What was complained about since the last call, and nothing else may have been. */
  takeComplaints(...expected) {
    const others = this.complaints.filter((text) => !expected.some((pattern) => pattern.test(text)));
    this.complaints = [];
    assert.deepEqual(others, [], "complaints in the console");
  }

  /** Fills the login form of the simulator. */
  async logIn(page, login = this.engineer) {
    await page.getByLabel("Username").fill(login);
    await page.getByLabel("Password").fill(this.password);
    await page.getByRole("button", { name: "Sign In" }).click();
  }

  async picture(page, name) {
    await page.screenshot({ path: join(this.screenshots, `${name}.png`), fullPage: true });
  }

  /** A page of ours: checked for what must hold on all of them, and pictured in both schemes and sizes. */
  async ours(page, response, name, status, ...words) {
    assert.match(page.url(), /^https:/, "a page, not the browser's own error");
    assert.equal(response.status(), status, await page.content());
    const policy = response.headers()["content-security-policy"] ?? "";
    assert.match(policy, /^default-src 'none'; style-src 'sha256-/, "the page is not ours");
    assert.equal(await page.locator("script").count(), 0, "a page of ours has a script");
    const text = await page.locator("main").innerText();
    for (const word of words) assert.match(text, word);
    assert.equal((await page.title()).split(" · ")[0], await page.locator("h1").innerText());
    for (const colorScheme of SCHEMES) {
      for (const [size, viewport] of Object.entries(SIZES)) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize(viewport);
        await this.picture(page, `${name}-${colorScheme}-${size}`);
        const { overflow, faint } = await page.evaluate(inspect, LEAST_CONTRAST);
        assert.ok(overflow <= 0, `${name} is ${overflow} px too wide (${size})`);
        assert.deepEqual(faint, [], `${name} is hard to read (${colorScheme})`);
      }
    }
    await this.focus(page, name);
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(SIZES.desktop);
    this.takeComplaints();
  }

  /** Whoever uses the keyboard sees where they are. */
  async focus(page, name) {
    // Where a field has the focus already, there is nothing to reach.
    if (await page.locator("input:not([type=hidden]), textarea, select").count()) return;
    const action = page.locator(".action").first();
    if ((await action.count()) === 0) return;
    await page.keyboard.press("Tab");
    assert.ok(await action.evaluate((link) => link === document.activeElement), `${name}: Tab does not reach the action`);
    const ring = await action.evaluate((link) => getComputedStyle(link).outlineStyle);
    assert.notEqual(ring, "none", `${name}: the focused action looks like any other`);
    await this.picture(page, `${name}-focus`);
  }
}

/** Runs in the page: how far it is too wide, and which texts lack contrast. */
function inspect(leastContrast) {
  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (colour) => {
    const linear = channels(colour).slice(0, 3).map((c) => c / 255);
    const [r, g, b] = linear.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    const clear = channels(colour)[3] === 0;
    return clear && element.parentElement ? behind(element.parentElement) : colour;
  };
  const faint = [];
  for (const element of document.querySelectorAll("h1, p, dt, dd, a, label, button, span")) {
    const [light, dark] = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < leastContrast) faint.push(`${element.tagName} ${contrast.toFixed(2)}`);
  }
  return { overflow: document.documentElement.scrollWidth - innerWidth, faint };
}
