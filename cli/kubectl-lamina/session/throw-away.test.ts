import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { condition, genImage, genInstance } from '../../../test/gen/objects.ts'
import { absent, apiServer, listOf, object } from '../testing/api-server.ts'
import { type Bundle, bundled } from '../testing/bundle.ts'
import { endlessExec } from '../testing/exec.ts'

const kinds = '/apis/lamina.dev/v1alpha1/namespaces/team'
const instance = genInstance('job', {
  status: {
    observedGeneration: 1,
    conditions: [condition('Ready', 'True', 'Running'), condition('Running', 'True', 'Started')],
  },
})
const answers = {
  [`${kinds}/instances/debian`]: absent('debian'),
  [`${kinds}/containerimages/debian`]: object(genImage('debian')),
  [`${kinds}/containerimages`]: listOf(genImage('debian')),
  [`GET ${kinds}/instances/job`]: absent('job'),
  [`POST ${kinds}/instances`]: object(instance),
  [`GET ${kinds}/instances`]: listOf(instance),
  [`DELETE ${kinds}/instances/job`]: object(instance),
}

let bundle: Bundle
beforeAll(async () => {
  bundle = await bundled()
}, 60_000)
afterAll(() => bundle.remove())

test('a reader who has read enough ends the command, and the throw-away goes', { timeout: 60_000 }, async () => {
  const server = await apiServer(answers, { exec: endlessExec })
  await server.writeKubeconfig(join(bundle.dir, 'kubeconfig'))
  const script = '"$0" run debian --name job --rm -- yes | head -n 2'
  const { stdout, stderr } = await execa('bash', ['-o', 'pipefail', '-c', script, bundle.program], {
    env: { PATH: bundle.path, KUBECONFIG: join(bundle.dir, 'kubeconfig') },
    timeout: 30_000,
  })
  expect(stdout).toBe('y\ny')
  expect(stderr).toContain('instance job deleted')
  expect(stderr).not.toMatch(/error|Warning/)
  expect(server.asked.slice(-2)).toEqual(['exec', `DELETE ${kinds}/instances/job`])
  await server.close()
})

test('Ctrl-C is heeded while the command is not begun yet, and the throw-away goes', { timeout: 60_000 }, async () => {
  const begun = Promise.withResolvers<void>()
  const server = await apiServer(answers, { exec: () => begun.resolve() })
  await server.writeKubeconfig(join(bundle.dir, 'kubeconfig'))
  const running = execa(bundle.program, ['run', 'debian', '--name', 'job', '--rm', '--', 'yes'], {
    env: { PATH: bundle.path, KUBECONFIG: join(bundle.dir, 'kubeconfig') },
    reject: false,
    timeout: 30_000,
  })
  await begun.promise
  running.kill('SIGINT')
  const { exitCode, stderr } = await running
  expect(exitCode).toBe(130)
  expect(stderr).toContain('instance job deleted')
  expect(server.asked.at(-1)).toBe(`DELETE ${kinds}/instances/job`)
  await server.close()
})
