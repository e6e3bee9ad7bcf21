// An Okta that was not written here, on a port of ours; it leaves when its input ends.
import { createEmulator } from "emulate";

const { port, base, seed } = JSON.parse(process.argv[2]);
const okta = await createEmulator({ service: "okta", port, baseUrl: base, seed: { okta: seed } });
process.stdin.resume();
process.stdin.on("end", async () => {
  await okta.close();
  process.exit(0);
});
console.log("ready");
