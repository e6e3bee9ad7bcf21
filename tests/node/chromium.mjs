// Debian's Chromium with a profile of its own, which trusts one more authority, as a person's would after an import.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { chromium as playwright } from "playwright-core";

const PROGRAM = "/usr/bin/chromium";
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Without `caFile` nobody is trusted but who is by default. */
export async function chromium(folder, caFile) {
  const home = join(folder, "home");
  rmSync(home, { recursive: true, force: true });
  const database = join(home, ".pki", "nssdb");
  mkdirSync(database, { recursive: true });
  const nss = `sql:${database}`;
  execFileSync("certutil", ["-N", "-d", nss, "--empty-password"]);
  if (caFile) {
    // C: trusted to sign certificates of servers, and nothing else.
    execFileSync("certutil", ["-A", "-d", nss, "-n", "Portcullis development", "-t", "C,,", "-i", caFile]);
  }
  return playwright.launchPersistentContext(join(home, "profile"), {
    executablePath: PROGRAM,
    headless: true,
    args: ARGUMENTS,
    env: { ...process.env, HOME: home, XDG_CONFIG_HOME: join(home, ".config") },
    viewport: { width: 1280, height: 800 },
  });
}
