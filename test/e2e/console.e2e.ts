import { createServer } from 'node:http'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { execPath, execProtocol } from '../../console/paths.ts'
import { isAddressInfo } from '../../kube/server.ts'
import { installOperator } from '../cluster/operator.ts'
import { launchBrowser } from './support/browser.ts'
import { imageReference, testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { createHelm } from './support/helm.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { operatorNamespace } from './support/operator.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { type SigningProxy, startSigningProxy } from './support/signing-proxy.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

const chart = join(import.meta.dirname, '../../charts/lamina')
/** With the host's network here, like all of the operator. */
const port = cluster.layout.ports.lamina + 2
const address = `http://127.0.0.1:${port}`

const account = (name: string, role: 'view' | 'edit', namespace: string) => [
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  },
]

let fixture: Fixture
let browser: Browser
beforeAll(async () => {
  const helm = createHelm(cluster, operatorNamespace)
  const values = ['--reset-then-reuse-values', '--set', `console.enabled=true,console.port=${port}`]
  const enabled = helm(['upgrade', 'lamina', chart, ...values, '--wait', '--timeout', '2m'])
  fixture = await createFixture(kubectl, 'console')
  await fixture.apply(
    ...account('viewer', 'view', fixture.namespace),
    ...account('editor', 'edit', fixture.namespace),
    registrySecret(cluster),
    containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
    persistentOverlay('work'),
    instance('dev', { overlays: ['work'], podTemplate: promptly }),
  )
  browser = await launchBrowser()
  expect(await enabled).toMatchObject({ exitCode: 0 })
  await fixture.ready('instance', 'dev', 120)
})
afterAll(async () => {
  await browser.close()
  await fixture.destroy()
  await installOperator(cluster, () => {})
})

/** To Chromium a refusal of the API server is an error, and so is a page that one leaves while it opens a watch. */
const expected = /^Failed to load resource|WebSocket is closed before the connection is established/

/** What the browser has complained of, whom it has asked, and what came over its WebSockets. */
const watched = (page: Page) => {
  const complaints: string[] = []
  const hosts = new Set<string>()
  const frames: string[] = []
  page.on('console', (message) => {
    if (!expected.test(message.text())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => hosts.add(new URL(request.url()).host))
  page.on('websocket', (socket) => {
    hosts.add(new URL(socket.url()).host)
    socket.on('framereceived', ({ payload }) => frames.push(String(payload)))
  })
  return { complaints, hosts, frames }
}

const newPage = async (): Promise<Page> => {
  const page = await browser.newPage()
  page.setDefaultTimeout(30_000)
  return page
}

const signIn = async (page: Page, token: string): Promise<void> => {
  await page.goto(address)
  await page.getByLabel('Token').fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
}
const tokenOf = async (name: string): Promise<string> =>
  (await kubectl.run(['-n', fixture.namespace, 'create', 'token', name])).trim()

const row = (page: Page, table: string, name: string) =>
  page
    .getByRole('region', { name: table, exact: true })
    .getByRole('row')
    .filter({ has: page.getByRole('cell', { name, exact: true }).first() })

describe('who may edit', () => {
  let page: Page
  let seen: ReturnType<typeof watched>
  beforeAll(async () => {
    page = await newPage()
    seen = watched(page)
  })
  const dev = () => row(page, 'Instances', 'dev')

  test('is told when a token is none', async () => {
    await signIn(page, 'no-token')
    expect(await page.getByRole('alert').textContent()).toBe('The API server does not accept this token.')
  })

  test('sees what is in the namespace of the account, and how full the overlay is', async () => {
    await signIn(page, await tokenOf('editor'))
    await dev().getByText('Running', { exact: true }).waitFor()
    expect(await dev().getByRole('cell').allTextContents()).toEqual(
      expect.arrayContaining(['dev', 'Running', 'debian', 'work', 'localhost']),
    )
    await row(page, 'Images', 'debian').getByText('library/debian:12').waitFor()
    const work = row(page, 'Overlays', 'work')
    await work.getByText(/MiB of \d+ MiB \(\d+ %\)/).waitFor()
    const share = Number(await work.getByRole('meter', { name: 'Bytes' }).getAttribute('value'))
    expect(share).toBeGreaterThan(0)
    expect(share).toBeLessThan(1)
  })

  test('types in a terminal and sees what comes of it', async () => {
    await dev().getByRole('button', { name: 'Terminal' }).click()
    const panel = page.getByRole('region', { name: 'Terminal of dev' })
    const screen = panel.locator('.xterm-screen')
    await screen.getByText('root@dev').first().waitFor()
    await page.keyboard.type('echo $((6 * 7)) by hand | tee /by-hand; stty size\n')
    await screen.getByText('42 by hand', { exact: true }).first().waitFor()
    expect(await fixture.exec('dev', 'cat', '/by-hand')).toBe('42 by hand')
    await screen
      .getByText(/\b[1-9]\d* [1-9]\d+\b/)
      .first()
      .waitFor()
    await page.keyboard.type('exit 3\n')
    expect(await panel.getByRole('alert').textContent()).toBe('The shell has ended with exit code 3.')
    await panel.getByRole('button', { name: 'Close' }).click()
    await panel.waitFor({ state: 'detached' })
  })

  test('stops it and starts it again, and sees that happen', async () => {
    await dev().getByRole('button', { name: 'Stop' }).click()
    await dev().getByText('Stopped', { exact: true }).waitFor()
    expect((await fixture.get('instance', 'dev')).spec?.state).toBe('Stopped')
    await dev().getByRole('button', { name: 'Start' }).click()
    await dev().getByText('Running', { exact: true }).waitFor()
    expect(await fixture.exec('dev', 'cat', '/by-hand')).toBe('42 by hand')
  })

  test('sees what others make and take away, by a watch', async () => {
    await fixture.apply(persistentOverlay('late'))
    await row(page, 'Overlays', 'late').waitFor()
    await fixture.delete('persistentoverlay', 'late')
    await until('it is gone from the page', async () => (await row(page, 'Overlays', 'late').count()) === 0)
    const events = seen.frames.filter((frame) => frame.includes('"name":"late"')).map((frame) => frame.slice(0, 15))
    expect(events).toEqual(expect.arrayContaining(['{"type":"ADDED"', '{"type":"DELETE']))
  })

  test('sees nothing of a namespace without rights, and is told why', async () => {
    await page.getByLabel('Namespace').fill('kube-system')
    await page.getByLabel('Namespace').press('Enter')
    await page
      .getByText('cannot list resource "instances" in API group "lamina.dev" in the namespace "kube-system"')
      .waitFor()
    expect(await page.getByRole('table').count()).toBe(0)
  })

  test('stays signed in over a reload, until signed out', async () => {
    await page.goto(`${address}/#${fixture.namespace}`)
    await page.reload()
    await dev().waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.reload()
    await page.getByLabel('Token').waitFor()
  })

  test('has been in touch with the console alone, and the browser found nothing to forbid', () => {
    expect([...seen.hosts]).toEqual([`127.0.0.1:${port}`])
    expect(seen.complaints).toEqual([])
  })
})

describe('who may only view', () => {
  let page: Page
  beforeAll(async () => {
    page = await newPage()
    await signIn(page, await tokenOf('viewer'))
  })
  const user = () => `system:serviceaccount:${fixture.namespace}:viewer`

  test("cannot stop it, and reads so in the API server's words", async () => {
    await row(page, 'Instances', 'dev').getByRole('button', { name: 'Stop' }).click()
    const words = await page.getByRole('alert').textContent()
    expect(words).toContain(
      `dev was not stopped: instances.lamina.dev "dev" is forbidden: User "${user()}" cannot patch`,
    )
    expect((await fixture.get('instance', 'dev')).spec?.state).toBe('Running')
  })

  test('gets no terminal, and reads why', async () => {
    await row(page, 'Instances', 'dev').getByRole('button', { name: 'Terminal' }).click()
    const panel = page.getByRole('region', { name: 'Terminal of dev' })
    const words = await panel.getByRole('alert').textContent()
    expect(words).toContain(`The API server opened no terminal: pods "dev" is forbidden: User "${user()}" cannot`)
  })
})

describe('behind a proxy that signs in by itself', () => {
  let proxy: SigningProxy
  let page: Page
  beforeAll(async () => {
    proxy = await startSigningProxy(port, await tokenOf('editor'))
    page = await newPage()
  })
  afterAll(() => proxy.close())

  /** What becomes of a WebSocket for a terminal that the page opens which is shown. */
  const tryTerminal = (): Promise<unknown> =>
    page.evaluate(`new Promise((resolve) => {
      const socket = new WebSocket('ws://${proxy.address}${execPath(fixture.namespace, 'dev')}', ['${execProtocol}'])
      socket.onopen = () => { socket.close(); resolve('open') }
      socket.onerror = () => resolve('refused')
    })`)

  test('the page asks for no token, and works', async () => {
    await page.goto(`http://${proxy.address}`)
    await row(page, 'Instances', 'dev').getByRole('button', { name: 'Terminal' }).click()
    await page.locator('.xterm-screen').getByText('root@dev').first().waitFor()
    expect(await page.getByRole('button', { name: 'Sign out' }).count()).toBe(0)
    expect(await tryTerminal()).toBe('open')
  })

  test('a foreign page gets no terminal, though the proxy signs for it too', async () => {
    const foreign = createServer((_request, response) => response.end('<title>foreign</title>'))
    await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve))
    const address = foreign.address()
    const origin = `http://localhost:${isAddressInfo(address) ? address.port : ''}`
    await page.goto(origin)
    expect(await tryTerminal()).toBe('refused')
    expect(proxy.origins.at(-1)).toBe(origin)
    foreign.closeAllConnections()
    foreign.close()
  })
})

test('the pod has no token, and its account no right', async () => {
  const [pod] = await kubectl.list(operatorNamespace, 'pods', 'app.kubernetes.io/component=console')
  expect(JSON.stringify(pod?.spec?.volumes)).not.toContain('serviceAccountToken')
  const as = `system:serviceaccount:${operatorNamespace}:lamina-console`
  const may = await kubectl.try(['--as', as, 'auth', 'can-i', 'get', 'instances.lamina.dev', '-A'])
  expect(may.stdout.trim()).toBe('no')
})
