// Compare two songs on the page in headless Chromium and check the embeddings:
// node check.mjs ENCODER.onnx EXPECTED.json SONG OTHER [SCREENSHOT.png]
import { readFile } from "node:fs/promises";
import process, { argv, env, exit } from "node:process";
import { chromium } from "playwright-core";
import { serve } from "./serve.mjs";

const LEAST_COSINE = 0.9999;

/** Use the page as a reader would and return the two embeddings. */
async function usePage(page, songs) {
  const status = page.locator("#status");
  await page.getByText("Loading").waitFor({ state: "hidden" });
  await page.setInputFiles("#first", songs[0]);
  await page.setInputFiles("#second", songs[1]);
  const button = page.locator("button");
  if (await button.isEnabled()) {
    await button.click();
    await page.locator("button:enabled").waitFor({ timeout: 600_000 });
  }
  const message = await status.textContent();
  if (message) throw new Error(message);
  console.log((await page.locator(".facts").allTextContents()).join("\n"));
  return page.evaluate(() => window.embeddings);
}

const [model, expectedPath, first, second, screenshot] = argv.slice(2);
if (!second) {
  console.error("usage: node check.mjs ENCODER.onnx EXPECTED.json SONG OTHER [PNG]");
  exit(2);
}
const expected = JSON.parse(await readFile(expectedPath, "utf8"));
const server = await serve(model, 0);
const browser = await chromium.launch({
  executablePath: env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"], // which root in a container needs
});
try {
  const page = await browser.newPage({ viewport: { width: 800, height: 640 } });
  await page.goto(`http://127.0.0.1:${server.address().port}`);
  const embeddings = await usePage(page, [first, second]);
  if (screenshot) await page.screenshot({ path: screenshot, fullPage: true });
  const cosines = expected.map((vector, i) =>
    vector.reduce((sum, value, j) => sum + value * embeddings[i][j], 0),
  );
  console.log(`cosine to the expected embeddings: ${cosines.map((c) => c.toFixed(6))}`);
  if (!cosines.every((cosine) => cosine >= LEAST_COSINE)) process.exitCode = 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await browser.close();
  server.close();
}
