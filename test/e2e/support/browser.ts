import { type Browser, chromium } from 'playwright-core'

/** Debian's Chromium, without a window. Its sandbox is not for root, and all that it looks at is ours. */
export const launchBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] })
