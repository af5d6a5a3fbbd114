// Opens a preview in Chromium, and says on standard output what its page shows, a line for each change.
// Usage: node hmr.js MODULES URL TIMES
"use strict";
const [modules, url, times] = process.argv.slice(2);
const { chromium } = require(modules + "/playwright-core");

const kFlags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

(async () => {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: kFlags });
  try {
    const page = await browser.newPage();
    page.on("console", message => process.stderr.write(message.text() + "\n"));
    await page.goto(url);
    let shown = "";
    for (let i = 0; i < Number(times); ++i) {
      await page.waitForFunction(before => document.body.innerText !== before && document.body.innerText !== "", shown);
      shown = await page.evaluate(() => document.body.innerText);
      const loads = await page.evaluate(() => window.loads);
      console.log(JSON.stringify({ shown, loads, address: page.url() }));
    }
  } finally {
    await browser.close();
  }
})().catch(error => { console.error(error); process.exit(1); });
