import { join } from 'node:path'
import { installOperator } from '../../test/cluster/operator.ts'
import { launchBrowser } from '../../test/e2e/support/browser.ts'
import { isReady } from '../../test/e2e/support/conditions.ts'
import { createHelm } from '../../test/e2e/support/helm.ts'
import { inNamespace, instance, persistentOverlay } from '../../test/e2e/support/objects.ts'
import { operatorNamespace } from '../../test/e2e/support/operator.ts'
import { until } from '../../test/e2e/support/until.ts'
import { root, type Stage, withNamespace } from './stage.ts'

const namespace = 'team-a'

const editor = [
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'ada' } },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'ada' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
    subjects: [{ kind: 'ServiceAccount', name: 'ada', namespace }],
  },
]

const furnish = async ({ kubectl }: Stage): Promise<void> => {
  const objects = [
    ...editor,
    persistentOverlay('dev', { size: '256Mi' }),
    persistentOverlay('models', { size: '192Mi' }),
    instance('dev', { overlays: ['dev'] }),
    instance('train', { overlays: ['models'] }),
    // It waits for the other writer, which is worth a picture.
    instance('second', { overlays: ['dev'], state: 'Stopped' }),
  ]
  await kubectl.apply(...objects.map((object) => inNamespace(namespace, object)))
  for (const name of ['dev', 'train'])
    await until(`instance ${name} is Ready`, async () => isReady(await kubectl.get(namespace, 'instance', name)), {
      seconds: 120,
    })
  const fill = (name: string, mebibytes: number) =>
    kubectl.run([
      ...['-n', namespace, 'exec', name, '--', 'sh', '-c'],
      `head -c ${mebibytes}M /dev/urandom > /root/data && sync`,
    ])
  await fill('dev', 90)
  await fill('train', 150)
}

const photograph = async ({ kubectl }: Stage, address: string): Promise<Buffer> => {
  const browser = await launchBrowser()
  try {
    const page = await browser.newPage({ viewport: { width: 1100, height: 760 } })
    page.setDefaultTimeout(120_000)
    await page.goto(address)
    await page.getByLabel('Token').fill((await kubectl.run(['-n', namespace, 'create', 'token', 'ada'])).trim())
    await page.getByRole('button', { name: 'Sign in' }).click()
    const row = (table: string, name: string) =>
      page
        .getByRole('region', { name: table, exact: true })
        .getByRole('row')
        .filter({ has: page.getByRole('cell', { name, exact: true }).first() })
        .first()
    // Told at once: it is nearly full.
    await row('Overlays', 'models')
      .getByText(/1[5-9]\d(\.\d)? MiB of \d+ MiB/)
      .waitFor()
    await row('Instances', 'dev').getByRole('button', { name: 'Terminal' }).click()
    const screen = page.locator('.xterm-screen')
    await screen.getByText('root@dev').first().waitFor()
    await page.keyboard.type('df -h / && ls -lh /root\n')
    await screen.getByText('data').first().waitFor()
    return await page.screenshot()
  } finally {
    await browser.close()
  }
}

/** A PNG of the console with a terminal open, in Chromium, of objects made for it. */
export const photographConsole = async (stage: Stage): Promise<Buffer> => {
  const { cluster, report } = stage
  const port = cluster.layout.ports.lamina + 2
  const helm = createHelm(cluster, operatorNamespace)
  const values = ['--reset-then-reuse-values', '--set', `console.enabled=true,console.port=${port}`]
  const { exitCode, stderr } = await helm([
    ...['upgrade', 'lamina', join(root, 'charts/lamina'), ...values, '--wait', '--timeout', '2m'],
  ])
  if (exitCode !== 0) throw new Error(`the console could not be installed: ${stderr}`)
  try {
    return await withNamespace(stage, namespace, async () => {
      await furnish(stage)
      return photograph(stage, `http://127.0.0.1:${port}/#${namespace}`)
    })
  } finally {
    await installOperator(cluster, report)
  }
}
