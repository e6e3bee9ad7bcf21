// The other side of the walks: a browser that does not trust the authority gets nowhere, so the walks prove the certificates.
import assert from "node:assert/strict";

export async function distrust(scene, context) {
  const page = await context.newPage();
  await assert.rejects(page.goto(`${scene.wiki}/clock`), /ERR_CERT_AUTHORITY_INVALID/);
  scene.step("without the imported authority the browser refuses the certificate");
}
