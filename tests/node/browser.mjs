// Plays one walk in Chromium and leaves with 0 when all of it was as it should be.
import { chromium } from "./chromium.mjs";
import { branded, errands, picker, providerDown, refusals, refusedLogins, stepUp, terminal, tooManyGroups } from "./refusals.mjs";
import { Scene } from "./scene.mjs";
import { tabs } from "./tabs.mjs";
import { distrust } from "./trust.mjs";
import { walk } from "./walk.mjs";

const WALKS = { walk, refusals, refusedLogins, stepUp, terminal, errands, branded, tooManyGroups, providerDown, picker, tabs, distrust };

const scene = new Scene(JSON.parse(process.argv[2]));
const play = WALKS[scene.play];
const context = await chromium(scene.folder, play === distrust ? undefined : scene.ca);
try {
  await play(scene, context);
} catch (error) {
  for (const [number, page] of context.pages().entries()) {
    await scene.picture(page, `failed-${scene.play}-${number}`).catch(() => {});
  }
  console.log(`WRONG: ${error.stack}`);
  process.exitCode = 1;
} finally {
  await context.close();
}
