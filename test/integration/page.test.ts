// The page in a real browser: sign-in, entities and alarms, and a change that shows without a reload.
// Without a Chromium it skips loudly on a person's machine and fails in CI.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import t from 'tap';
import { eventually, Receiver, root, Target, TestNode } from './harness.ts';

const candidates = [
  process.env['CHROMIUM_PATH'] ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];
const browserPath = candidates.find((path) => path !== '' && existsSync(path));
const isCi = process.env['CI'] === 'true';

t.test(
  'a person signs in and sees an outage as it happens',
  { skip: browserPath === undefined && !isCi ? 'no Chromium: set CHROMIUM_PATH' : false },
  async (t) => {
    if (browserPath === undefined) throw new Error('CI needs a Chromium (CHROMIUM_PATH)');
    const [target, receiver, node] = await Promise.all([
      Target.create(),
      Receiver.create(),
      TestNode.create(),
    ]);
    const browser = await chromium.launch({
      executablePath: browserPath,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
    t.teardown(async () => {
      await browser.close();
      await Promise.all([node.remove(), target.off(), receiver.close()]);
    });
    await node.start();
    const entity = await node.create('/entities', {
      label: '<b>web</b> 1',
      ip_addresses: { main: '127.0.0.1' },
    });
    const check = await node.create(`/entities/${entity}/checks`, {
      type: 'remote.http',
      label: 'home',
      details: { url: target.url },
      monitoring_zones_poll: ['mzlocal'],
      period: 1,
      timeout: 1,
      target_alias: 'main',
    });
    await node.create(`/entities/${entity}/alarms`, {
      check_id: check,
      notification_plan_id: 'npTechnicalContactsEmail',
      label: 'home answers',
    });

    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(node.url);
    await page.fill('#user', node.admin.username);
    await page.fill('#key', 'wrong key');
    await page.click('#sign-in-form button');
    await page.waitForSelector('#sign-in-error:not(:empty)');
    t.match(await page.textContent('#sign-in-error'), /wrong/);
    complaints.length = 0;
    await page.fill('#key', node.admin.apiKey);
    await page.click('#sign-in-form button');
    await page.waitForSelector('#link[data-state="live"]');
    await page.waitForSelector('.entity[data-alarm="OK"]', { timeout: 15_000 });
    t.match(await page.textContent('.entity h3'), '<b>web</b> 1', 'markup in a label is text');
    t.equal(await page.locator('.entity h3 b').count(), 0);

    await page.waitForSelector('#cluster-members tr[data-alarm="OK"]');
    t.match(
      await page.textContent('#cluster'),
      /A node alone[\s\S]*this node[\s\S]*NORMAL[\s\S]*1024 of 1024/,
    );

    await target.off();
    await page.waitForSelector('.entity[data-alarm="CRITICAL"]', { timeout: 15_000 });
    t.match(await page.textContent('#changes li:first-child'), /OK → CRITICAL/);
    await page.click('.badge[data-alarm="CRITICAL"]');
    await page.waitForSelector('#why[open] li');
    await page.click('#why button');
    await page.screenshot({ path: join(root, '.tap', 'page.png'), fullPage: true });

    await node.kill();
    await page.waitForSelector('#link[data-state="lost"]', { timeout: 15_000 });
    await node.start();
    await page.waitForSelector('#link[data-state="live"]', { timeout: 30_000 });
    await target.on();
    await page.waitForSelector('.entity[data-alarm="OK"]', { timeout: 15_000 });
    await eventually('the change is listed', 5000, async () =>
      (await page.textContent('#changes li:first-child'))?.includes('CRITICAL → OK')
        ? true
        : undefined,
    );
    t.same(
      complaints.filter((text) => !/Failed to load resource|ERR_/.test(text)),
      [],
      'the browser has no complaint, the content security policy included',
    );
  },
);
